"""What an operator may set about the money half, with its bounds, and where a running system is found.

Every limit of the ledger is a named field here. Values come from elsewhere (flags, environment, file): this file
only says which are right. `Endpoints` is a small file in the data folder, written by `serve` and read by everything
else; only its owner may read it, since a URL may hold a password.
"""

import enum
import os
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

ENDPOINTS_FILE: Final = "endpoints.json"

_Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Millis = Annotated[int, Meta(ge=1, le=2**40)]
_Coins = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Days = Annotated[int, Meta(ge=0, le=365)]
_BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
_MinorUnits = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_ViewerPolicy = Literal["debt", "floor", "absorb"]
_CreatorPolicy = Literal["absorb", "pending", "earned", "owe"]
_Url = Annotated[str, Meta(min_length=1, max_length=4096)]


class Durability(enum.StrEnum):
    """What has happened before a gift is told to be accepted; see `ledger.live.durability`."""

    DURABLE = "durable"
    REPLICATED = "replicated"
    FAST = "fast"


class LedgerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the ledger, the flusher and the payouts.

    Attributes:
        redis_url: the Redis or Valkey that holds the live ledger: `redis://`, `rediss://` or `unix://`.
        database_url: the PostgreSQL that holds the books, as asyncpg reads it.
        durability: before a gift is accepted it is on the disk of Redis or Valkey (`durable`), also on that of a
            replica (`replicated`), or only in memory (`fast`).
        on_promotion: what workers do when the server turns out to be a replica that was promoted, and no order is taken
            until a new epoch has begun: `repair` it by themselves, or `wait` for `giftwire reconcile --repair`.
        replica_ms_max: how long a replica may take to have a commit on its disk; then its outcome is unknown, and it
            is told again.
        partitions: how many partitions the viewers are spread over; fixed once money is stored.
        id_window_ms: a gift id whose own time is older than this is refused; fixed once money is stored.
        id_ahead_ms: a gift id whose own time is further ahead than this is refused.
        id_bucket_ms: width of the time buckets in which gift ids are remembered; fixed once money is stored.
        batch_gifts_max: gifts in one commit.
        batch_waiting_max: gifts that may wait for a commit; one more is refused as overloaded.
        batch_wait_ms_max: how long a gift may wait for a commit; then it is refused as overloaded. While gifts come
            faster than they can be paid, fewer than `batch_waiting_max` are taken in, so that they wait less than this.
        script_time_ms_max: time that one script call may spend on gifts; the rest waits for the next.
        retry_ms_max: how long a commit whose answer was lost is told again before its outcome is unknown.
        journal_records_max: records that PostgreSQL may lag behind in a partition; beyond it gifts are refused.
        gift_coins_max, day_coins_max, week_coins_max, month_coins_max: coins that a viewer may spend on a gift, in a
            day, an ISO week and a month (UTC); 0 for no cap.
        cap_raise_ms: a viewer's own cap that is raised or removed holds so much longer.
        gifts_per_minute: gifts of one viewer in the long run; one more is refused as rate limited. 0 for no rate.
        gifts_burst: gifts that a viewer may send at once, where there is a rate.
        unknown_age: whether people whose age is not known may give, buy and withdraw: `allow` or `refuse`.
        own_gifts: whether a viewer may give to itself as a creator.
        hold_ms_max: the longest time that coins may be held.
        viewer_holds_max: open holds of one viewer; one more is refused.
        partition_holds_max: open holds of a partition; one more is refused. Also how many gifts of a partition may be
            open to be undone; one more is settled at once.
        undo_pause_ms: after a viewer took a gift back its gifts are settled at once for so long, since to show one and
            take it back costs nothing. 0 for no pause.
        holds_expired_ms: pause between two rounds in which holds whose time is over expire.
        gifts_settled_ms: pause between two rounds in which gifts are settled that can be undone no more.
        guards_told_ms: pause between two rounds that tell the live ledger of freezes and caps that it has not taken.
        flush_entries_max: journal entries that one flush takes from each partition.
        flush_records_max: journal records that one PostgreSQL transaction of the flusher writes.
        flush_interval_ms: the flusher rests this long between two transactions when it has caught up.
        flush_retry_ms_max: the longest pause between two attempts while PostgreSQL does not answer.
        trim_interval_ms: pause between two trims of the journals.
        credit_ids_kept_ms: an id of a grant or purchase stays in Redis at least so long after its record was flushed.
        credit_ids_read: ids of grants and purchases that are looked at after each trim.
        credit_retry_ms: pause between two rounds that tell credits again whose outcome was not learned.
        database_connections_max: PostgreSQL connections of one process.
        database_timeout_ms: how long PostgreSQL may take to connect or to answer one statement.
        accounts_cached_max: accounts whose number and balance the flusher remembers.
        lease_ms: the partitions of a worker that died pass to others after so long, and a third of it.
        audit_share_permille: what the rolling audit may use of one processor, its work in the servers included, in
            thousandths; with 0 there is none.
        audit_rows: entries, records or wallets that the rolling audit looks at in one go.
        audit_pause_ms: pause between two rounds of the rolling audit.
        maturing_days: full days from the end of the day (UTC) of a gift until its diamonds can be withdrawn; with 0
            they can at once.
        maturing_interval_ms: pause between two rounds of the maturing of earnings.
        commission_bp: the platform's part of a gift in basis points, where no plan says otherwise.
        bonus_worth_bp: what a bonus coin of a purchase is worth to the creator that it is given to, in basis points of
            a paid coin, where its promotion says nothing else; with 0 the platform keeps all of it.
        granted_worth_bp: the same for a coin that an operator gave, where its grant says nothing else.
        payout_min_minor: the least that one withdrawal may pay, in minor units of its currency.
        payout_day_max_minor: the most that one creator may withdraw in a day, in minor units of its currency.
        payout_currency: ISO 4217 code in which earnings are paid, where the creator has no other.
        diamonds_per_minor: diamonds that one minor unit of `payout_currency` costs.
        payout_methods_max: ways to be paid that one creator may keep.
        purchases_pending_max: purchases of one viewer that may wait for their payment.
        purchase_expires_ms: a purchase that is not paid by then is asked after at its rail, then given up.
        purchase_asked_ms: one that its rail keeps open, such as for a transfer under way, is asked after again so much
            later.
        refund_viewer: what the wallet gives for refunded coins that were spent: `debt`, `floor` or `absorb`.
        refund_creator: what creators give back of gifts that refunded coins had paid for: `absorb`, `pending`, `earned`
            or `owe`.
        chargeback_viewer, chargeback_creator: the same for charge-backs.
        webhook_bytes_max: size of a payment provider's webhook.
        seal_interval_ms: pause between two rounds in which records of the books are sealed against later changes.
        seal_records_max: records that one seal covers.
        volume_records: record numbers of each partition in one volume of the books, where it is not made yet.
        volumes_interval_ms: pause between two looks whether a whole volume is made ahead.
        settle_rows_max: rows that a duty (coins owed, purchases given up, earnings maturing) takes at a time.
        list_rows_max: rows of one answer of a list.
    """

    redis_url: _Url = "redis://127.0.0.1:6379/0"
    database_url: _Url = "postgresql://giftwire@127.0.0.1/giftwire"
    durability: Durability = Durability.DURABLE
    on_promotion: Literal["repair", "wait"] = "repair"
    replica_ms_max: Annotated[int, Meta(ge=1, le=60_000)] = 1_000
    partitions: Annotated[int, Meta(ge=1, le=1024)] = 8
    id_window_ms: _Millis = 3_600_000
    id_ahead_ms: _Millis = 300_000
    id_bucket_ms: _Millis = 600_000
    batch_gifts_max: Annotated[int, Meta(ge=1, le=2000)] = 256
    batch_waiting_max: _Count = 20_000
    batch_wait_ms_max: Annotated[int, Meta(ge=10, le=600_000)] = 500
    script_time_ms_max: Annotated[float, Meta(gt=0, le=100)] = 5.0
    retry_ms_max: _Millis = 3_000
    journal_records_max: _Count = 1_000_000
    gift_coins_max: _Coins = 0
    day_coins_max: _Coins = 0
    week_coins_max: _Coins = 0
    month_coins_max: _Coins = 0
    cap_raise_ms: _Millis = 86_400_000
    gifts_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    gifts_burst: Annotated[int, Meta(ge=1, le=100_000)] = 20
    unknown_age: Literal["allow", "refuse"] = "allow"
    own_gifts: bool = False
    hold_ms_max: _Millis = 604_800_000
    viewer_holds_max: Annotated[int, Meta(ge=1, le=10_000)] = 20
    partition_holds_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    undo_pause_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 600_000
    holds_expired_ms: _Millis = 500
    gifts_settled_ms: _Millis = 250
    guards_told_ms: _Millis = 2_000
    flush_entries_max: _Count = 64
    flush_records_max: _Count = 5_000
    flush_interval_ms: _Millis = 200
    flush_retry_ms_max: _Millis = 5_000
    trim_interval_ms: _Millis = 1_000
    credit_ids_kept_ms: _Millis = 3_600_000
    credit_ids_read: Annotated[int, Meta(ge=1, le=10_000)] = 500
    credit_retry_ms: _Millis = 2_000
    database_connections_max: Annotated[int, Meta(ge=2, le=500)] = 8
    database_timeout_ms: _Millis = 30_000
    accounts_cached_max: _Count = 500_000
    lease_ms: Annotated[int, Meta(ge=100, le=600_000)] = 6_000
    audit_share_permille: Annotated[int, Meta(ge=0, le=1_000)] = 10
    audit_rows: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    audit_pause_ms: _Millis = 10_000
    maturing_days: _Days = 7
    maturing_interval_ms: _Millis = 30_000
    seal_interval_ms: _Millis = 10_000
    seal_records_max: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    commission_bp: _BasisPoints = 5_000
    bonus_worth_bp: _BasisPoints = 10_000
    granted_worth_bp: _BasisPoints = 10_000
    payout_min_minor: _MinorUnits = 1_000
    payout_day_max_minor: _MinorUnits = 100_000
    payout_currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"
    diamonds_per_minor: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 100
    payout_methods_max: _Count = 10
    purchases_pending_max: _Count = 20
    purchase_expires_ms: _Millis = 86_400_000
    purchase_asked_ms: _Millis = 600_000
    refund_viewer: _ViewerPolicy = "floor"
    refund_creator: _CreatorPolicy = "absorb"
    chargeback_viewer: _ViewerPolicy = "debt"
    chargeback_creator: _CreatorPolicy = "pending"
    webhook_bytes_max: _Count = 65_536
    volume_records: Annotated[int, Meta(ge=1, le=2**40)] = 4_194_304
    volumes_interval_ms: _Millis = 60_000
    settle_rows_max: Annotated[int, Meta(ge=1, le=10_000)] = 200
    list_rows_max: Annotated[int, Meta(ge=1, le=10_000)] = 500

    @property
    def counts_spending(self) -> bool:
        """Whether the spending of every viewer is counted, and not only of those with caps of their own."""
        caps = (self.gift_coins_max, self.day_coins_max, self.week_coins_max, self.month_coins_max)
        return any(caps) or self.gifts_per_minute > 0 or self.ages_known

    @property
    def ages_known(self) -> bool:
        """Whether a person must be known to be old enough."""
        return self.unknown_age == "refuse"


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of a system that serves from one data folder. Where things were last: no proof that they still run.

    Attributes:
        redis_url, database_url: as `LedgerConfig` takes them.
        http_url: where the gateways answer, without a slash at the end; empty when only the servers run.
        serve_pid: process id of `serve`.
        valkey_pid, postgres_pid: of the embedded servers, None where the operator brought their own.
        demo: whether the demo is switched on.
    """

    redis_url: str
    database_url: str
    http_url: str = ""
    serve_pid: int = 0
    valkey_pid: int | None = None
    postgres_pid: int | None = None
    demo: bool = False


def read_endpoints(data_dir: Path) -> Endpoints | None:
    """What the last `serve` wrote; None when there is no such file.

    Raises:
        OSError: the file is there and cannot be read.
        ValueError: it holds something else.
    """
    try:
        content = (data_dir / ENDPOINTS_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content, type=Endpoints)
    except msgspec.DecodeError as exc:
        raise ValueError(f"{data_dir / ENDPOINTS_FILE} is damaged: {exc}") from exc


def write_endpoints(data_dir: Path, endpoints: Endpoints) -> None:
    """Put the file in place at once, readable by its owner only: a reader sees the old or the new one.

    Raises:
        OSError: the folder cannot be written.
    """
    fresh = data_dir / f".{ENDPOINTS_FILE}.{os.getpid()}"
    content = msgspec.json.format(msgspec.json.encode(endpoints), indent=2) + b"\n"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)
    fresh.replace(data_dir / ENDPOINTS_FILE)


def remove_endpoints(data_dir: Path) -> None:
    """Forget the addresses after an orderly stop. A file that is not there is fine."""
    (data_dir / ENDPOINTS_FILE).unlink(missing_ok=True)

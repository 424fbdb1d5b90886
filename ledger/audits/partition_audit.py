"""Compares one partition of the live ledger with its totals and with the books. Values only, no I/O.

Balances were seen at different seqs; the records between carry each of them to one moment first.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from ledger.audits.live_audit import LivePartition, Seen
from ledger.audits.live_holds import gift_name, hold_name
from ledger.invariants import Findings, Invariant
from ledger.model import (
    AMOUNT_MAX,
    DIAMONDS_PER_COIN,
    CreditBody,
    GiftBody,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    ReversalBody,
)
from ledger.named_records import named

_HOLDS: Final = HoldBody | HoldEndBody
_GIFTS: Final = HeldGiftBody | GiftSettledBody | GiftUndoneBody


class BookPartition(Struct, frozen=True):
    """What the books hold of one partition, all at `position_seq`.

    Attributes:
        end_seq: the live ledger's last record, read after the books were.
        wallets, stripes: coins of each viewer, diamonds of each creator from viewers of this partition.
        last_seqs: the last record that moved each wallet.
        holds: coins of each hold and each gift that is open by its records, by `hold_name` and `gift_name`.
        coins_in, spent, reversed, held, charged, earned, commission: what the platform's accounts say.
        records: those that the comparison needs: between the first look at the balances and the journal, and those
            that were flushed after the live totals were read.
        stored: records of the books that the journal still has, by seq.
    """

    position_seq: int
    end_seq: int
    wallets: dict[str, int]
    stripes: dict[str, int]
    last_seqs: dict[str, int]
    holds: dict[str, int]
    coins_in: int
    spent: int
    reversed: int
    held: int
    charged: int
    earned: int
    commission: int
    records: list[JournalRecord]
    stored: dict[int, JournalRecord]


class Sums(Struct):
    """What records moved: by viewer, by creator, and in all."""

    wallets: defaultdict[str, int]
    stripes: defaultdict[str, int]
    coins_in: int = 0
    spent: int = 0
    reversed: int = 0
    held: int = 0
    held_gifts: int = 0
    charged: int = 0
    earned: int = 0
    commission: int = 0


def check_partition(live: LivePartition, books: BookPartition, findings: Findings) -> None:
    """Check everything about one partition that needs the live ledger."""
    findings.count(Invariant.I1, len(live.wallets) + len(live.stripes))
    findings.count(Invariant.I2, len(live.wallets))
    findings.count(Invariant.I3, live.ids)
    findings.count(Invariant.I4, len(live.records) + 1)
    findings.count(Invariant.I9, len(books.wallets) + len(books.stripes) + len(books.stored))
    name = f"partition {live.partition}"
    for words in live.damaged:
        findings.violate(Invariant.I2, f"{name}: {words}")
    for record in live.forgotten:
        findings.violate(Invariant.I3, f"{_name(record)} of {record.body.viewer}: its id is not remembered")
    whole = _check_journal(name, live, books, findings)
    records = {record.seq: record for record in (*books.records, *live.records)}
    until = live.totals.seq
    wallets = carried(live.wallets, records, live.first_seq, until, wallet_moved)
    stripes = carried(live.stripes, records, live.first_seq, until, stripe_moved)
    _check_totals(name, live, wallets, stripes, findings)
    for seq, stored in books.stored.items():
        if records[seq] != stored:
            findings.violate(Invariant.I9, f"{_name(stored)} of {stored.body.viewer}: journal and books differ")
    _check_holds(name, live, books, records, whole, findings)
    if whole:
        _check_against_books(name, live, books, records, (wallets, stripes), findings)


def carried(
    seen: Mapping[str, Seen],
    records: Mapping[int, JournalRecord],
    first_seq: int,
    until: int,
    moves: Callable[[JournalRecord], tuple[str, int] | None],
) -> dict[str, int]:
    """Balances at record `until`, from what was seen at or before it and what the records moved since."""
    amounts = {owner: one.amount for owner, one in seen.items()}
    for seq in range(first_seq + 1, until + 1):
        record = records.get(seq)
        moved = None if record is None else moves(record)
        if moved is None:
            continue
        owner, amount = moved
        if seq > (seen[owner].seq if owner in seen else first_seq):
            amounts[owner] = amounts.get(owner, 0) + amount
    return amounts


def wallet_moved(record: JournalRecord) -> tuple[str, int] | None:
    """Which wallet a record moves, and by how much."""
    match record.body:
        case CreditBody(viewer=viewer, coins=coins):
            return viewer, coins
        case HoldEndBody(viewer=viewer, coins=coins, taken_coins=taken):
            return viewer, coins - taken
        case GiftBody(viewer=viewer, coins=coins) | HeldGiftBody(viewer=viewer, coins=coins):
            return viewer, -coins
        case GiftSettledBody(viewer=viewer):
            return viewer, 0
        case GiftUndoneBody(viewer=viewer, coins=coins):
            return viewer, coins
        case ReversalBody(viewer=viewer, taken_coins=coins):
            return viewer, -coins
        case HoldBody(viewer=viewer, coins=coins):
            return viewer, -coins


def stripe_moved(record: JournalRecord) -> tuple[str, int] | None:
    """Which stripe a record moves, and by how much; only gifts that are paid do."""
    body = record.body
    return (body.creator, body.creator_diamonds) if isinstance(body, GiftBody | GiftSettledBody) else None


def _check_journal(name: str, live: LivePartition, books: BookPartition, findings: Findings) -> bool:
    """Say whether every record up to the end is in the journal or in the books."""
    for words in live.holes:
        findings.violate(Invariant.I4, f"{name}: {words}")
    if books.position_seq > books.end_seq:
        findings.violate(
            Invariant.I4,
            f"{name}: the live ledger ends at record {books.end_seq}, the books have {books.position_seq};"
            " `giftwire reconcile` names the difference",
        )
    if live.trimmed_seq > books.position_seq:
        findings.violate(
            Invariant.I9,
            f"{name}: records {books.position_seq + 1} to {live.trimmed_seq} are neither in the journal nor in the"
            " books",
        )
    told_seq = live.relayed_seq or 0
    if live.trimmed_seq > told_seq and not live.holes:
        findings.violate(
            Invariant.I9,
            f"{name}: the journal was trimmed to record {live.trimmed_seq}, the rooms were told {told_seq}",
        )
    if live.totals.flushed > books.position_seq:
        findings.violate(
            Invariant.I9,
            f"{name}: the live ledger takes {live.totals.flushed} records for flushed, the books have"
            f" {books.position_seq}",
        )
    return live.trimmed_seq <= books.position_seq <= books.end_seq


def _check_totals(
    name: str, live: LivePartition, wallets: Mapping[str, int], stripes: Mapping[str, int], findings: Findings
) -> None:
    totals = live.totals
    for viewer, coins in wallets.items():
        # A wallet may owe what refunds took, which is less than this; the books say of each debt where it comes from.
        if not -totals.reversed <= coins <= AMOUNT_MAX:
            findings.violate(Invariant.I2, f"{name}: wallet of {viewer} holds {coins} at record {totals.seq}")
    for what, found, expected in (
        (
            "wallets hold {} coins, coins in - spent - reversed - held - charged is {}",
            sum(wallets.values()),
            totals.coins_in - totals.spent - totals.reversed - totals.held - totals.charged,
        ),
        ("stripes hold {} diamonds, earned is {}", sum(stripes.values()), totals.earned),
        (
            "earned + commission is {} diamonds, 100 for each coin spent is {}",
            totals.earned + totals.commission,
            totals.spent * DIAMONDS_PER_COIN,
        ),
    ):
        if found != expected:
            findings.violate(Invariant.I1, f"{name}, record {totals.seq}: {what.format(found, expected)}")


def _check_holds(
    name: str,
    live: LivePartition,
    books: BookPartition,
    records: Mapping[int, JournalRecord],
    whole: bool,
    findings: Findings,
) -> None:
    """Every open hold has its deadline and is counted, all of them are what is held, and the books know the same."""
    holds = live.holds
    findings.count(Invariant.I1, len(holds.coins))
    for words in holds.loose:
        findings.violate(Invariant.I1, f"{name}, record {holds.seq}: {words}")
    if not whole:
        return
    expected = open_holds_at(books.holds, records, books.position_seq, holds.seq)
    for hold in holds.coins.keys() | expected.keys():
        found, booked = holds.coins.get(hold, 0), expected.get(hold, 0)
        if found != booked:
            findings.violate(
                Invariant.I9, f"{name}, record {holds.seq}: {hold} is of {found} coins, the books say {booked}"
            )


def open_holds_at(
    holds: Mapping[str, int], records: Mapping[int, JournalRecord], since: int, until: int
) -> dict[str, int]:
    """Open holds and gifts after record `until`, from those after `since` and the records between, forward or back."""
    coins = dict(holds)
    forward = since <= until
    between = range(since + 1, until + 1) if forward else range(since, until, -1)
    for seq in between:
        record = records.get(seq)
        if record is None or not isinstance(record.body, _HOLDS | _GIFTS):
            continue
        body = record.body
        name = hold_name(body.id, body.viewer) if isinstance(body, _HOLDS) else gift_name(body.id, body.viewer)
        if isinstance(body, HoldBody | HeldGiftBody) is forward:
            coins[name] = body.coins
        else:
            coins.pop(name, None)
    return coins


def _check_against_books(
    name: str,
    live: LivePartition,
    books: BookPartition,
    records: Mapping[int, JournalRecord],
    balances: tuple[Mapping[str, int], Mapping[str, int]],
    findings: Findings,
) -> None:
    """The books carried to the live totals' record, forward or back, are the live ledger."""
    position, until = books.position_seq, live.totals.seq
    low, high, sign = min(position, until), max(position, until), 1 if position < until else -1
    moved = sum_of(records[seq] for seq in range(low + 1, high + 1))
    at = f"{name}, record {until}"
    of_wallets = books.last_seqs | last_records(records.values(), wallet_moved)
    for what, in_live, in_books, since, last in (
        ("wallet", balances[0], books.wallets, moved.wallets, of_wallets),
        ("stripe", balances[1], books.stripes, moved.stripes, last_records(records.values(), stripe_moved)),
    ):
        for owner in in_live.keys() | in_books.keys() | since.keys():
            found, expected = in_live.get(owner, 0), in_books.get(owner, 0) + sign * since.get(owner, 0)
            if found != expected:
                known = f"; its last record is {_last_words(last[owner], records)}" if owner in last else ""
                findings.violate(
                    Invariant.I9, f"{at}: {what} of {owner} holds {found}, the books say {expected}{known}"
                )
    totals = live.totals
    for what, total, booked in (
        ("coins in", totals.coins_in, books.coins_in + sign * moved.coins_in),
        ("spent", totals.spent, books.spent + sign * moved.spent),
        ("reversed", totals.reversed, books.reversed + sign * moved.reversed),
        ("held", totals.held, books.held + sign * moved.held),
        ("charged", totals.charged, books.charged + sign * moved.charged),
        ("earned", totals.earned, books.earned + sign * moved.earned),
        ("commission", totals.commission, books.commission + sign * moved.commission),
    ):
        if total != booked:
            findings.violate(Invariant.I9, f"{at}: {what} is {total}, the books say {booked}")


def last_records(
    records: Iterable[JournalRecord], moves: Callable[[JournalRecord], tuple[str, int] | None]
) -> dict[str, int]:
    """The last record of each owner."""
    last: dict[str, int] = {}
    for record in records:
        moved = moves(record)
        if moved is not None:
            last[moved[0]] = max(record.seq, last.get(moved[0], 0))
    return last


def _last_words(seq: int, records: Mapping[int, JournalRecord]) -> str:
    record = records.get(seq)
    return str(seq) if record is None else f"{seq}, {named(record)}"


def sum_of(records: Iterable[JournalRecord]) -> Sums:
    sums = Sums(defaultdict(int), defaultdict(int))
    for record in records:
        body = record.body
        if isinstance(body, CreditBody):
            sums.wallets[body.viewer] += body.coins
            sums.coins_in += body.coins
        elif isinstance(body, ReversalBody):
            sums.wallets[body.viewer] -= body.taken_coins
            sums.reversed += body.taken_coins
        elif isinstance(body, HoldBody):
            sums.wallets[body.viewer] -= body.coins
            sums.held += body.coins
        elif isinstance(body, HoldEndBody):
            sums.wallets[body.viewer] += body.coins - body.taken_coins
            sums.held -= body.coins
            sums.charged += body.taken_coins
        elif isinstance(body, HeldGiftBody):
            sums.wallets[body.viewer] -= body.coins
            sums.held += body.coins
            sums.held_gifts += body.coins
        elif isinstance(body, GiftUndoneBody):
            sums.wallets[body.viewer] += body.coins
            sums.held -= body.coins
            sums.held_gifts -= body.coins
        else:
            if isinstance(body, GiftSettledBody):
                sums.held -= body.coins
                sums.held_gifts -= body.coins
            else:
                sums.wallets[body.viewer] -= body.coins
            sums.stripes[body.creator] += body.creator_diamonds
            sums.spent += body.coins
            sums.earned += body.creator_diamonds
            sums.commission += body.commission_diamonds
    return sums


def _name(record: JournalRecord) -> str:
    return f"record {record.partition}/{record.seq}"

"""One round of the rolling audit: everything that is stored, slice after slice, each of one moment.

A slice of the live ledger comes with the record up to which it is true; the books are waited for until they have that
record, and then say exactly what they hold at it. So nothing has to stand still, nothing is carried from one moment to
another, and memory is that of a slice, and of one sum for each creator.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from ledger.accounts import BOOKS_PARTITION
from ledger.audits import rolling_books as books
from ledger.audits.books_audit import CHECKS
from ledger.audits.hold_audit import open_holds
from ledger.audits.live_audit import (
    LiveTotals,
    find_forgotten,
    missing_end,
    read_balances_at,
    read_seq,
    read_totals,
    real_holes,
    scan_page,
)
from ledger.audits.live_holds import read_holds
from ledger.audits.pacing import Pacer
from ledger.audits.rolling_entries import PAGE, EntryWalk
from ledger.audits.rolling_sums import EntrySums, RecordSums, add_records
from ledger.books.postgres import Pool, connected, snapshot
from ledger.books.stored_records import stored_records
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.invariants import Invariant
from ledger.live.journal import Position, decode_entry
from ledger.live.keys import Keys, PartitionKeys
from ledger.model import AMOUNT_MAX, DIAMONDS_PER_COIN, JournalRecord, Partition

SEALS_TURNS = 8
"""The seals of a partition are worked out again in one of so many rounds. They say what happens to old records, and to
hash a record costs more than all else that is done with it."""
ENTRIES_READ = 8
"""Journal entries of a slice; under load one holds some hundred records."""

Violate = Callable[[Invariant, str], None]
Count = Callable[[int], None]


class _Walk(Struct):
    """How far the records of a partition were added up, and to what.

    Attributes:
        wallets, earnings: hashes of the entries that they must have.
        creators: diamonds by creator; only of the partition that is being compared, None otherwise.
    """

    seq: int = 0
    coins_in: int = 0
    spent: int = 0
    reversed: int = 0
    held: int = 0
    charged: int = 0
    earned: int = 0
    commission: int = 0
    residue: int = 0
    moving: int = 0
    earning: int = 0
    wallets: int = 0
    earnings: int = 0
    creators: dict[str, int] | None = None


class Round:
    """Everything once. `run` is called once.

    Args:
        violate: hears each contradiction.
        count: hears how many things were looked at.
        place: behind which entry the walk through the entries of single accounts goes on.
        turn: one more than in the round before.

    Attributes:
        place: where it stands at the end.
    """

    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        keys: Keys,
        config: LedgerConfig,
        pacer: Pacer,
        violate: Violate,
        count: Count,
        place: books.Place,
        turn: int,
    ) -> None:
        self.place = place
        self._turn = turn
        self._pool = pool
        self._redis = redis
        self._keys = keys
        self._config = config
        self._pacer = pacer
        self._violate = violate
        self._count = count
        self._walks: dict[Partition, _Walk] = {}
        self._creators: dict[str, tuple[int, int]] = {}
        self._booked: dict[Partition, int] = {}
        self._named = False
        self._entries = EntryWalk(pool, config, pacer, self._hear, count)

    async def run(self) -> None:
        """Look at everything.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer; begin a new round.
        """
        async with connected(self._pool) as connection:
            until = dict.fromkeys([partition for partition, _ in self._keys.all()], 0)
            until |= await books.read_positions(connection)
            self._booked = until
            self._hear(await books.read_shape(connection))
        entries = await self._entries.add_up(until)
        await self._balances()
        for partition, seq in sorted(until.items()):
            walk = self._walks[partition] = _Walk(creators={} if partition != BOOKS_PARTITION else None)
            await self._walk_to(partition, seq)
            self._check_made(partition, walk, entries)
            if (partition + self._turn) % SEALS_TURNS == 0:
                await self._seals(partition, seq)
            if partition != BOOKS_PARTITION:
                await self._partition(partition, self._keys.of(partition), walk)
                walk.creators = None
        await self._name_entries()
        await self._wallets()
        await self._days()
        await self._seldom()

    # The books alone.

    async def _seals(self, partition: Partition, until: int) -> None:
        """Records up to this one are those that were sealed."""
        last: books.Sealed | None = books.Sealed()
        while last is not None:
            async with self._pacer.slice(), connected(self._pool) as connection:
                before = last
                found, last = await books.read_seals(connection, partition, last, until, PAGE * self._config.audit_rows)
                self._hear(found)
                self._count(last.seq - before.seq if last else 0)

    async def _seldom(self) -> None:
        """Purchases, refunds, withdrawals, holds: little beside gifts, so each check looks at all of it at once."""
        for check in CHECKS:
            if check.seldom:
                async with self._pacer.slice(bounded=False), snapshot(self._pool) as connection:
                    found, looked_at = await books.run_whole(connection, check)
                self._hear(found)
                self._count(looked_at)

    async def _name_entries(self) -> None:
        """Say which entries are wrong, if any is; else walk through a few of them."""
        suspect = self._entries.suspect
        found, place = await self._entries.name(books.Place() if suspect else self.place, whole=suspect)
        if not suspect:
            self.place = place
        elif not found and not self._named:
            self._violate(Invariant.I9, "books: entries and records do not fit; `giftwire audit` looks at all of them")

    async def _balances(self) -> None:
        after, rows = 0, 1
        while rows:
            async with self._pacer.slice(), connected(self._pool) as connection:
                found, rows, after = await books.read_balances(connection, after, self._config.audit_rows)
                self._hear(found)
                self._count(rows)

    def _check_made(self, partition: Partition, walk: _Walk, entries: EntrySums) -> None:
        """What the entries add up to, and whether they are those that the records make."""
        for (of, unit), amount in entries.amounts.items():
            if of == partition and unit and amount != 0:
                self._name(
                    Invariant.I1, f"books, partition {of}, records 1 to {walk.seq}: entries sum to {amount} {unit}"
                )
        if partition == BOOKS_PARTITION:
            return
        left = entries.residues.get(partition, 0)
        if left != walk.residue:
            self._violate(
                Invariant.I1,
                f"books, partition {partition}, records 1 to {walk.seq}: residue holds {left} diamonds, gifts left"
                f" {walk.residue}",
            )
        for kind, wanted, hash_ in (("wallet", walk.moving, walk.wallets), ("pending", walk.earning, walk.earnings)):
            there = entries.counts.get((partition, kind), 0)
            if there != wanted:
                self._name(
                    Invariant.I9,
                    f"books, partition {partition}, records 1 to {walk.seq}: they make {wanted} entries of {kind}"
                    f" accounts, and {there} are there; `giftwire audit` names the records",
                )
            elif entries.hashes.get((partition, kind), 0) != hash_:
                self._entries.suspect = True

    def _name(self, invariant: Invariant, words: str) -> None:
        """Say what sums show; the single entries are to be named as well."""
        self._named = self._entries.suspect = True
        self._violate(invariant, words)

    async def _walk_to(self, partition: Partition, seq: int) -> None:
        """Add up the records of a partition up to this one, once the books have it."""
        walk = self._walks[partition]
        await self._reached({partition: seq})
        while walk.seq < seq:
            until = min(seq, walk.seq + PAGE * self._config.audit_rows)
            async with self._pacer.slice(), connected(self._pool) as connection:
                page = await add_records(connection, partition, walk.seq, until)
                self._count(page.rows)
                self._add(walk, page)
                if page.rows < until - walk.seq or page.unsplit:
                    if not page.rows:
                        until = (await books.next_record(connection, partition, walk.seq, seq) or seq + 1) - 1
                    self._hear(await books.name_faults(connection, partition, walk.seq, until))
                    self._named = self._entries.suspect = True
                walk.seq = until

    def _add(self, walk: _Walk, page: RecordSums) -> None:
        walk.coins_in += page.coins_in
        walk.spent += page.spent
        walk.reversed += page.reversed
        walk.held += page.held
        walk.charged += page.charged
        walk.earned += page.earned
        walk.commission += page.commission
        walk.residue += page.residue
        walk.moving += page.moving
        walk.earning += page.earning
        walk.wallets ^= page.wallets
        walk.earnings ^= page.earnings
        for creator, (diamonds, gifts, less) in page.creators.items():
            earned, given = self._creators.get(creator, (0, 0))
            self._creators[creator] = (earned + diamonds - less, given + gifts)
            if walk.creators is not None:
                walk.creators[creator] = walk.creators.get(creator, 0) + diamonds
        for agency, (diamonds, gifts, less) in page.agencies.items():
            earned, given = self._creators.get(agency, (0, 0))
            self._creators[agency] = (earned + diamonds - less, given + gifts)

    async def _days(self) -> None:
        """What creators earned by days is what the records earned them."""
        after, seen = "", set[str]()
        while True:
            async with self._pacer.slice(), snapshot(self._pool) as connection:
                until = await books.read_positions(connection)
                days = await books.read_days(connection, after, self._config.audit_rows)
            if not days:
                break
            for partition, seq in until.items():
                await self._walk_to(partition, seq)
            for creator, earned, gifts in days:
                self._check_day(creator, (earned, gifts))
                seen.add(creator)
            self._count(len(days))
            after = days[-1][0]
        for creator in self._creators.keys() - seen:
            # One whose first gift came after its page was read has its day by now; it is compared in the next round.
            async with self._pacer.slice(), connected(self._pool) as connection:
                if not await books.has_days(connection, creator):
                    self._check_day(creator, (0, 0))

    def _check_day(self, creator: str, days: tuple[int, int]) -> None:
        records = self._creators.get(creator, (0, 0))
        if days != records:
            self._violate(
                Invariant.I1,
                f"creator {creator}: days say {days[0]} diamonds by {days[1]} gifts, records say {records[0]} by"
                f" {records[1]}",
            )

    # The live ledger, and what the books say of it.

    async def _partition(self, partition: Partition, names: PartitionKeys, walk: _Walk) -> None:
        damaged: list[str] = []
        await self._journal(partition, names)
        await self._totals(partition, names, walk, damaged)
        await self._holds(partition, names)
        await self._stripes(partition, names, walk, damaged)
        await self._strangers(partition, names, damaged)
        for words in damaged:
            self._violate(Invariant.I2, f"partition {partition}: {words}")

    async def _totals(self, partition: Partition, names: PartitionKeys, walk: _Walk, damaged: list[str]) -> None:
        async with self._pacer.slice():
            totals = await read_totals(self._redis, names, damaged)
        if not await self._live_has(partition, totals.seq):
            return
        await self._walk_to(partition, totals.seq)
        self._count(1)
        for what, found, expected in (
            ("coins in", totals.coins_in, walk.coins_in),
            ("spent", totals.spent, walk.spent),
            ("reversed", totals.reversed, walk.reversed),
            ("held", totals.held, walk.held),
            ("charged", totals.charged, walk.charged),
            ("earned", totals.earned, walk.earned),
            ("commission", totals.commission, walk.commission),
        ):
            if found != expected:
                self._violate(
                    Invariant.I9,
                    f"partition {partition}, record {totals.seq}: {what} is {found}, the books say {expected}",
                )
        self._check_split(partition, totals)
        booked = (await self._reached({partition: totals.seq}))[partition]
        if totals.flushed > booked:
            self._violate(
                Invariant.I9,
                f"partition {partition}: the live ledger takes {totals.flushed} records for flushed, the books have"
                f" {booked}",
            )

    def _check_split(self, partition: Partition, totals: LiveTotals) -> None:
        diamonds, expected = totals.earned + totals.commission, totals.spent * DIAMONDS_PER_COIN
        if diamonds != expected:
            self._violate(
                Invariant.I1,
                f"partition {partition}, record {totals.seq}: earned + commission is {diamonds} diamonds, 100 for each"
                f" coin spent is {expected}",
            )

    async def _holds(self, partition: Partition, names: PartitionKeys) -> None:
        """The open holds and gifts fit each other, and are those of the books."""
        async with self._pacer.slice():
            holds = await read_holds(self._redis, names)
        for words in holds.loose:
            self._violate(Invariant.I1, f"partition {partition}, record {holds.seq}: {words}")
        self._count(len(holds.coins))
        if not await self._live_has(partition, holds.seq):
            return
        await self._reached({partition: holds.seq})
        async with self._pacer.slice(), connected(self._pool) as connection:
            booked = await open_holds(connection, partition, holds.seq)
        for hold in sorted(holds.coins.keys() | booked.keys()):
            found, expected = holds.coins.get(hold, 0), booked.get(hold, 0)
            if found != expected:
                self._violate(
                    Invariant.I9,
                    f"partition {partition}, record {holds.seq}: {hold} is of {found} coins, the books say {expected}",
                )

    async def _stripes(self, partition: Partition, names: PartitionKeys, walk: _Walk, damaged: list[str]) -> None:
        cursor, unseen = 0, set(walk.creators or ())
        while True:
            async with self._pacer.slice():
                cursor, page = await scan_page(
                    self._redis, names, names.earnings, "stripe", cursor, damaged, self._config.audit_rows
                )
            found = {creator: seen.amount for creator, seen in page.items()}
            if page and await self._live_has(partition, seq := next(iter(page.values())).seq):
                await self._check_stripes(partition, walk, seq, found)
            unseen.difference_update(found)
            if cursor == 0:
                break
        names_left = sorted(unseen)
        for start in range(0, len(names_left), self._config.audit_rows):
            part = names_left[start : start + self._config.audit_rows]
            async with self._pacer.slice():
                seq, amounts = await read_balances_at(self._redis, names, names.earnings, "stripe", part, damaged)
            if await self._live_has(partition, seq):
                await self._check_stripes(partition, walk, seq, dict(zip(part, amounts, strict=True)))

    async def _check_stripes(self, partition: Partition, walk: _Walk, seq: int, found: Mapping[str, int]) -> None:
        await self._walk_to(partition, seq)
        self._count(len(found))
        earned = walk.creators or {}
        for creator, diamonds in found.items():
            expected = earned.get(creator, 0)
            if diamonds != expected:
                self._violate(
                    Invariant.I9,
                    f"partition {partition}, record {seq}: stripe of {creator} holds {diamonds}, the books say"
                    f" {expected}",
                )

    async def _strangers(self, partition: Partition, names: PartitionKeys, damaged: list[str]) -> None:
        """Wallets of the live ledger that the books do not know; and none is below zero or too large."""
        cursor = 0
        while True:
            async with self._pacer.slice():
                cursor, page = await scan_page(
                    self._redis, names, names.wallets, "wallet", cursor, damaged, self._config.audit_rows
                )
            # Read after the wallets, and it only rises: a wallet cannot owe more than refunds have taken.
            owed_max = (await read_totals(self._redis, names, damaged)).reversed
            for viewer, (coins, seq) in page.items():
                if not -owed_max <= coins <= AMOUNT_MAX:
                    self._violate(
                        Invariant.I2, f"partition {partition}: wallet of {viewer} holds {coins} at record {seq}"
                    )
            self._count(len(page))
            if page and await self._live_has(partition, seq := next(iter(page.values())).seq):
                await self._reached({partition: seq})
                viewers = [viewer.replace("\0", "\\x00") for viewer in page]
                async with self._pacer.slice(), connected(self._pool) as connection:
                    for viewer in await books.unknown_wallets(connection, viewers, partition):
                        coins = page[viewer].amount if viewer in page else 0
                        if coins:
                            self._violate(
                                Invariant.I9,
                                f"partition {partition}, record {seq}: wallet of {viewer} holds {coins}, the books know"
                                " none",
                            )
            if cursor == 0:
                return

    async def _wallets(self) -> None:
        """Every wallet of the books is in the live ledger, with the same coins."""
        after, damaged = 0, list[str]()
        while True:
            async with self._pacer.slice(), connected(self._pool) as connection:
                page = await books.read_wallets(connection, after, self._config.audit_rows)
            if not page:
                return
            after = page[-1][0]
            by_partition: dict[Partition, list[tuple[int, str]]] = {}
            for account, viewer, partition in page:
                by_partition.setdefault(partition, []).append((account, viewer))
            for partition, wallets in by_partition.items():
                await self._compare_wallets(partition, wallets, damaged)
            self._count(len(page))

    async def _compare_wallets(self, partition: Partition, wallets: list[tuple[int, str]], damaged: list[str]) -> None:
        if not 0 <= partition < self._keys.partitions:
            self._violate(Invariant.I9, f"wallet of {wallets[0][1]} is in partition {partition}, which is not there")
            return
        names = self._keys.of(partition)
        async with self._pacer.slice():
            seq, coins = await read_balances_at(
                self._redis, names, names.wallets, "wallet", [viewer for _, viewer in wallets], damaged
            )
        if not await self._live_has(partition, seq):
            return
        await self._reached({partition: seq})
        async with self._pacer.slice(), connected(self._pool) as connection:
            accounts = [account for account, _ in wallets]
            self._hear(await books.differing_wallets(connection, accounts, [seq] * len(accounts), coins))

    async def _journal(self, partition: Partition, names: PartitionKeys) -> None:
        """The journal has no hole, begins no later than books and rooms are, ends no sooner than the totals say, holds
        what the books hold, and the ids of its records are remembered."""
        end, start, last = await read_seq(self._redis, names), "-", None
        while True:
            async with self._pacer.slice():
                name: Any = names.journal
                entries: Any = await self._redis.xrange(name, min=start, count=ENTRIES_READ)
                try:
                    records = [
                        one for stream_id, fields in entries for one in decode_entry(partition, stream_id, fields)
                    ]
                except InvariantBroken as exc:
                    self._violate(Invariant.I4, str(exc))
                    return
                if records:
                    start = f"({entries[-1][0].decode()}"
                    await self._check_order(partition, names, records, last)
                    await self._check_records(partition, names, records)
            if last is None:
                await self._check_front(partition, names, records[0].seq - 1 if records else end)
            last = records[-1].seq if records else last
            if len(entries) < ENTRIES_READ or (last is not None and last >= end):
                break
        if last is not None and last < end:
            missing = await missing_end(self._redis, names, last, end)
            for words in missing:
                self._violate(Invariant.I4, f"partition {partition}: {words}")
            if not missing:
                await self._check_front(partition, names, end)

    async def _check_front(self, partition: Partition, names: PartitionKeys, trimmed: int) -> None:
        relay: Any = names.relay
        told: Any = await self._redis.get(relay)
        told_seq = 0 if told is None else Position.parse(told).seq
        async with connected(self._pool) as connection:
            booked = (await books.read_positions(connection)).get(partition, 0)
        for who, seq in (("the books have", booked), ("the rooms were told", told_seq)):
            if trimmed > seq:
                self._violate(
                    Invariant.I9,
                    f"partition {partition}: the journal was trimmed to record {trimmed}, {who} {seq}",
                )

    async def _check_order(
        self, partition: Partition, names: PartitionKeys, records: list[JournalRecord], before: int | None
    ) -> None:
        gaps = [] if before is None or records[0].seq == before + 1 else [(before, records[0].seq)]
        gaps += [(one.seq, other.seq) for one, other in itertools.pairwise(records) if other.seq != one.seq + 1]
        for words in await real_holes(self._redis, names, gaps):
            self._violate(Invariant.I4, f"partition {partition}: {words}")

    async def _check_records(self, partition: Partition, names: PartitionKeys, records: list[JournalRecord]) -> None:
        self._count(len(records))
        forgotten, _ = await find_forgotten(self._redis, names, records, self._config)
        for record in forgotten:
            self._violate(Invariant.I3, f"{_name(record)} of {record.body.viewer}: its id is not remembered")
        async with connected(self._pool) as connection:
            booked = (await books.read_positions(connection)).get(partition, 0)
            there = {
                one.seq: one
                for one in await stored_records(connection, partition, records[0].seq, min(records[-1].seq, booked))
            }
        for record in records:
            if record.seq <= booked and there.get(record.seq) != record:
                self._violate(Invariant.I9, f"{_name(record)} of {record.body.viewer}: journal and books differ")

    # Both.

    async def _live_has(self, partition: Partition, seq: int) -> bool:
        """See that the live ledger is not behind the books: then what it held at a record cannot be compared.

        The books were read before.
        """
        booked = self._booked.get(partition, 0)
        if seq >= booked:
            return True
        self._violate(
            Invariant.I4,
            f"partition {partition}: the live ledger ends at record {seq}, the books have {booked};"
            " `giftwire reconcile` names the difference",
        )
        return False

    async def _reached(self, wanted: Mapping[Partition, int]) -> dict[Partition, int]:
        """Wait until the books have these records; where they are."""
        while any(self._booked.get(partition, 0) < seq for partition, seq in wanted.items()):
            async with self._pacer.slice(), connected(self._pool) as connection:
                self._booked = await books.read_positions(connection)
            if any(self._booked.get(partition, 0) < seq for partition, seq in wanted.items()):
                await asyncio.sleep(self._config.flush_interval_ms / 1000)
        return self._booked

    def _hear(self, found: list[books.Found]) -> None:
        for one in found:
            self._violate(Invariant(one.invariant), one.words)


def _name(record: JournalRecord) -> str:
    return f"record {record.partition}/{record.seq}"

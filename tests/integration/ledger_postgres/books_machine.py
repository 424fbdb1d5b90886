"""The state machine of the money scripts with books behind them: the real flusher, losses of Valkey, and real repairs.

What is lost and brought back is played on the twin by docs/ledger.md alone; the books are added up by SQL of its own.
After every step live ledger, twin, books and the records of all time are one.
"""

import contextlib
import copy
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final
from unittest.mock import patch

import asyncpg
import msgspec
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from msgspec import Struct

from ledger.books.postgres import Pool, connected, open_pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.live.journal import Position
from ledger.live.keys import Total
from ledger.live.redis_client import connect
from ledger.mending.reconcile import book_records
from ledger.mending.repair import repair
from ledger.model import (
    AMOUNT_MAX,
    UNDO_MS_MAX,
    Cause,
    CreditBody,
    GiftBody,
    GiftFields,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)
from ledger.twin.twin_partition import TwinPartition
from tests.integration.ledger.gift_machine import GiftMachine
from tests.integration.ledger.wishes import COMBO_KEY, NAMES, VIEWERS, Fresh
from tests.integration.ledger_postgres.flushing import flushing, until
from tests.integration.ledger_postgres.repairing import NoRooms
from tests.servers import Valkey

_TABLES: Final = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations', 'volumes')"
)
_BALANCES: Final = """
SELECT kind, owner, sum(amount)::bigint AS amount FROM entries JOIN accounts ON id = account_id GROUP BY kind, owner
"""
_HELD: Final = "SELECT kind, owner, balance FROM balances JOIN accounts ON id = account_id WHERE kind = 'pending'"


class Killed(Exception):
    """The repair is as good as killed here."""


class Copy(Struct, frozen=True):
    """Valkey as it was at one moment, and the twin.

    Attributes:
        keys: each with what it holds and the time at which it ends, 0 for never.
        seqs: of the last record of each partition.
        history: all records of each partition until then.
    """

    keys: dict[bytes, tuple[bytes, int]]
    twin: list[TwinPartition]
    seqs: list[int]
    trimmed: list[int]
    history: list[list[JournalRecord]]


class MachineRooms(NoRooms):
    """Rooms of a repair that end it at one telling, as a kill would."""

    async def tell(self, epoch: int, before_ms: int | None) -> None:
        try:
            await super().tell(epoch, before_ms)
        except KeyboardInterrupt as exc:
            raise Killed from exc

    async def verify(self) -> list[str]:
        # The machine's refunds stand in no row of the office.
        return [
            words
            for words in await super().verify()
            if "there is no such refund" not in words and "reversals are of" not in words
        ]


class BooksMachine(GiftMachine):
    """One example: empty Valkey, empty books, and a twin.

    Args:
        valkey: a running server of its own; it is killed, emptied and put back.
        database_url: a database with the schema, for this alone.
    """

    def __init__(self, valkey: Valkey, database_url: str) -> None:
        self.database_url = database_url
        super().__init__(valkey)
        self.books: list[list[JournalRecord]] = [[], []]
        self.copy: Copy | None = None
        self.lost = False
        self.repaired = 1
        self.pool: Pool = self.runner.run(self._empty_books())

    @property
    def books_config(self) -> LedgerConfig:
        """As the worker has it: small transactions, and no rest."""
        return msgspec.structs.replace(
            self.config,
            database_url=self.database_url,
            flush_interval_ms=1,
            trim_interval_ms=1,
            flush_records_max=3,
            flush_retry_ms_max=50,
        )

    async def _empty_books(self) -> Pool:
        pool = await open_pool(self.books_config)
        tables = ", ".join(row["tablename"] for row in await pool.fetch(_TABLES))
        await pool.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
        await pool.execute("INSERT INTO positions (partition) VALUES (-1)")
        return pool

    def teardown(self) -> None:
        self.runner.run(self.pool.close())
        super().teardown()

    # What happens.

    @initialize(ahead_ms=st.sampled_from([120_000, 3_600_000]), coins=st.sampled_from([200, 20, AMOUNT_MAX // 4]))
    def everybody_has_coins_and_the_clock_was_set_back(self, ahead_ms: int, coins: int) -> None:
        super().everybody_has_coins_and_the_clock_was_set_back({}, ahead_ms, coins)

    @precondition(lambda self: not self.lost)
    @rule(told_part=st.sampled_from([0.5, 1.0, 1.0]), breaks_at=st.sampled_from([None, None, 1, 2, 3, 4]))
    def flush_and_trim(self, told_part: float, breaks_at: int | None) -> None:
        """The real flusher; a connection breaks in one of its transactions, after the rows and before the commit."""
        told = [int(state.seq * told_part) for state in self.twin.partitions]
        with breaking(breaks_at):
            self.runner.run(self._flush(told))
        for partition, state in enumerate(self.twin.partitions):
            state.flushed = state.seq
            self.books[partition] = list(self.history[partition])
            self._trim_twin(partition, max(self.trimmed[partition], told[partition]))

    @precondition(lambda self: not self.lost)
    @rule()
    def keep_a_copy(self) -> None:
        names: Any = self.redis.keys()
        keys: dict[bytes, tuple[bytes, int]] = {}
        for name in names:
            ends: Any = self.redis.pexpiretime(name)
            value: Any = self.redis.dump(name)
            keys[name] = (value, max(0, int(ends)))
        seqs = [state.seq for state in self.twin.partitions]
        history = [list(records) for records in self.history]
        self.copy = Copy(keys, copy.deepcopy(self.twin.partitions), seqs, list(self.trimmed), history)

    @precondition(lambda self: any(self.books))
    @rule()
    def lose_everything(self) -> None:
        self.redis.flushall()
        self.twin.lose()
        self.history, self.trimmed, self.lost = [[], []], [0, 0], True
        self._set_clock(self.clock_ms)

    @precondition(lambda self: self._copy_fits())
    @rule()
    def fall_back_to_the_copy(self) -> None:
        """What neither the copy nor the books have is lost for good; what only the books have shuts its partition, and
        so does an epoch that a repair has ended since."""
        assert self.copy is not None
        self.redis.flushall()
        for name, (value, ends_ms) in self.copy.keys.items():
            self.redis.restore(name, ends_ms, value, absttl=bool(ends_ms))
        self.twin.partitions = copy.deepcopy(self.copy.twin)
        self.trimmed = list(self.copy.trimmed)
        self._set_clock(self.clock_ms)
        shut = [
            Partition(p)
            for p, seq in enumerate(self.copy.seqs)
            if seq < len(self.books[p]) or 0 < self.copy.twin[p].epoch < self.repaired
        ]
        for partition, seq in enumerate(self.copy.seqs):
            self.history[partition] = self.copy.history[partition][:seq]
        # Whatever was lost before: the copy stands in its place, and may lack nothing.
        self.lost = bool(shut) or not all(state.epoch for state in self.twin.partitions)
        if shut:
            self.runner.run(self._meet_the_loss(shut))
            for partition in shut:
                self.twin.shut(partition)

    def _copy_fits(self) -> bool:
        """Whether there is a copy, and the books have nothing else in the places of its records: where they have, a
        repair would refuse, and say why."""
        kept = [] if self.copy is None else self.copy.history
        return bool(kept) and all(
            book[: len(records)] == records[: len(book)] for book, records in zip(self.books, kept, strict=True)
        )

    @precondition(lambda self: self.lost)
    @rule(kills=st.lists(st.integers(1, 2), max_size=2), viewer=VIEWERS)
    def bring_back(self, kills: list[int], viewer: str) -> None:
        """A repair that is killed at some of its tellings, and begun again."""
        known = [state.epoch for state in self.twin.partitions] + [part[-1].epoch for part in self.books if part]
        epoch = max(self.repaired, *known) + 1
        for kill in kills:
            assert self.runner.run(self._repair(kill)) in (None, epoch)
            if self._is_open():
                break
            for partition in range(2):
                self.twin.shut(Partition(partition))
            self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 0, "", 0))])
        else:
            assert self.runner.run(self._repair(None)) == epoch
        self._repair_twin(epoch)
        self.epoch = self.repaired = epoch
        self.lost = False
        self._set_clock(self.clock_ms)

    @precondition(lambda self: not self.lost)
    @rule(everything=st.booleans(), again=st.booleans(), kills=st.lists(st.integers(1, 2), max_size=2), viewer=VIEWERS)
    def go_through_a_loss(self, everything: bool, again: bool, kills: list[int], viewer: str) -> None:
        """The whole way: what both partitions did after a copy is in the books, is lost, and comes back."""
        self.keep_a_copy()
        for name in NAMES:
            self.credit(name, 10)
            self.take_back(name, 1, 1.0, 0)
            self._give_all([self._order(Fresh(name, "cora", 1, 1, 5_000, COMBO_KEY, 0))])
            dear = [self._order(Fresh(name, "cora", 1, 1, 5_000, "", 0, undo_ms=UNDO_MS_MAX)) for _ in range(2)]
            self._give_all(dear)
            self._undo(dear[0], name)
        self.both_hold_the_same()
        self.flush_and_trim(0.5, None)
        for _ in range(1 + again):
            if everything:
                self.lose_everything()
            else:
                self.fall_back_to_the_copy()
            self.both_hold_the_same()
            self.take_back_again(-1, {}, 0, False)
            for name in NAMES:
                self._give_all([self._order(Fresh(name, "cora", 1, 1, 5_000, "", 0))])
            self.both_hold_the_same()
            self.bring_back(kills, viewer)
            self.both_hold_the_same()
            self.take_back_again(-1, {}, 0, False)

    @precondition(lambda self: not self.lost)
    @rule()
    def repair_nothing(self) -> None:
        """Where nothing is lost nothing is done, and the epoch stays."""
        assert self.runner.run(self._repair(None)) is None

    # What is true after every step, beside what the scripts and the twin hold.

    @invariant()
    def books_hold_what_was_flushed(self) -> None:
        for partition, records in enumerate(self.books):
            found = self.runner.run(self._records(Partition(partition)))
            assert found == records, f"I9: partition {partition} of the books holds other records"
        balances, held = self.runner.run(self._balances())
        expected = _balances_of([record for part in self.books for record in part])
        expected.update(self.own_balances())
        assert balances == _without_zeros(expected), "I1: accounts differ"
        assert held == {key: amount for key, amount in balances.items() if key[0] == "pending"}, "I1: balances differ"

    def own_balances(self) -> Counter[tuple[str, str]]:
        """What the books' own records moved, by kind and owner."""
        return Counter()

    # How it is done.

    async def _flush(self, told: list[int]) -> None:
        redis: Any = connect(self.config)
        for partition, keys in self.ledger.keys.all():
            upto = max(told[partition], self.trimmed[partition])
            record = self.history[partition][upto - 1] if upto else None
            stored = Position.parse(await redis.get(keys.relay) or b"0-0")
            if record is not None and record.seq > stored.seq:
                await redis.set(keys.relay, f"{record.epoch}-{record.seq}")
        seqs = [state.seq for state in self.twin.partitions]

        async def is_done() -> bool:
            flushed = [int(await redis.hget(keys.totals, Total.FLUSHED) or 0) for _, keys in self.ledger.keys.all()]
            return flushed == seqs

        try:
            async with flushing(self.pool, redis, self.books_config):
                await until(is_done)
        finally:
            await redis.aclose()

    def _trim_twin(self, partition: int, upto: int) -> None:
        self.trimmed[partition] = upto
        if upto:
            epoch, flushed = self.history[partition][upto - 1].epoch, self.twin.partitions[partition].flushed
            self.runner.run(self.twin.trim(Partition(partition), epoch, upto, flushed))

    async def _meet_the_loss(self, partitions: Sequence[Partition]) -> None:
        redis: Any = connect(self.config)

        async def shut() -> bool:
            epochs = [await redis.hget(self.ledger.keys.of(one).totals, Total.EPOCH) for one in partitions]
            return not any(map(int, epochs))

        try:
            async with flushing(self.pool, redis, self.books_config):
                await until(shut)
        except InvariantBroken as exc:
            assert exc.invariant == "I4"
        finally:
            await redis.aclose()

    async def _repair(self, killed_at: int | None) -> int | None:
        redis = connect(self.config)
        try:
            done = await repair(self.books_config, MachineRooms(redis, self.books_config, killed_at))
        except Killed:
            return None
        finally:
            await redis.aclose()
        assert done.violations == []
        return done.epoch

    def _is_open(self) -> bool:
        epochs: list[Any] = [self.redis.hget(keys.totals, Total.EPOCH) for _, keys in self.ledger.keys.all()]
        return all(int(epoch or 0) for epoch in epochs)

    def _repair_twin(self, epoch: int) -> None:
        for partition, records in enumerate(self.books):
            self.twin.shut(Partition(partition))
            state = self.twin.partitions[partition]
            missing = records[state.seq :]
            self.twin.bring_back(missing)
            self.history[partition] += missing
            if records:
                state.flushed = max(state.flushed, len(records))
                self._trim_twin(partition, max(self.trimmed[partition], len(records)))
        self.twin.let_in(epoch)

    async def _records(self, partition: Partition) -> list[JournalRecord]:
        async with connected(self.pool) as connection:
            return await book_records(connection, partition, 1, AMOUNT_MAX, 100_000)

    async def _balances(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
        async with connected(self.pool) as connection:
            balances: Counter[tuple[str, str]] = Counter()
            held: Counter[tuple[str, str]] = Counter()
            for row in await connection.fetch(_BALANCES):
                balances[row["kind"], row["owner"]] += row["amount"]
            for row in await connection.fetch(_HELD):
                held[row["kind"], row["owner"]] += row["balance"]
        return _without_zeros(balances), _without_zeros(held)


def _balances_of(records: list[JournalRecord]) -> Counter[tuple[str, str]]:
    """What every account holds after these records, by arithmetic."""
    held: Counter[tuple[str, str]] = Counter()
    for record in records:
        match record.body:
            case GiftBody() as gift:
                held["wallet", gift.viewer] -= gift.coins
                held["spent", ""] += gift.coins
                _earn(held, gift)
            case HeldGiftBody() as gift:
                held["wallet", gift.viewer] -= gift.coins
                held["coins_held", ""] += gift.coins
            case GiftUndoneBody() as gift:
                held["wallet", gift.viewer] += gift.coins
                held["coins_held", ""] -= gift.coins
            case GiftSettledBody() as gift:
                held["coins_held", ""] -= gift.coins
                held["spent", ""] += gift.coins
                _earn(held, gift)
            case CreditBody() as credit:
                held["wallet", credit.viewer] += credit.coins
                held["coins_granted" if credit.cause is Cause.GRANT else "coins_sold", ""] -= credit.coins
            case ReversalBody() as reversal:
                held["wallet", reversal.viewer] -= reversal.taken_coins
                held["coins_reversed", ""] += reversal.taken_coins
            case HoldBody() as hold:
                held["wallet", hold.viewer] -= hold.coins
                held["coins_held", ""] += hold.coins
            case HoldEndBody() as end:
                held["wallet", end.viewer] += end.coins - end.taken_coins
                held["coins_held", ""] -= end.coins
                held["coins_charged", ""] += end.taken_coins
    return held


def _earn(held: Counter[tuple[str, str]], gift: GiftFields) -> None:
    """What a gift is worth: creator's part and commission each without its fraction, and what they leave."""
    _, _, rate = gift.plan.partition(":")
    own = math.floor(Fraction(100 * gift.coins * int(rate), 10_000)) if rate else gift.commission_diamonds
    held["pending", gift.creator] += gift.creator_diamonds
    held["commission", ""] += own
    held["residue", ""] += gift.commission_diamonds - own
    held["issuance", ""] -= 100 * gift.coins


def _without_zeros(held: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {key: amount for key, amount in held.items() if amount}


@contextlib.contextmanager
def breaking(at: int | None) -> Iterator[None]:
    """The connection breaks once, behind the COPY of this number: its rows are there and not committed."""
    copy_rows, copies = asyncpg.Connection.copy_to_table, 0

    async def breaks(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal copies
        copies += 1
        done = await copy_rows(self, *args, **named)
        if copies == at:
            raise ConnectionResetError("planted")
        return done

    with patch.object(asyncpg.Connection, "copy_to_table", breaks):
        yield


def run_books_machine(valkey: Valkey, database_url: str, examples: settings, number: int) -> None:
    """Run the examples of this number on these servers.

    Raises:
        AssertionError: as `run_machine`.
    """

    class OnTheseServers(BooksMachine):
        def __init__(self) -> None:
            super().__init__(valkey, database_url)

    run_state_machine_as_test(seed(number)(OnTheseServers), settings=examples)

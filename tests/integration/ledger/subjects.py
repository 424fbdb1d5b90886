"""What the tests of the money script run on: the live ledger on a real server, and its twin in memory.

A subject is a ledger with a look behind it: its records, and all its wallets and stripes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from ledger.config import LedgerConfig
from ledger.live.batcher import Told
from ledger.live.guard_state import GuardSettings, LiveGuard
from ledger.live.journal import JournalReader
from ledger.live.keys import Total
from ledger.model import (
    AMOUNT_MAX,
    CreditOrder,
    CreditOutcome,
    EndOutcome,
    GiftOrder,
    GiftOutcome,
    HoldEnd,
    HoldOrder,
    HoldOutcome,
    JournalRecord,
    Partition,
    ReversalOrder,
    ReversalOutcome,
    UndoOutcome,
    ViewerId,
)
from ledger.service import Ledger, OpenCombo, open_ledger
from ledger.twin.twin import LedgerTwin


class LiveLedger(Protocol):
    """What `Ledger` and `LedgerTwin` have in common. mypy sees that both fit."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def submit(self, order: GiftOrder, told: Told) -> None: ...
    async def give(self, order: GiftOrder) -> GiftOutcome: ...
    async def credit(self, order: CreditOrder, *, until_ms: int = AMOUNT_MAX) -> CreditOutcome: ...
    async def reverse(
        self, order: ReversalOrder, *, most: int, keep: int, until_ms: int = AMOUNT_MAX
    ) -> ReversalOutcome: ...
    async def hold(self, order: HoldOrder, *, until_ms: int = AMOUNT_MAX) -> HoldOutcome: ...
    async def end_hold(
        self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, *, taken_coins: int | None = None
    ) -> EndOutcome: ...
    async def undo(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome: ...
    async def settle_gifts(self, partition: Partition, limit: int) -> int: ...
    async def open_gifts(self, partitions: Sequence[Partition]) -> int: ...
    async def due_holds(self, partition: Partition, limit: int) -> list[tuple[bytes, ViewerId]]: ...
    async def open_holds(self, partitions: Sequence[Partition]) -> int: ...
    async def ping(self) -> None: ...
    async def now_ms(self) -> int: ...
    async def balance(self, viewer: str) -> int: ...
    async def guard(self, viewer: str) -> LiveGuard: ...
    async def set_guards(self, settings: Sequence[tuple[str, GuardSettings]]) -> None: ...
    async def live_earnings(self, creator: str) -> int: ...
    async def open_combos(self, partition: Partition) -> list[OpenCombo]: ...
    async def forget_combo(self, partition: Partition, viewer: str, combo_key: str, combo_id: bytes) -> None: ...
    async def trim(self, partition: Partition, epoch: int, seq: int, flushed_seq: int) -> int: ...


class Subject(Protocol):
    """A ledger, and what it holds."""

    ledger: LiveLedger

    async def records(self) -> list[JournalRecord]:
        """Everything in the journals."""
        ...

    async def balances(self) -> tuple[dict[str, int], dict[str, int]]:
        """Every wallet, and every creator's stripes added up."""
        ...

    async def set_clock(self, ms: int) -> None:
        """Every partition has seen this time: the server's clock was set back since."""
        ...

    async def ran_ahead(self, ms: int) -> None:
        """The server's clock was at `ms` for a moment in which nothing was committed, and it is right again."""
        ...


class RealSubject:
    """The ledger of the scripts; what it holds is read from the raw keys."""

    def __init__(self, ledger: Ledger) -> None:
        self.real = ledger
        self.ledger: LiveLedger = ledger

    async def records(self) -> list[JournalRecord]:
        reader = JournalReader(self.real.redis, self.real.keys, [p for p, _ in self.real.keys.all()], {})
        return (await reader.read(block_ms=None, entries_max=10_000)).records

    async def balances(self) -> tuple[dict[str, int], dict[str, int]]:
        wallets: dict[str, int] = {}
        stripes: dict[str, int] = {}
        redis: Any = self.real.redis
        for _, keys in self.real.keys.all():
            wallets |= {viewer.decode(): int(coins) for viewer, coins in (await redis.hgetall(keys.wallets)).items()}
            for creator, diamonds in (await redis.hgetall(keys.earnings)).items():
                stripes[creator.decode()] = stripes.get(creator.decode(), 0) + int(diamonds)
        return wallets, stripes

    async def set_clock(self, ms: int) -> None:
        redis: Any = self.real.redis
        for _, keys in self.real.keys.all():
            await redis.hset(keys.totals, Total.CLOCK, str(ms))

    async def ran_ahead(self, ms: int) -> None:
        # The server itself lets go of what expires by then: each for its own time, which it is told has come.
        redis: Any = self.real.redis
        for _, keys in self.real.keys.all():
            async for name in redis.scan_iter(match=keys.ids(0)[:-1] + b"*"):
                if await redis.pexpiretime(name) < ms:
                    assert await redis.pexpireat(name, 1)


class TwinSubject:
    """The twin."""

    def __init__(self, twin: LedgerTwin) -> None:
        self.twin = twin
        self.ledger: LiveLedger = twin

    async def records(self) -> list[JournalRecord]:
        return await self.twin.records()

    async def balances(self) -> tuple[dict[str, int], dict[str, int]]:
        wallets: dict[str, int] = {}
        stripes: dict[str, int] = {}
        for partition in self.twin.partitions:
            wallets |= partition.wallets
            for creator, diamonds in partition.stripes.items():
                stripes[creator] = stripes.get(creator, 0) + diamonds
        return wallets, stripes

    async def set_clock(self, ms: int) -> None:
        for partition in self.twin.partitions:
            partition.clock_ms = ms

    async def ran_ahead(self, ms: int) -> None:
        for partition in self.twin.partitions:
            partition.forget_ids(ms)


SUBJECTS: dict[str, Callable[[LedgerConfig], Subject]] = {
    "scripts": lambda config: RealSubject(open_ledger(config)),
    "twin": lambda config: TwinSubject(LedgerTwin(config)),
}
"""How to make each, by name."""


def make_subject(kind: str, url: str, **settings: Any) -> Subject:
    """A subject of that kind; its ledger is not started yet."""
    return SUBJECTS[kind](msgspec.convert({"redis_url": url, **settings}, LedgerConfig))

"""Gifts from one process into a ledger, so many in flight at a time, and what one of them took."""

import asyncio
import time
from typing import Final

from msgspec import Struct

from ledger.bench.servers import BenchFailed, cpu_s
from ledger.ids import new_id
from ledger.model import (
    DIAMONDS_PER_COIN,
    Cause,
    CreatorId,
    CreditAccepted,
    CreditOrder,
    GiftAccepted,
    GiftOrder,
    GiftOutcome,
    ViewerId,
)
from ledger.service import Ledger

VIEWERS: Final = 2_000
CREATORS: Final = 100
WALLET_COINS: Final = 10**9
_CREDITED_AT_ONCE: Final = 8


class LedgerRound(Struct, frozen=True):
    """Gifts with so many in flight.

    Attributes:
        gifts_per_s: accepted and on disk.
        gifts_per_commit: how many shared one script call and one fsync.
        p50_ms, p99_ms: from handing a gift to the ledger until its outcome.
        server_us, client_us: CPU of Valkey and of this process, per gift.
        aof_bytes: what the append-only file grew by, per gift.
    """

    in_flight: int
    gifts_per_s: float
    gifts_per_commit: float
    p50_ms: float
    p99_ms: float
    server_us: float
    client_us: float
    aof_bytes: float


async def fill_wallets(ledger: Ledger) -> None:
    """Coins for every viewer.

    Raises:
        BenchFailed: one was not credited.
    """

    async def credit(viewer: int) -> None:
        order = CreditOrder(new_id(_now_ms()), _viewer(viewer), WALLET_COINS, Cause.GRANT, "bench")
        if not isinstance(await ledger.credit(order), CreditAccepted):
            raise BenchFailed("a wallet could not be filled")

    for first in range(0, VIEWERS, _CREDITED_AT_ONCE):
        await asyncio.gather(*(credit(viewer) for viewer in range(first, min(first + _CREDITED_AT_ONCE, VIEWERS))))


async def give(ledger: Ledger, in_flight: int, *, seconds: float, creators: int = CREATORS) -> LedgerRound:
    """Keep so many gifts in flight for so long.

    Args:
        creators: among how many the gifts are spread evenly.

    Raises:
        BenchFailed: a gift was not accepted.
    """
    server_pid = int((await ledger.redis.info("server"))["process_id"])
    stats = ledger.batcher.stats
    commits, gifts, aof = stats.commits, stats.gifts, await _aof_bytes(ledger)
    server_s, client_s, began_s = cpu_s(server_pid), time.process_time(), time.perf_counter()
    driver = _Driver(ledger, in_flight, seconds, creators)
    await driver.run()
    wall_s = time.perf_counter() - began_s
    server_s, client_s = cpu_s(server_pid) - server_s, time.process_time() - client_s
    if driver.failed:
        raise BenchFailed(f"a gift was not accepted: {driver.failed[0]}")
    accepted, took_s = len(driver.took_s), sorted(driver.took_s)
    return LedgerRound(
        in_flight=in_flight,
        gifts_per_s=round(accepted / wall_s, 1),
        gifts_per_commit=round((stats.gifts - gifts) / (stats.commits - commits), 1),
        p50_ms=round(took_s[accepted // 2] * 1000, 3),
        p99_ms=round(took_s[int(accepted * 0.99)] * 1000, 3),
        server_us=round(server_s / accepted * 1e6, 2),
        client_us=round(client_s / accepted * 1e6, 2),
        aof_bytes=round((await _aof_bytes(ledger) - aof) / accepted, 1),
    )


async def _aof_bytes(ledger: Ledger) -> int:
    return int((await ledger.redis.info("persistence"))["aof_current_size"])


class _Driver:
    """Keeps a number of gifts in flight until the time is up."""

    def __init__(self, ledger: Ledger, in_flight: int, seconds: float, creators: int) -> None:
        self._ledger = ledger
        self._in_flight = in_flight
        self._creators = creators
        self._end_s = time.perf_counter() + seconds
        self._open = 0
        self._number = 0
        self._done = asyncio.Event()
        self.took_s: list[float] = []
        self.failed: list[GiftOutcome] = []

    async def run(self) -> None:
        for _ in range(self._in_flight):
            self._send()
        await self._done.wait()

    def _send(self) -> None:
        self._open += 1
        self._number += 1
        began_s = time.perf_counter()

        def told(outcome: GiftOutcome) -> None:
            now_s = time.perf_counter()
            self._open -= 1
            if isinstance(outcome, GiftAccepted):
                self.took_s.append(now_s - began_s)
            else:
                self.failed.append(outcome)
            if now_s < self._end_s and not self.failed:
                self._send()
            elif not self._open:
                self._done.set()

        self._ledger.submit(_order(self._number, self._creators), told)


def _order(number: int, creators: int) -> GiftOrder:
    now_ms, coins = _now_ms(), 1
    half = coins * DIAMONDS_PER_COIN // 2
    return GiftOrder(
        id=new_id(now_ms),
        id_ms=now_ms,
        viewer=_viewer(number * 7919 % VIEWERS),
        creator=CreatorId(f"creator-{number % creators}"),
        content=b"rose 1 room:bench",
        place="room:bench",
        item="rose",
        unit_coins=coins,
        count=1,
        coins=coins,
        creator_diamonds=half,
        commission_diamonds=half,
        details=b"a name and a level",
    )


def _viewer(number: int) -> ViewerId:
    return ViewerId(f"viewer-{number}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

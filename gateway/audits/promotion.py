"""What a worker does when the live ledger's server was promoted: nothing is taken before a new epoch has begun there.

No connection for orders is made to such a server (`ledger.live.promotion`), so gateways and workers stand still,
whatever this does. It shuts orders out for all others as well, then repairs, or waits for an operator, as the
configuration says. It never guesses: what a repair refuses stays shut until somebody has looked. Of several workers
one repairs.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from msgspec import Struct
from redis.exceptions import RedisError

from gateway.audits.repair import repair_all
from gateway.room.config import RoomConfig
from ledger.config import LedgerConfig
from ledger.errors import EpochAwaited, InvariantBroken, LedgerUnavailable
from ledger.live.promotion import PROMOTED
from ledger.live.redis_client import connect
from ledger.mending.reconcile import LedgersDiffer, StillAtWork
from ledger.mending.repair import Repair, shut_out

LOOK_S: Final = 0.25
"""How often it is looked whether the server was promoted."""
_log = structlog.get_logger()


class PromotionStats(Struct):
    """Counts since the start, for metrics.

    Attributes:
        promoted: times that the server was found to be promoted.
        shut: 1 while no order is taken for that.
        refused: times that a repair was refused, or found violations: then orders stay shut out.
        repaired: times that this worker has begun a new epoch.
        records: brought back from the books then.
        epoch: the last that this worker began; 0 for none.
    """

    promoted: int = 0
    shut: int = 0
    refused: int = 0
    repaired: int = 0
    records: int = 0
    epoch: int = 0


class Promotions:
    """Looks after promotions of the live ledger's server. `run` is one duty; every worker does it."""

    def __init__(self, ledger: LedgerConfig, rooms: RoomConfig) -> None:
        self.stats = PromotionStats()
        self._ledger = ledger
        self._rooms = rooms
        self._then: Callable[[], Awaitable[None]] | None = None
        self._redis = connect(ledger, connections_max=1, any_server=True)
        self._given_up = False

    def then(self, repaired: Callable[[], Awaitable[None]]) -> None:
        """Call this after each repair by this worker: the leases, which it held meanwhile, are free again."""
        self._then = repaired

    async def close(self) -> None:
        """Let go of the server."""
        await self._redis.aclose()

    async def run(self) -> None:
        """Look until cancelled.

        Raises:
            LedgerUnavailable: a server did not answer amid a repair; to be run again.
        """
        while True:
            with contextlib.suppress(RedisError, OSError):
                # One that is away may be back as another server: that is looked for without a pause that grows.
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def begin(self) -> None:
        """For a start: go on only where orders may be taken, after a repair of this worker if need be.

        Raises:
            EpochAwaited: another worker repairs.
            LedgersDiffer: the repair was refused. Where the configuration says `wait`, the start is refused by others.
            LedgerUnavailable: a server did not answer.
        """
        try:
            await self.look()
        except (RedisError, OSError) as exc:
            raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
        if self.stats.shut and self._ledger.on_promotion == "repair":
            if self._given_up:
                raise LedgersDiffer("the promoted server was not repaired; the log says why")
            raise EpochAwaited(f"{PROMOTED}; another repair is at it")

    async def look(self) -> None:
        """See whether the server was promoted, and do about it what is to be done; returns when that is done."""
        if not await shut_out(self._redis, self._ledger):
            if self.stats.shut:
                _log.warning("server_accepted", error="a new epoch has begun on the promoted server")
            self.stats.shut, self._given_up = 0, False
            return
        if not self.stats.shut:
            self.stats.shut = 1
            self.stats.promoted += 1
            _log.critical("server_promoted", error=PROMOTED, on_promotion=self._ledger.on_promotion)
        if self._ledger.on_promotion == "repair" and not self._given_up:
            await self._repair()

    async def _repair(self) -> None:
        try:
            done = await repair_all(self._ledger, self._rooms, audited=False)
        except StillAtWork as exc:
            _log.info("promotion_waits", error=str(exc))
            return
        except (LedgersDiffer, InvariantBroken) as exc:
            self._give_up([str(exc)])
            return
        if done.violations:
            self._give_up(done.violations)
        elif done.epoch is not None:
            await self._count(done, done.epoch)

    def _give_up(self, why: list[str]) -> None:
        self._given_up = True
        self.stats.refused += 1
        words = "no order is taken until `giftwire reconcile --repair` has succeeded"
        _log.critical("promotion_not_repaired", error=words, why=why)

    async def _count(self, done: Repair, epoch: int) -> None:
        self.stats.repaired += 1
        self.stats.records += done.records
        self.stats.epoch = epoch
        self.stats.shut = 0
        _log.critical(
            "promotion_repaired",
            epoch=epoch,
            records=done.records,
            gifts=done.gifts,
            coins=done.coins,
            brought_back=[str(one) for one in done.named],
        )
        if self._then is not None:
            await self._then()

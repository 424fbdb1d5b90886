"""A repair without rooms, and looks at the live ledger from outside."""

from typing import Any

from redis.asyncio import Redis

from ledger.audits.audit import audit
from ledger.config import LedgerConfig
from ledger.live.keys import Keys, Total
from ledger.service import open_ledger


class NoRooms:
    """Rooms that hear everything at once and show nothing.

    Attributes:
        told: in which epochs they were told.
        killed_at: at which telling the process is as good as killed; None for never.
    """

    def __init__(self, redis: Redis, config: LedgerConfig, killed_at: int | None = None) -> None:
        self.begun: list[int] = []
        self.told: list[int] = []
        self.journal_max = 0
        self.killed_at = killed_at
        self._redis = redis
        self._config = config

    async def require_nobody(self) -> None:
        """There are no gateways."""

    async def begin(self, epoch: int) -> None:
        self.begun.append(epoch)

    async def tell(self, epoch: int, before_ms: int | None) -> None:
        """Note that everything was told."""
        self.told.append(epoch)
        if len(self.told) == self.killed_at:
            raise KeyboardInterrupt
        for _, keys in Keys(self._config.partitions).all():
            journal: Any = keys.journal
            last: Any = await self._redis.xrevrange(journal, count=1)
            self.journal_max = max(self.journal_max, await self._redis.xlen(journal))
            if last:
                relay: Any = keys.relay
                await self._redis.set(relay, last[0][0])

    async def verify(self) -> list[str]:
        report = await audit(self._config)
        return [words for result in report.invariants for words in result.violations]


async def totals_of(redis: Redis, config: LedgerConfig) -> list[dict[str, int]]:
    """The totals of every partition that are numbers."""
    found = []
    for _, keys in Keys(config.partitions).all():
        name: Any = keys.totals
        stored: Any = await redis.hgetall(name)
        stored.pop(Total.ID_BUCKETS.encode(), None)
        found.append({field.decode(): int(value) for field, value in stored.items()})
    return found


async def is_fenced(redis: Redis, config: LedgerConfig) -> bool:
    """Whether no partition takes orders."""
    return all(totals.get(Total.EPOCH, 0) == 0 for totals in await totals_of(redis, config))


async def let_in(config: LedgerConfig) -> None:
    """A ledger starts on this data without asking the books, and takes orders from then on."""
    ledger = open_ledger(config)
    await ledger.start()
    await ledger.stop()

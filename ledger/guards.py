"""Freezes and viewers' own caps: the row in PostgreSQL first, then the live ledger, which judges gifts by them.

A change is answered only when the live ledger has taken it. Until then the row is owed, and a duty tells it; settings
carry a version, so that they may be told late, twice and by several at once. What viewers have spent is counted in the
live ledger alone.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import Struct

from ledger.config import LedgerConfig
from ledger.guard_state import NO_SETTINGS, VIEWER_LIMITS, GuardSettings, LiveGuard, OwnCap
from ledger.model import Limit
from ledger.periods import resets_at_ms
from ledger.postgres import Connection, Pool, connected, transaction
from ledger.rows import at_ms, ms_of, refused_values
from ledger.service import Ledger

_BEGIN: Final = "INSERT INTO guards (viewer, version) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_LOCK: Final = "SELECT * FROM guards WHERE viewer = $1 FOR UPDATE"
_CHANGE: Final = """
UPDATE guards SET version = version + 1, changed_at = now(), frozen = $2,
    gift_coins = $3, gift_pending = $4, gift_from = $5, day_coins = $6, day_pending = $7, day_from = $8,
    week_coins = $9, week_pending = $10, week_from = $11, month_coins = $12, month_pending = $13, month_from = $14
WHERE viewer = $1
"""
_NOTE_FREEZE: Final = "INSERT INTO freezes (viewer, reason, by) VALUES ($1, $2, $3)"
_TOLD: Final = """
UPDATE guards SET told_version = told.version FROM unnest($1::text[], $2::bigint[]) AS told (viewer, version)
WHERE guards.viewer = told.viewer AND guards.told_version < told.version
"""
_OWED: Final = "SELECT * FROM guards WHERE told_version < version AND viewer > $1 ORDER BY viewer LIMIT $2"
_ALL: Final = "SELECT * FROM guards WHERE version > 0 AND viewer > $1 ORDER BY viewer LIMIT $2"

Change = Callable[[GuardSettings], GuardSettings]


class GuardStats(Struct):
    """What the duty did since the start.

    Attributes:
        told: settings that the live ledger was told, those of the start among them.
    """

    rounds: int = 0
    told: int = 0


class CapState(Struct, frozen=True):
    """One cap of a viewer, as it is now.

    Attributes:
        coins: the smaller of the operator's and the viewer's own; None for none.
        own: the viewer's, with what is pending.
        spent_coins: counted in the present period; None for the cap of a gift, and where nothing is counted.
        resets_at_ms: when the next period begins; None for the cap of a gift.
    """

    coins: int | None
    operator_coins: int | None
    own: OwnCap
    spent_coins: int | None
    resets_at_ms: int | None


class ViewerGuard(Struct, frozen=True):
    """A viewer's freeze and caps, as they are now.

    Attributes:
        frozen: the reason, where the account is frozen.
    """

    frozen: str | None
    caps: dict[Limit, CapState]


class Guards:
    """Changes and tells what forbids a viewer's gifts. Every method may raise `LedgerUnavailable`.

    After that a change may be in force, now or soon; the same change again is safe.
    """

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self.stats = GuardStats()
        self._pool = pool
        self._ledger = ledger
        self._config = config
        operator = (config.gift_coins_max, config.day_coins_max, config.week_coins_max, config.month_coins_max)
        self._operator = {limit: coins or None for limit, coins in zip(VIEWER_LIMITS, operator, strict=True)}

    async def read(self, viewer: str) -> ViewerGuard:
        """How it stands with a viewer; one that was never heard of has what the operator set for all."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow("SELECT * FROM guards WHERE viewer = $1", viewer)
        settings = NO_SETTINGS if row is None else _settings(row)
        return self._seen(settings, await self._ledger.guard(viewer), await self._ledger.now_ms())

    async def set_caps(self, viewer: str, wishes: Mapping[Limit, int | None]) -> ViewerGuard:
        """Change a viewer's own caps: a cut holds from now on, a raise or removal after `cap_raise_ms`.

        Args:
            wishes: coins by limit, None for no cap; limits that are not named stay as they are.

        Raises:
            ValueRefused: coins are out of their bounds, or the viewer's name cannot be one.
        """
        now_ms, wait_ms = await self._ledger.now_ms(), self._config.cap_raise_ms

        def change(settings: GuardSettings) -> GuardSettings:
            first, second, third, fourth = (
                cap.changed(wishes[limit], now_ms, wait_ms) if limit in wishes else cap
                for limit, cap in zip(VIEWER_LIMITS, settings.caps, strict=True)
            )
            return msgspec.structs.replace(settings, caps=(first, second, third, fourth))

        return await self._change(viewer, change)

    async def freeze(self, viewer: str, reason: str, *, by: str) -> ViewerGuard:
        """Refuse the viewer's gifts from now on, with this reason.

        Args:
            reason: 1 to 200 characters, which the viewer is told.
            by: the operator.

        Raises:
            ValueRefused: a text is out of its bounds, or the viewer's name cannot be one.
        """
        return await self._change(viewer, lambda settings: msgspec.structs.replace(settings, frozen=reason), by)

    async def thaw(self, viewer: str, *, by: str) -> ViewerGuard:
        """Take the viewer's gifts again."""
        return await self._change(viewer, lambda settings: msgspec.structs.replace(settings, frozen=None), by)

    async def tell_owed(self) -> int:
        """Tell the live ledger what it has not taken yet; how many viewers' settings that were."""
        return await self._tell_rows(_OWED)

    async def tell_all(self) -> int:
        """Tell the live ledger everything again, as after it was lost; how many viewers' settings that were.

        Safe at any time. What viewers have spent is another matter: see `guard_counts`.
        """
        return await self._tell_rows(_ALL)

    async def run(self) -> None:
        """The worker's duty: tell everything once, then what is owed, again and again until cancelled."""
        self.stats.told += await self.tell_all()
        while True:
            self.stats.rounds += 1
            await asyncio.sleep(self._config.guards_told_ms / 1000)
            self.stats.told += await self.tell_owed()

    async def _change(self, viewer: str, change: Change, freezer: str | None = None) -> ViewerGuard:
        with refused_values():
            async with transaction(self._pool) as connection:
                await connection.execute(_BEGIN, viewer)
                before = _settings(_found(await connection.fetchrow(_LOCK, viewer)))
                after = change(before)
                if after != before:
                    after = await _store(connection, viewer, after)
                if after.frozen != before.frozen:
                    await connection.execute(_NOTE_FREEZE, viewer, after.frozen, freezer)
        if after.version > 0:
            await self._tell([(viewer, after)])
        return self._seen(after, await self._ledger.guard(viewer), await self._ledger.now_ms())

    async def _tell_rows(self, statement: str) -> int:
        told, after = 0, ""
        while True:
            async with connected(self._pool) as connection:
                rows = await connection.fetch(statement, after, self._config.settle_rows_max)
            if not rows:
                return told
            await self._tell([(row["viewer"], _settings(row)) for row in rows])
            told += len(rows)
            after = rows[-1]["viewer"]

    async def _tell(self, settings: Sequence[tuple[str, GuardSettings]]) -> None:
        await self._ledger.set_guards(settings)
        async with connected(self._pool) as connection:
            await connection.execute(_TOLD, [viewer for viewer, _ in settings], [one.version for _, one in settings])

    def _seen(self, settings: GuardSettings, live: LiveGuard, now_ms: int) -> ViewerGuard:
        counted = self._config.counts_spending or settings.version > 0
        caps = {}
        for limit, stored in zip(VIEWER_LIMITS, settings.caps, strict=True):
            own, operator = stored.at(now_ms), self._operator[limit]
            smaller = min((coins for coins in (own.coins, operator) if coins is not None), default=None)
            spent = live.spent(limit, now_ms) if counted and limit is not Limit.GIFT else None
            caps[limit] = CapState(smaller, operator, own, spent, resets_at_ms(limit, now_ms))
        return ViewerGuard(settings.frozen, caps)


async def _store(connection: Connection, viewer: str, settings: GuardSettings) -> GuardSettings:
    values: list[Any] = []
    for cap in settings.caps:
        values += (cap.coins, cap.pending_coins, None if cap.from_ms is None else at_ms(cap.from_ms))
    await connection.execute(_CHANGE, viewer, settings.frozen, *values)
    return msgspec.structs.replace(settings, version=settings.version + 1)


def _found(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise RuntimeError("a row that was just inserted is not there")
    return row


def _settings(row: asyncpg.Record) -> GuardSettings:
    first, second, third, fourth = (
        OwnCap(
            row[f"{limit}_coins"],
            row[f"{limit}_pending"],
            None if row[f"{limit}_from"] is None else ms_of(row[f"{limit}_from"]),
        )
        for limit in VIEWER_LIMITS
    )
    return GuardSettings(row["version"], row["frozen"], (first, second, third, fourth))

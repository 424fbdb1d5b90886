"""Freezes, viewers' own caps and ages: the row in PostgreSQL first, then the live ledger, which judges gifts by them.

A change is answered only when the live ledger has taken it. Until then the row is owed, and a duty tells it; settings
carry a version, so that they may be told late, twice and by several at once. What viewers have spent is counted in the
live ledger alone. What age says is worked out from the rules of countries when a person or the rules change; a birthday
comes into force in the live ledger by itself.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import Struct

from ledger.books.postgres import Connection, Pool, connected, transaction
from ledger.books.rows import at_ms, ms_of, refused_values
from ledger.config import LedgerConfig
from ledger.guards.ages import NO_CAPS, NO_RULES, NOBODY, AgeRefusal, AgeRules, Person, PersonChange, steps_of
from ledger.guards.periods import resets_at_ms
from ledger.guards.persons import person_of, person_values
from ledger.live.guard_state import (
    NO_SETTINGS,
    VIEWER_LIMITS,
    GuardSettings,
    LiveGuard,
    OwnCap,
    pack_steps,
    read_steps,
)
from ledger.model import Limit
from ledger.service import Ledger

_BEGIN: Final = "INSERT INTO guards (viewer, version) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_LOCK: Final = "SELECT * FROM guards WHERE viewer = $1 FOR UPDATE"
_CHANGE: Final = """
UPDATE guards SET version = $2, changed_at = now(), frozen = $3,
    gift_coins = $4, gift_pending = $5, gift_from = $6, day_coins = $7, day_pending = $8, day_from = $9,
    week_coins = $10, week_pending = $11, week_from = $12, month_coins = $13, month_pending = $14, month_from = $15,
    age_steps = $16, age_rules = $17, born = $18, age_least = $19, country = $20, guardian = $21, guardian_at = $22
WHERE viewer = $1
"""
_NOTE_FREEZE: Final = "INSERT INTO freezes (viewer, reason, by) VALUES ($1, $2, $3)"
_NOTE_AGE: Final = """
INSERT INTO told_ages (viewer, born, age_least, country, guardian, by) VALUES ($1, $2, $3, $4, $5, $6)
"""
_OTHER_RULES: Final = """
SELECT viewer FROM guards WHERE age_rules <> '' AND (age_rules < $1 OR age_rules > $1) AND viewer > $2
ORDER BY viewer LIMIT $3
"""
_TOLD: Final = """
UPDATE guards SET told_version = told.version FROM unnest($1::text[], $2::bigint[]) AS told (viewer, version)
WHERE guards.viewer = told.viewer AND guards.told_version < told.version
"""
_OWED: Final = "SELECT * FROM guards WHERE told_version < version AND viewer > $1 ORDER BY viewer LIMIT $2"
_LATELY: Final = """
SELECT * FROM guards WHERE version > 0 AND changed_at > now() - interval '1 minute' AND viewer > $1
ORDER BY viewer LIMIT $2
"""
_ALL: Final = "SELECT * FROM guards WHERE version > 0 AND viewer > $1 ORDER BY viewer LIMIT $2"


class _Row(Struct, frozen=True):
    """What is stored of a viewer.

    Attributes:
        rules: digest of those by which the steps of age were worked out; empty where there are none.
    """

    settings: GuardSettings
    person: Person
    rules: str


_Change = Callable[[_Row], _Row]


class GuardStats(Struct):
    """What the duty did since the start.

    Attributes:
        told: settings that the live ledger was told, those of the start among them.
        renewed: people whose age was judged anew, since the rules of countries are others.
    """

    rounds: int = 0
    told: int = 0
    renewed: int = 0


class CapState(Struct, frozen=True):
    """One cap of a viewer, as it is now.

    Attributes:
        coins: the smallest of the operator's, the viewer's own and the one for its age; None for none.
        own: the viewer's, with what is pending.
        spent_coins: counted in the present period; None for the cap of a gift, and where nothing is counted.
        resets_at_ms: when the next period begins; None for the cap of a gift.
    """

    coins: int | None
    operator_coins: int | None
    age_coins: int | None
    own: OwnCap
    spent_coins: int | None
    resets_at_ms: int | None


class ViewerGuard(Struct, frozen=True):
    """A viewer's freeze, caps and age, as they are now.

    Attributes:
        frozen: the reason, where the account is frozen.
        person: what is known of it.
        age: why age or country forbid every gift now; None when they do not.
    """

    frozen: str | None
    caps: dict[Limit, CapState]
    person: Person
    age: AgeRefusal | None


class Guards:
    """Changes and tells what forbids a viewer's gifts. Every method may raise `LedgerUnavailable`.

    After that a change may be in force, now or soon; the same change again is safe.

    Args:
        ages: rules by which ages are judged; needed where `know` or `run` is called.
    """

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig, ages: AgeRules = NO_RULES) -> None:
        self.stats = GuardStats()
        self._pool = pool
        self._ledger = ledger
        self._config = config
        self._ages = ages
        self._ages_digest = ages.digest
        operator = (config.gift_coins_max, config.day_coins_max, config.week_coins_max, config.month_coins_max)
        self._operator = {limit: coins or None for limit, coins in zip(VIEWER_LIMITS, operator, strict=True)}

    async def read(self, viewer: str) -> ViewerGuard:
        """How it stands with a viewer; one that was never heard of has what the operator set for all."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow("SELECT * FROM guards WHERE viewer = $1", viewer)
        stored = _Row(NO_SETTINGS, NOBODY, "") if row is None else _row(row)
        return self._seen(stored, await self._ledger.guard(viewer), await self._ledger.now_ms())

    async def set_caps(self, viewer: str, wishes: Mapping[Limit, int | None]) -> ViewerGuard:
        """Change a viewer's own caps: a cut holds from now on, a raise or removal after `cap_raise_ms`.

        Args:
            wishes: coins by limit, None for no cap; limits that are not named stay as they are.

        Raises:
            ValueRefused: coins are out of their bounds, or the viewer's name cannot be one.
        """
        now_ms, wait_ms = await self._ledger.now_ms(), self._config.cap_raise_ms

        def change(row: _Row) -> _Row:
            first, second, third, fourth = (
                cap.changed(wishes[limit], now_ms, wait_ms) if limit in wishes else cap
                for limit, cap in zip(VIEWER_LIMITS, row.settings.caps, strict=True)
            )
            return _with(row, caps=(first, second, third, fourth))

        return await self._change(viewer, change)

    async def freeze(self, viewer: str, reason: str, *, by: str) -> ViewerGuard:
        """Refuse the viewer's gifts from now on, with this reason.

        Args:
            reason: 1 to 200 characters, which the viewer is told.
            by: the operator.

        Raises:
            ValueRefused: a text is out of its bounds, or the viewer's name cannot be one.
        """
        return await self._change(viewer, lambda row: _with(row, frozen=reason), by)

    async def thaw(self, viewer: str, *, by: str) -> ViewerGuard:
        """Take the viewer's gifts again."""
        return await self._change(viewer, lambda row: _with(row, frozen=None), by)

    async def know(self, viewer: str, change: PersonChange, *, by: str) -> ViewerGuard:
        """Note what is known of a viewer or creator; gifts are judged by it from now on.

        Args:
            by: the operator.

        Raises:
            ValueRefused: a value is out of its bounds, or the viewer's name cannot be one.
        """
        now_ms = await self._ledger.now_ms()

        def changed(row: _Row) -> _Row:
            person = row.person.changed(change, now_ms)
            return row if person == row.person else self._judged(msgspec.structs.replace(row, person=person))

        return await self._change(viewer, changed, by)

    async def renew(self) -> int:
        """Judge by the present rules all whose age was judged by others; how many those were."""
        renewed, after = 0, ""
        while True:
            async with connected(self._pool) as connection:
                rows = await connection.fetch(_OTHER_RULES, self._ages_digest, after, self._config.settle_rows_max)
            if not rows:
                return renewed
            for row in rows:
                await self._change(row["viewer"], self._judged)
            renewed += len(rows)
            after = rows[-1]["viewer"]

    async def tell_owed(self) -> int:
        """Tell the live ledger what it has not taken yet; how many viewers' settings that were."""
        return await self._tell_rows(_OWED)

    async def tell_lately(self) -> int:
        """Tell again what was decided in the last minute; how many viewers' settings that were.

        In `fast` mode a Valkey that is killed forgets what it took a moment before.
        """
        return await self._tell_rows(_LATELY)

    async def tell_all(self) -> int:
        """Tell the live ledger everything again, as after it was lost; how many viewers' settings that were.

        Safe at any time. What viewers have spent is another matter: see `guard_counts`.
        """
        return await self._tell_rows(_ALL)

    async def run(self) -> None:
        """The worker's duty: tell everything once, then what is owed, new or other by new rules, until cancelled."""
        self.stats.told += await self.tell_all()
        while True:
            self.stats.rounds += 1
            await asyncio.sleep(self._config.guards_told_ms / 1000)
            self.stats.renewed += await self.renew()
            self.stats.told += await self.tell_owed()
            await self.tell_lately()

    def _judged(self, row: _Row) -> _Row:
        person = row.person
        steps = steps_of(person, self._ages.of(person.country))
        return msgspec.structs.replace(_with(row, ages=steps), rules="" if person == NOBODY else self._ages_digest)

    async def _change(self, viewer: str, change: _Change, by: str | None = None) -> ViewerGuard:
        with refused_values():
            async with transaction(self._pool) as connection:
                await connection.execute(_BEGIN, viewer)
                before = _row(_found(await connection.fetchrow(_LOCK, viewer)))
                after = change(before)
                if after != before:
                    after = await _store(connection, viewer, after)
                if after.settings.frozen != before.settings.frozen:
                    await connection.execute(_NOTE_FREEZE, viewer, after.settings.frozen, by)
                if after.person != before.person:
                    await connection.execute(_NOTE_AGE, viewer, *person_values(after.person)[:-1], by)
        if after.settings.version > 0:
            await self._tell([(viewer, after.settings)])
        return self._seen(after, await self._ledger.guard(viewer), await self._ledger.now_ms())

    async def _tell_rows(self, statement: str) -> int:
        told, after = 0, ""
        while True:
            async with connected(self._pool) as connection:
                rows = await connection.fetch(statement, after, self._config.settle_rows_max)
            if not rows:
                return told
            await self._tell([(row["viewer"], _row(row).settings) for row in rows])
            told += len(rows)
            after = rows[-1]["viewer"]

    async def _tell(self, settings: Sequence[tuple[str, GuardSettings]]) -> None:
        await self._ledger.set_guards(settings)
        async with connected(self._pool) as connection:
            await connection.execute(_TOLD, [viewer for viewer, _ in settings], [one.version for _, one in settings])

    def _seen(self, row: _Row, live: LiveGuard, now_ms: int) -> ViewerGuard:
        settings, age = row.settings, row.settings.age_at(now_ms)
        counted = self._config.counts_spending or settings.version > 0
        caps = {}
        of_age = NO_CAPS if age is None else age.caps
        for limit, stored, age_coins in zip(VIEWER_LIMITS, settings.caps, of_age, strict=True):
            own, operator = stored.at(now_ms), self._operator[limit]
            smallest = min((coins for coins in (own.coins, operator, age_coins) if coins is not None), default=None)
            spent = live.spent(limit, now_ms) if counted and limit is not Limit.GIFT else None
            caps[limit] = CapState(smallest, operator, age_coins, own, spent, resets_at_ms(limit, now_ms))
        refusal = settings.age_refusal(now_ms, known=self._config.ages_known)
        return ViewerGuard(settings.frozen, caps, row.person, refusal)


async def _store(connection: Connection, viewer: str, row: _Row) -> _Row:
    """Store a changed row in a new version; the row as it is then."""
    after = _with(row, version=row.settings.version + 1)
    values: list[Any] = [after.settings.version, after.settings.frozen]
    for cap in after.settings.caps:
        values += (cap.coins, cap.pending_coins, None if cap.from_ms is None else at_ms(cap.from_ms))
    values += (pack_steps(after.settings.ages), after.rules, *person_values(after.person))
    await connection.execute(_CHANGE, viewer, *values)
    return after


def _with(row: _Row, **changes: object) -> _Row:
    """The row with other settings."""
    return msgspec.structs.replace(row, settings=msgspec.structs.replace(row.settings, **changes))


def _found(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise RuntimeError("a row that was just inserted is not there")
    return row


def _row(row: asyncpg.Record) -> _Row:
    first, second, third, fourth = (
        OwnCap(
            row[f"{limit}_coins"],
            row[f"{limit}_pending"],
            None if row[f"{limit}_from"] is None else ms_of(row[f"{limit}_from"]),
        )
        for limit in VIEWER_LIMITS
    )
    ages = read_steps(row["age_steps"])
    settings = GuardSettings(row["version"], row["frozen"], (first, second, third, fourth), ages)
    return _Row(settings, person_of(row), row["age_rules"])

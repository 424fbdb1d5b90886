"""Freezes and own caps in PostgreSQL and the live ledger: in force when they are answered, and again after a loss."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable, ValueRefused
from ledger.guards.guards import Guards
from ledger.live.guard_state import OwnCap
from ledger.model import GiftAccepted, GiftRefused, Limit, Refusal
from ledger.office import Office
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.repairing import let_in
from tests.waiting import until

DAY_MS = 86_400_000


async def refusal_of(ledger: Ledger, coins: int, viewer: str = "ann") -> Refusal | None:
    """Why a gift is refused; None when it is paid."""
    outcome = await ledger.give(gift_order(viewer, coins))
    return outcome.refusal if isinstance(outcome, GiftRefused) else None


async def rows(pool: Pool, statement: str) -> list[tuple[Any, ...]]:
    """What a question is answered with."""
    return [tuple(row) for row in await pool.fetch(statement)]


async def test_cut_holds_when_it_is_answered(office: Office, ledger: Ledger) -> None:
    """The next gift is judged by it, and the answer shows it with what was counted since the cap exists."""
    await ledger.credit(grant("ann", 100))
    assert await refusal_of(ledger, 30) is None
    first = await office.guards.set_caps("ann", {Limit.DAY: 50})
    assert (first.caps[Limit.DAY].coins, first.caps[Limit.DAY].spent_coins) == (50, 0)
    assert await refusal_of(ledger, 20) is None
    assert (await office.guards.read("ann")).caps[Limit.DAY].spent_coins == 20
    second = await office.guards.set_caps("ann", {Limit.DAY: 20, Limit.GIFT: 5})
    assert (second.caps[Limit.DAY].coins, second.caps[Limit.GIFT].coins) == (20, 5)
    outcomes = [await ledger.give(gift_order("ann", coins)) for coins in (6, 1)]
    caps = [one.cap for one in outcomes if isinstance(one, GiftRefused) and one.cap]
    assert [(cap.limit, cap.coins, cap.spent_coins) for cap in caps] == [(Limit.GIFT, 5, 0), (Limit.DAY, 20, 20)]
    assert await ledger.balance("ann") == 50


async def test_raise_waits_for_a_day(office: Office, ledger: Ledger) -> None:
    """Until then the old cap holds and the answer shows both; other caps stay as they are."""
    await ledger.credit(grant("ann", 100))
    await office.guards.set_caps("ann", {Limit.DAY: 10, Limit.WEEK: 40})
    before_ms = await ledger.now_ms()
    raised = await office.guards.set_caps("ann", {Limit.DAY: 90})
    own = raised.caps[Limit.DAY].own
    assert (own.coins, own.pending_coins) == (10, 90)
    assert own.from_ms is not None and before_ms + DAY_MS <= own.from_ms <= await ledger.now_ms() + DAY_MS
    assert raised.caps[Limit.WEEK].own == OwnCap(40)
    assert await refusal_of(ledger, 11) is Refusal.LIMIT_EXCEEDED
    assert await office.guards.read("ann") == raised
    assert (await office.guards.set_caps("ann", {Limit.DAY: 90})).caps[Limit.DAY].own == own


async def test_raise_holds_after_its_time(pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
    """With the shortest wait there is, a raised cap holds without anybody telling the live ledger again."""
    await ledger.credit(grant("ann", 100))
    guards = Guards(pool, ledger, msgspec.structs.replace(config, cap_raise_ms=1))
    await guards.set_caps("ann", {Limit.DAY: 10})
    raised = await guards.set_caps("ann", {Limit.DAY: None})
    async with asyncio.timeout(10):
        while raised.caps[Limit.DAY].own != OwnCap():
            raised = await guards.read("ann")
    assert await refusal_of(ledger, 11) is None


async def test_operators_cap_beside_the_viewers(pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
    """The smaller is shown as the one in force, and both are told."""
    guards = Guards(pool, ledger, msgspec.structs.replace(config, day_coins_max=50, month_coins_max=500))
    shown = await guards.set_caps("ann", {Limit.DAY: 70, Limit.MONTH: 400})
    assert [(shown.caps[limit].coins, shown.caps[limit].operator_coins) for limit in (Limit.DAY, Limit.MONTH)] == [
        (50, 50),
        (400, 500),
    ]
    untouched = await guards.read("bob")
    assert [cap.coins for cap in untouched.caps.values()] == [None, 50, None, 500]
    assert [cap.spent_coins for cap in untouched.caps.values()] == [None, 0, 0, 0]


async def test_freeze_and_thaw(office: Office, ledger: Ledger, pool: Pool) -> None:
    """Gifts are refused with the reason in between; who, when and why stays on record."""
    await ledger.credit(grant("ann", 10))
    assert (await office.guards.freeze("ann", "Ask us.", by="olga")).frozen == "Ask us."
    outcome = await ledger.give(gift_order("ann", 1))
    assert outcome == GiftRefused(Refusal.FROZEN, 10, reason="Ask us.")
    await office.guards.freeze("ann", "Ask us.", by="otto")
    await office.guards.set_caps("ann", {Limit.DAY: 5})
    assert (await office.guards.read("ann")).frozen == "Ask us."
    assert (await office.guards.thaw("ann", by="otto")).frozen is None
    assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
    assert await refusal_of(ledger, 6) is Refusal.LIMIT_EXCEEDED
    assert await rows(pool, "SELECT viewer, reason, by FROM freezes ORDER BY number") == [
        ("ann", "Ask us.", "olga"),
        ("ann", None, "otto"),
    ]


async def test_changes_at_once(office: Office, ledger: Ledger) -> None:
    """Twenty changes of one viewer leave the live ledger with what the row says, and the smallest cap in force."""
    changes = [office.guards.set_caps("ann", {Limit.DAY: coins}) for coins in range(20, 40)]
    await asyncio.gather(*changes, office.guards.freeze("ann", "Wait.", by="olga"))
    stored, live = await office.guards.read("ann"), await ledger.guard("ann")
    assert live.settings.frozen == stored.frozen == "Wait."
    assert live.settings.caps[1] == stored.caps[Limit.DAY].own
    assert stored.caps[Limit.DAY].coins == 20


async def test_change_while_the_live_ledger_is_away(
    office: Office, nowhere: Ledger, pool: Pool, config: LedgerConfig
) -> None:
    """Nothing is stored, and nobody is told that it holds."""
    guards = Guards(pool, nowhere, config)
    with pytest.raises(LedgerUnavailable):
        await guards.set_caps("ann", {Limit.DAY: 5})
    assert await rows(pool, "SELECT * FROM guards") == []


class Deaf(Ledger):
    """A live ledger that is lost between the row and the telling."""

    async def set_guards(self, settings: Any) -> None:
        """It does not answer."""
        raise LedgerUnavailable("lost")


async def test_change_that_the_live_ledger_did_not_hear_is_owed(
    office: Office, ledger: Ledger, pool: Pool, config: LedgerConfig
) -> None:
    """The row is committed, the caller is told that it is not known, and the duty brings it in."""
    await ledger.credit(grant("ann", 10))
    deaf = Deaf(ledger.redis, config)
    with pytest.raises(LedgerUnavailable):
        await Guards(pool, deaf, config).freeze("ann", "Ask us.", by="olga")
    assert await rows(pool, "SELECT version, told_version FROM guards") == [(1, 0)]
    assert await refusal_of(ledger, 1) is None
    assert await office.guards.tell_owed() == 1
    assert await refusal_of(ledger, 1) is Refusal.FROZEN
    assert await rows(pool, "SELECT version, told_version FROM guards") == [(1, 1)]
    assert await office.guards.tell_owed() == 0


async def test_everything_told_again_after_a_loss(
    office: Office, ledger: Ledger, pool: Pool, config: LedgerConfig
) -> None:
    """An empty live ledger learns every freeze and cap, in batches, however many there are."""
    viewers = [f"viewer{number}" for number in range(7)]
    for viewer in viewers:
        await office.guards.set_caps(viewer, {Limit.GIFT: 3})
    await office.guards.freeze("ann", "Ask us.", by="olga")
    await ledger.redis.flushall()
    await let_in(config)
    small = Guards(pool, ledger, msgspec.structs.replace(config, settle_rows_max=3))
    assert await small.tell_owed() == 0
    assert await small.tell_all() == 8
    for viewer in (*viewers, "ann"):
        await ledger.credit(grant(viewer, 10))
    assert [await refusal_of(ledger, 4, viewer) for viewer in viewers] == [Refusal.LIMIT_EXCEEDED] * 7
    assert [await refusal_of(ledger, 3, viewer) for viewer in viewers] == [None] * 7
    assert await refusal_of(ledger, 1) is Refusal.FROZEN


async def test_duty_tells_everything_when_it_begins(office: Office, ledger: Ledger) -> None:
    """A worker that starts beside a live ledger without guards brings them in."""
    await ledger.credit(grant("ann", 10))
    await office.guards.freeze("ann", "Ask us.", by="olga")
    await ledger.redis.delete(*(keys.guards for _, keys in ledger.keys.all()))
    duty = asyncio.create_task(office.guards.run())
    await until(lambda: office.guards.stats.told == 1, 10)
    duty.cancel()
    await asyncio.gather(duty, return_exceptions=True)
    assert await refusal_of(ledger, 1) is Refusal.FROZEN


async def test_duty_tells_again_what_valkey_took_and_lost(office: Office, ledger: Ledger, pool: Pool) -> None:
    """A freeze that was answered a moment before a kill holds again at the next round; what is older is left alone."""
    for viewer in ("ann", "bob"):
        await ledger.credit(grant(viewer, 10))
        await office.guards.freeze(viewer, "Ask us.", by="olga")
    await pool.execute("UPDATE guards SET changed_at = now() - interval '2 minutes' WHERE viewer = 'bob'")
    await ledger.redis.delete(*(keys.guards for _, keys in ledger.keys.all()))
    assert await office.guards.tell_owed() == 0
    assert await office.guards.tell_lately() == 1
    assert await refusal_of(ledger, 1) is Refusal.FROZEN


async def test_duty_goes_on_telling_again(office: Office, ledger: Ledger, pool: Pool, config: LedgerConfig) -> None:
    """Each of its rounds does."""
    guards = Guards(pool, ledger, msgspec.structs.replace(config, guards_told_ms=1))
    await ledger.credit(grant("ann", 10))
    await guards.freeze("ann", "Ask us.", by="olga")
    duty = asyncio.create_task(guards.run())
    await until(lambda: guards.stats.told == 1, 10)
    await ledger.redis.delete(*(keys.guards for _, keys in ledger.keys.all()))
    rounds = guards.stats.rounds
    await until(lambda: guards.stats.rounds >= rounds + 2, 10)
    duty.cancel()
    await asyncio.gather(duty, return_exceptions=True)
    assert await refusal_of(ledger, 1) is Refusal.FROZEN


async def test_guards_after_a_restart(office: Office, ledger: Ledger, config: LedgerConfig) -> None:
    """Another process judges by them, and goes on counting where the first one was."""
    await ledger.credit(grant("ann", 100))
    await office.guards.set_caps("ann", {Limit.MONTH: 50})
    assert await refusal_of(ledger, 30) is None
    other = open_ledger(config)
    await other.start()
    assert await refusal_of(other, 21) is Refusal.LIMIT_EXCEEDED
    assert await refusal_of(other, 20) is None
    await other.stop()


async def test_change_that_changes_nothing(office: Office, ledger: Ledger) -> None:
    """A viewer without caps who asks for none stays one of whom nothing is counted."""
    await office.guards.set_caps("ann", {Limit.DAY: None})
    await office.guards.thaw("ann", by="olga")
    assert (await ledger.guard("ann")).settings.version == 0
    assert await office.guards.tell_all() == 0


@pytest.mark.parametrize("reason", ["", "x" * 201])
async def test_reason_out_of_its_bounds(office: Office, pool: Pool, reason: str) -> None:
    """The table refuses it, and nothing is frozen."""
    with pytest.raises(ValueRefused):
        await office.guards.freeze("ann", reason, by="olga")
    assert await rows(pool, "SELECT * FROM guards") == []


async def test_pending_cap_without_its_time(pool: Pool) -> None:
    """The table does not hold half of a raise."""
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO guards (viewer, version, day_pending) VALUES ('ann', 1, 5)")

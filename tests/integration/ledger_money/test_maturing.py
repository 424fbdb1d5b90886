"""Earnings mature on a real PostgreSQL: each diamond once, whoever else is at it."""

import asyncio
import datetime
import random

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.guards.ages import NO_RULES
from ledger.guards.persons import AgeCheck
from ledger.office import Office
from ledger.payouts.maturing import Maturing
from ledger.payouts.payout_limits import PayoutRules
from ledger.payouts.payouts import Earnings, Payouts
from ledger.rails.manual import ManualRail
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_postgres.flushing import until

TODAY = datetime.datetime.now(datetime.UTC).date()


def maturing_after(days: int, pool: Pool, config: LedgerConfig, **changes: int) -> Maturing:
    """The duty of a deployment in which earnings ripen for so many days."""
    return Maturing(pool, msgspec.structs.replace(config, maturing_days=days, **changes))


async def test_earnings_mature_at_once(office: Office, money: Money) -> None:
    """With no days to wait, the next round moves everything, and the one after it nothing."""
    assert await money.earn("cora", 10) == 500
    before = await office.payouts.earnings("cora")
    assert (before.pending_diamonds, before.available_diamonds) == (500, 0)
    assert await office.maturing.round(TODAY) == 500
    assert await office.maturing.round(TODAY) == 0
    assert await office.payouts.earnings("cora") == Earnings(0, 500, 0, 0, None)
    await money.assert_books_sum_to_zero()


async def test_earnings_of_a_creator_never_heard_of(office: Office) -> None:
    """Zeros."""
    assert await office.payouts.earnings("nobody") == Earnings(0, 0, 0, 0, None)


async def test_earnings_after_their_days(office: Office, money: Money, pool: Pool, config: LedgerConfig) -> None:
    """A day is ripe when it ended 7 days ago, and not an instant sooner."""
    await money.earn("cora", 10)
    await pool.execute("UPDATE creator_days SET day = '2026-03-01'")
    maturing = maturing_after(7, pool, config)
    assert await maturing.round(datetime.date(2026, 3, 8)) == 0
    assert await maturing.round(datetime.date(2026, 3, 9)) == 500


async def test_next_matures_is_when_it_matures(money: Money, pool: Pool, config: LedgerConfig, office: Office) -> None:
    """The time that a creator is told is the start of the day on which the duty moves the earnings."""
    await money.earn("cora", 10)
    await pool.execute("UPDATE creator_days SET day = '2026-03-01'")
    slow = msgspec.structs.replace(config, maturing_days=7)
    payouts = Payouts(pool, ManualRail(), slow, AgeCheck(NO_RULES, known=False), PayoutRules())
    told = (await payouts.earnings("cora")).next_matures_ms
    assert told == datetime.datetime(2026, 3, 9, tzinfo=datetime.UTC).timestamp() * 1000


async def test_late_gift_of_a_matured_day(office: Office, money: Money) -> None:
    """What is added to a day after it matured matures by itself."""
    await money.earn("cora", 10)
    assert await office.maturing.round(TODAY) == 500
    await money.earn("cora", 3)
    assert await office.maturing.round(TODAY) == 150
    assert (await office.payouts.earnings("cora")).available_diamonds == 650


async def test_maturing_many_times_at_once(office: Office, money: Money, pool: Pool) -> None:
    """Eight rounds at the same time move each diamond once."""
    for number in range(5):
        await money.earn(f"c{number}", 10 + number)
    moved = await asyncio.gather(*(office.maturing.round(TODAY) for _ in range(8)))
    assert sum(moved) == sum((10 + number) * 50 for number in range(5))
    for number in range(5):
        assert await money.balance("available", f"c{number}") == (10 + number) * 50
    assert await money.balance("pending", "c0") == 0
    assert await pool.fetchval("SELECT count(*) FROM journal_records WHERE kind = 'matured'") == 5
    await money.assert_books_sum_to_zero()


async def test_maturing_in_small_bites(money: Money, pool: Pool, config: LedgerConfig) -> None:
    """Every creator is reached, however few are taken at a time."""
    for number in range(5):
        await money.earn(f"c{number}", 1)
    assert await maturing_after(0, pool, config, settle_rows_max=2).round(TODAY) == 250
    assert [await money.balance("available", f"c{number}") for number in range(5)] == [50] * 5


async def test_maturing_beside_the_flusher(office: Office, money: Money, pool: Pool) -> None:
    """Records that are written while others mature: nobody waits in a circle, and nothing is lost."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    done = asyncio.Event()

    async def mature() -> int:
        moved = 0
        while not done.is_set():
            moved += await office.maturing.round(TODAY)
        return moved + await office.maturing.round(TODAY)

    rounds = [asyncio.create_task(mature()) for _ in range(2)]
    earned = 0
    for _ in range(40):
        earned += await money.earn(f"c{chance.randrange(4)}", chance.randrange(1, 50), f"v{chance.randrange(3)}")
    done.set()
    assert sum(await asyncio.gather(*rounds)) == earned
    assert sum([await money.balance("available", f"c{number}") for number in range(4)]) == earned
    await money.assert_books_sum_to_zero()


async def test_days_that_say_more_than_is_pending(office: Office, money: Money, pool: Pool) -> None:
    """Money that contradicts itself stops the duty, and nothing moves."""
    await money.earn("cora", 10)
    await pool.execute("UPDATE creator_days SET earned = earned + 1")
    with pytest.raises(InvariantBroken, match="I10"):
        await office.maturing.round(TODAY)
    assert await money.balance("available", "cora") == 0


async def test_run_matures_until_cancelled(money: Money, pool: Pool, config: LedgerConfig) -> None:
    """The duty goes on by itself."""
    maturing = maturing_after(0, pool, config, maturing_interval_ms=5)
    duty = asyncio.create_task(maturing.run())
    await money.earn("cora", 10)

    async def matured() -> bool:
        return await money.balance("available", "cora") == 500

    await until(matured)
    duty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await duty

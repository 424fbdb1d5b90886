"""The operator's steps on a real PostgreSQL: all pairs of states, and where the diamonds are after each."""

import asyncio

import asyncpg
import pytest

from ledger.books.postgres import Pool
from ledger.errors import NotFound, ValueRefused, WrongState
from ledger.ids import new_id
from ledger.office import Office
from ledger.payouts.payout_states import STEPS, PayoutState
from ledger.payouts.payouts import Withdrawal
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.test_payouts import order, rich_creator, taken

ALLOWED = """
# from        to: requested review approved sent paid failed returned rejected
  requested       .         yes    .        .    .    .      .        yes
  review          .         .      yes      .    .    .      .        yes
  approved        .         .      .        yes  .    .      .        yes
  sent            .         .      .        .    yes  yes    yes      .
  paid            .         .      .        .    .    .      yes      .
  failed          .         .      .        .    .    .      .        .
  returned        .         .      .        .    .    .      .        .
  rejected        .         .      .        .    .    .      .        .
"""
WAY_TO = {
    "requested": "",
    "review": "review",
    "approved": "review approved",
    "sent": "review approved sent",
    "paid": "review approved sent paid",
    "failed": "review approved sent failed",
    "returned": "review approved sent returned",
    "rejected": "review rejected",
}
# Diamonds and cents after each state, for a withdrawal of 100,000 diamonds out of 100,000.
BALANCES = """
# state      available  hold    redeemed  paid_out  funds
  requested  0          100000  0         0         0
  review     0          100000  0         0         0
  approved   0          100000  0         0         0
  sent       0          100000  0         0         0
  paid       0          0       100000    1000      -1000
  failed     100000     0       0         0         0
  returned   100000     0       0         0         0
  rejected   100000     0       0         0         0
"""


def rows_of(table: str) -> list[list[str]]:
    """The lines of a table, without its head."""
    return [line.split() for line in table.splitlines() if line and not line.startswith("#")]


async def walk(office: Office, withdrawal: Withdrawal, way: str) -> Withdrawal:
    """Take some steps."""
    for state in way.split():
        withdrawal = await office.payouts.step(withdrawal.id, PayoutState(state), by="olga", note=f"to {state}")
    return withdrawal


async def balances(money: Money) -> list[int]:
    """In the order of BALANCES."""
    accounts = (("available", "cora"), ("payout_hold", "cora"), ("redeemed", ""), ("paid_out", "cora"))
    return [await money.balance(kind, owner) for kind, owner in (*accounts, ("payout_funds", ""))]


@pytest.mark.parametrize("row", rows_of(ALLOWED), ids=lambda row: row[0])
async def test_step_to_every_state(office: Office, money: Money, row: list[str]) -> None:
    """From each state exactly the steps of the table are taken; a refused one changes nothing."""
    method = await rich_creator(office, money, 2_000 * 8)
    for state, allowed in zip(PayoutState, row[1:], strict=True):
        withdrawal = await walk(office, await taken(office, order(method, 100_000)), WAY_TO[row[0]])
        assert withdrawal.state.value == row[0]
        if allowed == "yes":
            assert (await office.payouts.step(withdrawal.id, state, by="olga")).state is state
        else:
            with pytest.raises(WrongState, match=row[0]):
                await office.payouts.step(withdrawal.id, state, by="olga")
            assert await office.payouts.withdrawal(withdrawal.id) == withdrawal
    await money.assert_books_sum_to_zero()


@pytest.mark.parametrize("row", rows_of(BALANCES), ids=lambda row: row[0])
async def test_diamonds_in_every_state(office: Office, money: Money, row: list[str]) -> None:
    """Held on the way, gone when paid, back when it ends otherwise; and each unit sums to zero."""
    method = await rich_creator(office, money, 2_000)
    await walk(office, await taken(office, order(method, 100_000)), WAY_TO[row[0]])
    assert await balances(money) == [int(number) for number in row[1:]]
    await money.assert_books_sum_to_zero()


async def test_money_that_comes_back_after_it_was_paid(office: Office, money: Money) -> None:
    """The reversal of a payment: the diamonds are available again, the money is in the funds."""
    method = await rich_creator(office, money, 2_000)
    withdrawal = await walk(office, await taken(office, order(method, 100_000)), "review approved sent paid")
    assert (await office.payouts.earnings("cora")).paid_out_diamonds == 100_000
    await walk(office, withdrawal, "returned")
    assert await balances(money) == [100_000, 0, 0, 0, 0]
    assert (await office.payouts.earnings("cora")).paid_out_diamonds == 0
    await money.assert_books_sum_to_zero()
    await taken(office, order(method, 100_000))


async def test_steps_are_kept(office: Office, money: Money, pool: Pool) -> None:
    """Every step is a row with who, when and why; every movement of diamonds a record."""
    method = await rich_creator(office, money, 2_000)
    withdrawal = await walk(office, await taken(office, order(method, 100_000)), "review approved sent paid")
    steps = await office.payouts.steps(withdrawal.id)
    assert [step.after.value for step in steps] == ["requested", "review", "approved", "sent", "paid"]
    assert [step.before for step in steps] == [None, *(step.after for step in steps[:-1])]
    assert [step.by for step in steps] == ["creator"] + ["olga"] * 4
    assert [step.note for step in steps[1:]] == ["to review", "to approved", "to sent", "to paid"]
    assert [step.at_ms for step in steps] == sorted(step.at_ms for step in steps)
    kinds = await pool.fetch("SELECT kind FROM journal_records WHERE partition = -1 ORDER BY seq")
    assert [row["kind"] for row in kinds] == ["matured", "payout_requested", "payout_paid"]


async def test_operators_at_once(office: Office, money: Money) -> None:
    """Of six that mark it paid or failed at the same time, one is first and the others are told."""
    method = await rich_creator(office, money, 2_000)
    withdrawal = await walk(office, await taken(office, order(method, 100_000)), "review approved sent")
    steps = (
        office.payouts.step(withdrawal.id, state, by="olga")
        for state in (PayoutState.PAID, PayoutState.FAILED, PayoutState.PAID) * 2
    )
    answers = await asyncio.gather(*steps, return_exceptions=True)
    assert sum(isinstance(answer, Withdrawal) for answer in answers) == 1
    assert sum(isinstance(answer, WrongState) for answer in answers) == 5
    assert len(await office.payouts.steps(withdrawal.id)) == 5
    assert (await balances(money))[1] == 0
    await money.assert_books_sum_to_zero()


async def test_step_of_an_unknown_withdrawal(office: Office) -> None:
    """There is nothing to move."""
    with pytest.raises(NotFound):
        await office.payouts.step(new_id(now_ms()), PayoutState.REVIEW, by="olga")


@pytest.mark.parametrize(("by", "note"), [("", ""), ("o" * 101, ""), ("olga", "n" * 1001)])
async def test_step_out_of_bounds(office: Office, money: Money, by: str, note: str) -> None:
    """A step that cannot be stored is not taken."""
    method = await rich_creator(office, money, 2_000)
    withdrawal = await taken(office, order(method, 100_000))
    with pytest.raises(ValueRefused):
        await office.payouts.step(withdrawal.id, PayoutState.REJECTED, by=by, note=note)
    assert await office.payouts.withdrawal(withdrawal.id) == withdrawal
    assert await money.balance("payout_hold", "cora") == 100_000


async def test_database_knows_the_same_steps(office: Office, money: Money, pool: Pool) -> None:
    """The check of `withdrawal_steps` allows what `STEPS` does and nothing else."""
    method = await rich_creator(office, money, 2_000)
    withdrawal = await taken(office, order(method, 100_000))
    insert = "INSERT INTO withdrawal_steps VALUES ($1, 2, $2, $3, now(), 'olga', '')"
    wid = asyncpg.pgproto.pgproto.UUID(withdrawal.id)
    allowed = set()
    for before in PayoutState:
        for after in PayoutState:
            async with pool.acquire() as connection:
                attempt = connection.transaction()
                await attempt.start()
                try:
                    await connection.execute(insert, wid, before.value, after.value)
                    allowed.add((before, after))
                except asyncpg.CheckViolationError:
                    pass
                finally:
                    await attempt.rollback()
    assert allowed == set(STEPS)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "amount_minor = amount_minor + 1",
        "diamonds = diamonds - 100",
        "asked_diamonds = diamonds - 1",
        "asked_diamonds = diamonds + diamonds_per_minor",
        "amount_minor = 0, diamonds = 0, asked_diamonds = 0",
        "payee = 'dora'",
        "currency = 'usd'",
    ],
)
async def test_database_refuses_what_does_not_add_up(office: Office, money: Money, pool: Pool, change: str) -> None:
    """The invariants of a withdrawal hold also against a fault of the code."""
    method = await rich_creator(office, money, 2_000)
    await taken(office, order(method, 100_000))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await pool.execute(f"UPDATE withdrawals SET {change}")  # noqa: S608 - texts of this test

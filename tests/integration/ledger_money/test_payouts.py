"""Withdrawals on a real PostgreSQL: what is refused, what is held, and that it never passes the earnings."""

import asyncio
import datetime

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, LimitReached, NotFound, ValueRefused
from ledger.ids import new_id
from ledger.model import CreatorId
from ledger.office import Office, open_office
from ledger.payouts.payout_states import PayoutState
from ledger.payouts.payouts import PayoutRefusal, PayoutRefused, Withdrawal, WithdrawalOrder
from ledger.rails.manual import reference_of
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money

TODAY = datetime.datetime.now(datetime.UTC).date()


def order(method: bytes, diamonds: int, creator: str = "cora") -> WithdrawalOrder:
    """A fresh order."""
    return WithdrawalOrder(new_id(now_ms()), CreatorId(creator), method, diamonds)


async def rich_creator(office: Office, money: Money, coins: int = 4_000, creator: str = "cora") -> bytes:
    """A creator with matured earnings of 50 diamonds a coin; the id of the way to be paid."""
    method = await money.add_creator(creator)
    await money.earn(creator, coins)
    await office.maturing.round(TODAY)
    return method.id


async def taken(office: Office, asked: WithdrawalOrder) -> Withdrawal:
    """A withdrawal that must not be refused."""
    answer = await office.payouts.request(asked)
    assert isinstance(answer, Withdrawal), answer
    return answer


async def test_request_holds_the_diamonds(office: Office, money: Money) -> None:
    """100 diamonds are a cent: 150,000 pay 15.00, and are set aside."""
    method = await rich_creator(office, money, 4_000)
    asked = order(method, 150_000)
    withdrawal = await taken(office, asked)
    assert (withdrawal.amount_minor, withdrawal.currency, withdrawal.diamonds) == (1_500, "USD", 150_000)
    assert withdrawal.state is PayoutState.REQUESTED
    earnings = await office.payouts.earnings("cora")
    assert (earnings.available_diamonds, earnings.on_hold_diamonds, earnings.paid_out_diamonds) == (50_000, 150_000, 0)
    assert await office.payouts.withdrawal(asked.id) == withdrawal
    steps = await office.payouts.steps(asked.id)
    assert [(step.number, step.before, step.after, step.by) for step in steps] == [
        (1, None, PayoutState.REQUESTED, "creator")
    ]
    await money.assert_books_sum_to_zero()


async def test_request_of_a_part_of_a_minor_unit(office: Office, money: Money) -> None:
    """What is over a whole cent is not held: it stays available."""
    method = await rich_creator(office, money, 4_000)
    withdrawal = await taken(office, order(method, 100_099))
    assert (withdrawal.amount_minor, withdrawal.asked_diamonds, withdrawal.diamonds) == (1_000, 100_099, 100_000)
    assert await money.balance("available", "cora") == 100_000


async def test_request_twice(office: Office, money: Money) -> None:
    """The same id again is the first withdrawal as it stands, also when nothing is left."""
    method = await rich_creator(office, money, 2_000)
    asked = order(method, 100_000)
    first = await taken(office, asked)
    assert await taken(office, asked) == first
    moved = await office.payouts.step(asked.id, PayoutState.REVIEW, by="olga")
    assert await taken(office, asked) == moved
    assert await money.balance("payout_hold", "cora") == 100_000


async def test_request_with_other_content(office: Office, money: Money) -> None:
    """An id stands for one order."""
    method = await rich_creator(office, money, 8_000)
    asked = order(method, 100_000)
    await taken(office, asked)
    second = await office.payouts.add_method(new_id(now_ms()), "cora", "bank", "Second", b"")
    for change in ({"diamonds": 100_001}, {"method": second.id}, {"payee": "dora"}):
        with pytest.raises(IdConflict):
            await office.payouts.request(msgspec.structs.replace(asked, **change))
    assert await money.balance("payout_hold", "cora") == 100_000


REFUSALS = """
# available diamonds, withdrawn today (minor units), asked | outcome
  400000      0      99999    | below_threshold
  400000      0      100000   | taken
  400000      0      99       | below_threshold
  99999       0      100000   | insufficient_earnings
  100000      0      100000   | taken
  100000      0      100099   | taken
  100000      0      100100   | insufficient_earnings
  20000000    0      10000000 | taken
  20000000    0      10000100 | day_limit
  20000000    90000  1000000  | taken
  20000000    90000  1000100  | day_limit
  20000000    100000 100000   | day_limit
"""


@pytest.mark.parametrize("line", [line for line in REFUSALS.splitlines() if "|" in line and "#" not in line])
async def test_request_at_each_limit(office: Office, money: Money, line: str) -> None:
    """Each limit is met exactly: 10.00 at least, 1,000.00 a day at most, never more than is available."""
    numbers, expected = line.split("|")
    available, used_minor, asked = map(int, numbers.split())
    method = await rich_creator(office, money, (available + used_minor * 100) // 50)
    if used_minor:
        await taken(office, order(method, used_minor * 100))
    before = await money.balance("available", "cora")
    # Earnings come in fifties; the rest of the table's number is not there.
    assert before == available - available % 50
    answer = await office.payouts.request(order(method, asked))
    if isinstance(answer, Withdrawal):
        assert expected.strip() == "taken"
        return
    assert (answer.refusal.value, answer.available_diamonds) == (expected.strip(), before)
    assert (answer.amount_minor, answer.currency) == (asked // 100, "USD")
    assert (answer.min_minor, answer.day_max_minor, answer.day_used_minor) == (1_000, 100_000, used_minor)
    midnight = datetime.datetime.combine(TODAY + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
    assert answer.resets_at_ms == midnight.timestamp() * 1000
    assert await money.balance("available", "cora") == before


async def test_request_refused_then_told_again(office: Office, money: Money) -> None:
    """Nothing is kept of a refusal: the same id is judged anew."""
    method = await rich_creator(office, money, 1_000)
    asked = order(method, 100_000)
    refused = await office.payouts.request(asked)
    assert isinstance(refused, PayoutRefused)
    assert await office.payouts.withdrawal(asked.id) is None
    await money.earn("cora", 1_000)
    await office.maturing.round(TODAY)
    await taken(office, asked)


async def test_request_of_pending_earnings(office: Office, money: Money) -> None:
    """What has not matured cannot be withdrawn."""
    method = await money.add_creator("cora")
    await money.earn("cora", 4_000)
    refused = await office.payouts.request(order(method.id, 100_000))
    assert isinstance(refused, PayoutRefused)
    assert (refused.refusal, refused.available_diamonds) == (PayoutRefusal.INSUFFICIENT_EARNINGS, 0)


async def test_request_by_the_method_of_another(office: Office, money: Money) -> None:
    """A creator is paid by a method of its own."""
    await rich_creator(office, money)
    other = await money.add_creator("dora")
    for method in (other.id, new_id(now_ms())):
        refused = await office.payouts.request(order(method, 100_000))
        assert isinstance(refused, PayoutRefused)
        assert refused.refusal is PayoutRefusal.UNKNOWN_METHOD


async def test_day_limit_forgets(office: Office, money: Money, pool: Pool) -> None:
    """Yesterday's withdrawals do not count, nor do those that came back; those that were paid do."""
    method = await rich_creator(office, money, 10_000_000 // 50 * 3)
    first = await taken(office, order(method, 10_000_000))
    blocked = await office.payouts.request(order(method, 100_000))
    assert isinstance(blocked, PayoutRefused) and blocked.refusal is PayoutRefusal.DAY_LIMIT
    await office.payouts.step(first.id, PayoutState.REJECTED, by="olga")
    second = await taken(office, order(method, 10_000_000))
    for state in (PayoutState.REVIEW, PayoutState.APPROVED, PayoutState.SENT, PayoutState.PAID):
        await office.payouts.step(second.id, state, by="olga")
    blocked = await office.payouts.request(order(method, 100_000))
    assert isinstance(blocked, PayoutRefused) and blocked.refusal is PayoutRefusal.DAY_LIMIT
    await pool.execute("UPDATE withdrawals SET requested_at = date_trunc('day', now(), 'UTC') - interval '1 second'")
    await taken(office, order(method, 10_000_000))


async def test_requests_at_once(office: Office, money: Money, config: LedgerConfig, ledger: Ledger) -> None:
    """Twelve requests at once, in two processes' worth of offices, for earnings of three: three are taken."""
    method = await rich_creator(office, money, 6_000)
    second = await open_office(config, ledger)
    asked = [order(method, 100_000) for _ in range(12)]
    answers = await asyncio.gather(
        *((office if number % 2 else second).payouts.request(one) for number, one in enumerate(asked))
    )
    await second.close()
    assert sum(isinstance(answer, Withdrawal) for answer in answers) == 3
    refusals = {answer.refusal for answer in answers if isinstance(answer, PayoutRefused)}
    assert refusals == {PayoutRefusal.INSUFFICIENT_EARNINGS}
    assert (await money.balance("available", "cora"), await money.balance("payout_hold", "cora")) == (0, 300_000)
    await money.assert_books_sum_to_zero()


async def test_one_request_many_times_at_once(office: Office, money: Money) -> None:
    """Ten tellings of one id hold the diamonds once."""
    method = await rich_creator(office, money, 40_000)
    asked = order(method, 100_000)
    answers = await asyncio.gather(*(office.payouts.request(asked) for _ in range(10)))
    assert len({answer.id for answer in answers if isinstance(answer, Withdrawal)}) == 1
    assert await money.balance("payout_hold", "cora") == 100_000


async def test_requests_at_the_day_limit_at_once(office: Office, money: Money) -> None:
    """The limit of a day holds also for requests that come together."""
    method = await rich_creator(office, money, 20_000_000 // 50)
    answers = await asyncio.gather(*(office.payouts.request(order(method, 4_000_000)) for _ in range(5)))
    assert sum(isinstance(answer, Withdrawal) for answer in answers) == 2


async def test_request_of_nothing(office: Office) -> None:
    """A fault of the caller's."""
    with pytest.raises(ValueError, match="diamond"):
        await office.payouts.request(order(bytes(16), 0))


async def test_methods(office: Office, money: Money) -> None:
    """A method is added once for its id, and belongs to its creator."""
    first = await money.add_creator("cora")
    again = await office.payouts.add_method(first.id, "cora", "bank", "My bank", b"DE00")
    assert again == first
    assert await office.payouts.methods("cora") == [first]
    assert await office.payouts.methods("dora") == []
    for creator, label, details in (("cora", "Other", b"DE00"), ("cora", "My bank", b"DE01")):
        with pytest.raises(IdConflict):
            await office.payouts.add_method(first.id, creator, "bank", label, details)


async def test_method_out_of_bounds(office: Office, money: Money) -> None:
    """An unknown creator, a kind that nobody can pay, a text that is too long."""
    await money.add_creator("cora")
    with pytest.raises(NotFound):
        await office.payouts.add_method(new_id(now_ms()), "nobody", "bank", "My bank", b"")
    for kind, label, details in (("gold", "G", b""), ("bank", "", b""), ("bank", "b", bytes(4097))):
        with pytest.raises(ValueRefused) as refused:
            await office.payouts.add_method(new_id(now_ms()), "cora", kind, label, details)
        assert "\\x" not in str(refused.value)
    assert len(await office.payouts.methods("cora")) == 1


async def test_one_method_more_than_may_be(office: Office, money: Money, config: LedgerConfig) -> None:
    """Ten methods, and not one more; also when they come together."""
    await money.add_creator("cora")
    answers = await asyncio.gather(
        *(office.payouts.add_method(new_id(now_ms()), "cora", "bank", f"b{n}", b"") for n in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, LimitReached) for answer in answers) == 3
    assert len(await office.payouts.methods("cora")) == config.payout_methods_max == 10


async def test_withdrawals_in_pages(office: Office, money: Money) -> None:
    """Newest id first; by creator, by state."""
    cora = await rich_creator(office, money, 10_000, "cora")
    dora = await rich_creator(office, money, 2_000, "dora")
    asked = [WithdrawalOrder(new_id(now_ms() + n), CreatorId("cora"), cora, 100_000) for n in range(5)]
    for one in asked:
        await taken(office, one)
    other = await taken(office, order(dora, 100_000, "dora"))
    await office.payouts.step(asked[2].id, PayoutState.REVIEW, by="olga")
    first = await office.payouts.withdrawals(payee="cora", limit=3)
    rest = await office.payouts.withdrawals(payee="cora", after=first[-1].id, limit=3)
    assert [one.id for one in first + rest] == [one.id for one in asked[::-1]]
    assert [one.id for one in await office.payouts.withdrawals(state=PayoutState.REVIEW)] == [asked[2].id]
    assert other.id in {one.id for one in await office.payouts.withdrawals()}
    assert len(await office.payouts.withdrawals()) == 6


async def test_slip(office: Office, money: Money) -> None:
    """The operator reads what to pay, to whom and under which words."""
    method = await rich_creator(office, money)
    withdrawal = await taken(office, order(method, 123_400))
    slip = await office.payouts.slip(withdrawal.id)
    assert "1234 minor units of USD" in slip
    assert "cora by bank (My bank)" in slip
    assert "DE00" in slip
    assert reference_of(withdrawal.id) in slip
    with pytest.raises(NotFound):
        await office.payouts.slip(new_id(now_ms()))

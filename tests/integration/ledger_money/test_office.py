"""The office as a whole: servers that are away, and a long random walk with arithmetic of its own."""

import asyncio
import datetime
import random
from collections import defaultdict

import msgspec
import pytest

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import new_id
from ledger.model import CreatorId
from ledger.office import Office, open_office
from ledger.payouts.payout_states import PayoutState, next_states
from ledger.payouts.payouts import Earnings, Withdrawal, WithdrawalOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.test_grants import grant_order

STEPS_OF_THE_WALK = 150
CREATORS = ("cora", "dora", "eva")
BACK = (PayoutState.FAILED, PayoutState.RETURNED, PayoutState.REJECTED)


async def test_office_without_postgresql(config: LedgerConfig, ledger: Ledger, tmp_path: object) -> None:
    """What PostgreSQL does not know is not done: no coins come in without their row."""
    away = msgspec.structs.replace(config, database_url=f"postgresql://giftwire@/none?host={tmp_path}")
    office = await open_office(away, ledger)
    for call in (office.ping(), office.grants.grant(grant_order(5)), office.payouts.earnings("cora")):
        with pytest.raises(LedgerUnavailable):
            await call
    assert await ledger.balance("ann") == 0
    await office.close()


class Walk:
    """Keeps its own accounts beside those of the books."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pending: defaultdict[str, int] = defaultdict(int)
        self.available: defaultdict[str, int] = defaultdict(int)
        self.open: dict[bytes, Withdrawal] = {}

    def held(self, creator: str, *states: PayoutState) -> int:
        """Diamonds of this creator's withdrawals in these states."""
        return sum(one.diamonds for one in self.open.values() if one.payee == creator and one.state in states)

    def expected(self, creator: str) -> Earnings:
        """What the books should say."""
        on_hold = self.held(creator, PayoutState.REQUESTED, PayoutState.REVIEW, PayoutState.APPROVED, PayoutState.SENT)
        return Earnings(
            self.pending[creator], self.available[creator], on_hold, self.held(creator, PayoutState.PAID), None
        )


async def test_random_walk(office: Office, money: Money) -> None:
    """After any order of gifts, maturing, withdrawals and steps, the books say what simple sums say."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    walk = Walk(seed)
    methods = {creator: (await money.add_creator(creator)).id for creator in CREATORS}
    for _ in range(STEPS_OF_THE_WALK):
        creator = walk.chance.choice(CREATORS)
        match walk.chance.randrange(4):
            case 0:
                walk.pending[creator] += await money.earn(creator, walk.chance.randrange(1, 9_000))
            case 1:
                await mature(office, walk)
            case 2:
                await withdraw(office, walk, creator, methods[creator])
            case _:
                await step(office, walk)
    for creator in CREATORS:
        found = msgspec.structs.replace(await office.payouts.earnings(creator), next_matures_ms=None)
        assert found == walk.expected(creator)
    await money.assert_books_sum_to_zero()


async def mature(office: Office, walk: Walk) -> None:
    """Everything pending becomes available."""
    moved = await office.maturing.round(datetime.datetime.now(datetime.UTC).date())
    assert moved == sum(walk.pending.values())
    for creator, diamonds in walk.pending.items():
        walk.available[creator] += diamonds
    walk.pending.clear()


async def withdraw(office: Office, walk: Walk, creator: str, method: bytes) -> None:
    """Some withdrawals at once, of which some are refused."""
    asked = [
        WithdrawalOrder(new_id(now_ms()), CreatorId(creator), method, walk.chance.randrange(1, 300_000))
        for _ in range(3)
    ]
    for answer in await asyncio.gather(*(office.payouts.request(one) for one in asked)):
        if isinstance(answer, Withdrawal):
            assert answer.diamonds == answer.amount_minor * 100
            assert answer.amount_minor >= 1_000
            walk.open[answer.id] = answer
            walk.available[creator] -= answer.diamonds
            assert walk.available[creator] >= 0


async def step(office: Office, walk: Walk) -> None:
    """One withdrawal moves on, where it can."""
    ways = [(one, after) for one in walk.open.values() for after in next_states(one.state)]
    if ways:
        withdrawal, after = walk.chance.choice(ways)
        moved = await office.payouts.step(withdrawal.id, after, by="olga")
        walk.open[withdrawal.id] = moved
        if after in BACK:
            walk.available[withdrawal.payee] += withdrawal.diamonds

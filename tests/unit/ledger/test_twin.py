"""What the twin has for tests of what is built on the ledger; its outcomes are tested beside the scripts'."""

import asyncio

import pytest

from ledger.config import LedgerConfig
from ledger.model import CreditAccepted, CreditRefused, GiftAccepted, GiftOutcome, GiftRefused, Refusal
from ledger.twin.twin import LedgerTwin
from tests.integration.ledger.orders import gift_order, grant

CONFIG = LedgerConfig(partitions=2, id_window_ms=10_000, id_bucket_ms=1_000, id_ahead_ms=0)


@pytest.mark.parametrize("carried_out", [True, False])
async def test_lost_answer(carried_out: bool) -> None:
    """One order hears UNKNOWN; told again it hears whether it had been paid, and is paid once."""
    twin = LedgerTwin(LedgerConfig())
    credit = grant("ann", 10)
    twin.lose_answer(carried_out=carried_out)
    assert await twin.credit(credit) == CreditRefused(Refusal.UNKNOWN)
    assert await twin.credit(credit) == CreditAccepted(10, replay=carried_out)
    order = gift_order("ann", 4)
    twin.lose_answer(carried_out=carried_out)
    assert await twin.give(order) == GiftRefused(Refusal.UNKNOWN)
    again = await twin.give(order)
    assert isinstance(again, GiftAccepted) and again.replay is carried_out
    assert await twin.balance("ann") == 6


async def test_submitted_gifts_are_told_from_the_loop() -> None:
    """As with the real one nobody is told before `submit` has come back; the outcomes are in order."""
    twin = LedgerTwin(LedgerConfig())
    await twin.credit(grant("ann", 3))
    told: list[GiftOutcome] = []
    for coins in (2, 2, 1):
        twin.submit(gift_order("ann", coins), told.append)
    assert told == []
    await asyncio.sleep(0)
    assert [isinstance(outcome, GiftAccepted) for outcome in told] == [True, False, True]


async def test_stopped_twin_takes_no_gifts() -> None:
    """They are refused as overloaded and cost nothing, until it is started again."""
    twin = LedgerTwin(LedgerConfig())
    await twin.credit(grant("ann", 3))
    await twin.stop()
    order = gift_order("ann", 3)
    assert await twin.give(order) == GiftRefused(Refusal.OVERLOADED)
    await twin.start()
    assert isinstance(await twin.give(order), GiftAccepted)


async def test_id_is_remembered_longer_than_it_is_taken() -> None:
    """After the window the id is still known, so it is a replay; once it is forgotten it has long expired."""
    clock_ms = [50_000]
    twin = LedgerTwin(CONFIG, clock=lambda: clock_ms[0])
    await twin.credit(grant("ann", 5))
    order = gift_order("ann", 5, gift_id=(50_000).to_bytes(6, "big") + bytes(10))
    assert isinstance(await twin.give(order), GiftAccepted)
    clock_ms[0] = 62_000
    again = await twin.give(order)
    assert isinstance(again, GiftAccepted) and again.replay
    clock_ms[0] = 62_001
    late = await twin.give(order)
    assert isinstance(late, GiftRefused) and late.refusal is Refusal.ID_EXPIRED
    assert await twin.now_ms() == 62_001

"""Two who credit the same row at once, when one of them is held up in the worst place."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import AMOUNT_MAX, CreditAccepted, CreditOrder, CreditOutcome, CreditRefused, Refusal, ViewerId
from ledger.office import Office, open_office
from ledger.purchases.crediting import Crediting
from ledger.purchases.grants import Granted, GrantOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_money.money import Money


async def test_credit_by_one_who_slept_until_the_id_was_forgotten(
    office: Office, config: LedgerConfig, ledger: Ledger, pool: Pool, money: Money, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looked into the books, slept, and wakes up after another credited, flushed and forgot, gives nothing."""
    order = GrantOrder(new_id(now_ms()), ViewerId("ann"), 100, "a prize", "olga")
    short = await open_office(msgspec.structs.replace(config, credit_ids_kept_ms=2), ledger)
    credit: Callable[..., Awaitable[CreditOutcome]] = ledger.credit

    async def asleep(late: CreditOrder, *, until_ms: int) -> CreditOutcome:
        monkeypatch.undo()
        assert await office.purchases.settle() == 1
        await money.flush()
        for _, keys in ledger.keys.all():
            await ledger.redis.delete(keys.credits)
        while await ledger.now_ms() <= until_ms:
            pass
        return await credit(late, until_ms=until_ms)

    monkeypatch.setattr(ledger, "credit", asleep)
    assert await short.grants.grant(order) == CreditRefused(Refusal.UNKNOWN)
    assert await short.grants.grant(order) == Granted(100, replay=True)
    await short.close()
    assert (await ledger.balance("ann"), await money.owed()) == (100, 0)


async def test_late_credit_of_a_known_id_is_a_replay(ledger: Ledger) -> None:
    """Being late matters only for an id that is not remembered."""
    order = grant("ann", 7)
    assert await ledger.credit(order, until_ms=1) == CreditRefused(Refusal.UNKNOWN)
    assert await ledger.credit(order) == CreditAccepted(7, replay=False)
    assert await ledger.credit(order, until_ms=1) == CreditAccepted(7, replay=True)


async def test_credit_that_passes_while_another_notes_an_overflow(
    office: Office, config: LedgerConfig, ledger: Ledger, pool: Pool
) -> None:
    """Coins that came in count, whatever another read of the wallet a moment before."""
    await ledger.credit(grant("rich", AMOUNT_MAX))
    order = GrantOrder(new_id(now_ms()), ViewerId("rich"), 1, "a prize", "olga")
    assert await office.grants.grant(order) == CreditRefused(Refusal.AMOUNT_OVERFLOW)
    row = await pool.fetchrow("UPDATE credits SET refusal = NULL RETURNING *")
    assert row is not None
    await pool.execute("UPDATE credits SET refusal = 'amount_overflow'")
    await ledger.give(gift_order("rich", 1))
    # The totals of the partition count what ever came in: make room there too, as if it were another partition.
    await ledger.redis.hincrby(ledger.keys.of(ledger.keys.partition_of("rich")).totals, "coins_in", -1)
    assert await Crediting(pool, ledger, config).credit(row) == CreditAccepted(AMOUNT_MAX, replay=False)
    assert await office.grants.grant(order) == Granted(AMOUNT_MAX, replay=True)

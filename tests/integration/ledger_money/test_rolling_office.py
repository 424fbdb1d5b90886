"""The audit that never ends sees the office's tables and the seals too: each fault is found in its next round, that of
a seal when it is its partition's turn."""

import datetime

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.audits.rolling_round import SEALS_TURNS
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.invariants import Invariant
from ledger.model import CreatorId
from ledger.payouts.payouts import Withdrawal, WithdrawalOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.refund_world import RefundWorld

FAULTS = {
    "a withdrawal that skipped its states": (
        "UPDATE withdrawals SET state = 'paid'",
        Invariant.I10,
    ),
    "a withdrawal of other diamonds than are on hold": (
        "UPDATE withdrawals SET diamonds = 1100, amount_minor = 11, asked_diamonds = 1100",
        Invariant.I10,
    ),
    "a step that does not follow": (
        "INSERT INTO withdrawal_steps (withdrawal, number, from_state, to_state, step_by, note)"
        " SELECT id, 3, 'review', 'rejected', 'olga', '' FROM withdrawals",
        Invariant.I10,
    ),
    "a day that matured more than it did": ("UPDATE creator_days SET matured = matured - 1", Invariant.I10),
    "a refund that its purchase does not count": ("UPDATE purchases SET refunded_coins = 0", Invariant.I1),
    "a record that was sealed and changed": (
        "UPDATE journal_records SET reference = 'another' WHERE kind = 'grant'",
        Invariant.I9,
    ),
    "a record of the books that was sealed and changed": (
        "UPDATE journal_records SET reference = 'another' WHERE kind = 'matured'",
        Invariant.I9,
    ),
    "a seal that is gone": ("DELETE FROM seals WHERE number = 1 AND partition >= 0", Invariant.I9),
}

_CHANGE_LAST = """
UPDATE journal_records r SET reference = 'another' FROM (
    SELECT partition, max(seq) AS seq FROM seals WHERE partition >= 0 GROUP BY partition ORDER BY max(seq) DESC LIMIT 1
) s WHERE r.partition = s.partition AND r.seq = s.seq
"""


async def _world(config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> RefundWorld:
    world = await RefundWorld.under({"payout_min_minor": 1}, config, ledger, rail, pool)
    method = await world.money.add_creator("cora")
    await world.play("buy A 100 | 100\ngift cora 60 | 40\nmature | 40\nchargeback r A 10 | taken 10, 30\nsettle | 30")
    await world.office.seals.round()
    await world.play("grant 5 | 35")
    await world.money.flush()
    await world.office.seals.round()
    order = WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method.id, 1_000)
    assert isinstance(await world.office.payouts.request(order), Withdrawal)
    await world.office.maturing.round(datetime.datetime.now(datetime.UTC).date())
    return world


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_in_the_office_is_found(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool, fault: str
) -> None:
    """Nothing before the fault; after it that invariant, as `giftwire audit` has it."""
    statement, invariant = FAULTS[fault]
    world = await _world(config, ledger, rail, pool)
    rolling = RollingAudit(pool, ledger.redis, msgspec.structs.replace(config, audit_share_permille=1_000))
    assert await rolling.round() == {}
    await pool.execute(statement)
    found = await rolling.round()
    for _ in range(SEALS_TURNS - 1 if "seal" in fault else 0):
        found = found if found.get(invariant) else await rolling.round()
    assert found.get(invariant), found
    assert getattr(rolling.stats, f"violations_{invariant}") == found[invariant]
    report = await audit(world.money.config)
    assert invariant in {result.id for result in report.invariants if not result.ok}
    await world.office.close()


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
async def test_seals_in_pages_of_any_size(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool, rows: int
) -> None:
    """Pages smaller than a seal and larger than several work out every one."""
    world = await _world(config, ledger, rail, pool)
    for _ in range(4):
        for _ in range(3):
            await world.do(["grant", "1"])
        await world.money.flush()
        await world.office.seals.round()
    rolling = RollingAudit(
        pool, ledger.redis, msgspec.structs.replace(config, audit_rows=rows, audit_share_permille=1_000)
    )
    assert all([await rolling.round() == {} for _ in range(SEALS_TURNS)])
    await pool.execute(_CHANGE_LAST)
    found = [(await rolling.round())[Invariant.I9] for _ in range(SEALS_TURNS)]
    # The journal has the record still and contradicts in every round; the seal in its turn.
    assert sorted(found) == [1] * (SEALS_TURNS - 1) + [2]
    await world.office.close()

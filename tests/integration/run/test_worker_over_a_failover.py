"""`giftwire worker` as a process, while Valkey fails over to its replica."""

from pathlib import Path

import msgspec

from ledger.audits.audit import audit
from ledger.config import LedgerConfig
from ledger.model import GiftAccepted
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.test_durability import needs_waitaof
from tests.integration.ledger_postgres.replicas import Address, all_have_it, replicas_of
from tests.integration.run.test_two_workers import LEASE_MS, Worker
from tests.servers import running_valkey
from tests.waiting import until

pytestmark = needs_waitaof
WITHIN_S = 30.0


async def test_gift_in_flight_over_a_failover(tmp_path: Path, database_url: str) -> None:
    """It is told again by whoever has it until the worker has begun the new epoch, and its sender hears of nothing."""
    (tmp_path / "p").mkdir()
    with running_valkey(tmp_path / "p") as primary:
        address = Address(tmp_path, primary)
        config = LedgerConfig(redis_url=address.url, database_url=database_url, retry_ms_max=int(WITHIN_S * 1000))
        async with replicas_of(primary, tmp_path, ("r",)) as (only,):
            worker = Worker(tmp_path / "there", tmp_path / "there.log", address.url, database_url, LEASE_MS)
            ledger = open_ledger(msgspec.structs.replace(config, batch_wait_ms_max=int(WITHIN_S * 1000)))
            try:
                await until(lambda: worker.said("worker_ready"), WITHIN_S)
                await ledger.start()
                await ledger.credit(grant("ann", 100))
                await ledger.give(gift_order("ann", 1))
                await all_have_it(primary, 1)
                primary.kill()
                await only.promote()
                address.lead_to(only.valkey)
                outcome = await ledger.give(gift_order("ann", 2))
                assert isinstance(outcome, GiftAccepted)
                assert (outcome.epoch, outcome.balance_coins) == (2, 97)
                await until(lambda: worker.said("promotion_repaired"), WITHIN_S)
                assert (await audit(config)).ok
            finally:
                await ledger.stop()
                worker.process.terminate()
                worker.process.wait()

"""`giftwire reconcile` over a balance that is not what its records say: seen, named, left alone, and the way out."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ledger.books.postgres import open_pool
from ledger.config import LedgerConfig
from ledger.ids import format_id
from ledger.live.redis_client import connect
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all
from tests.serving import GIFTWIRE

GRANTED, GIVEN, SLIPPED_IN = 100, 7, 5


def reconcile(config: LedgerConfig, folder: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Exit status and report."""
    addresses = {"GIFTWIRE_REDIS_URL": config.redis_url, "GIFTWIRE_DATABASE_URL": config.database_url}
    command = [*GIFTWIRE, "reconcile", "--json", "--data-dir", str(folder), *flags]
    done = subprocess.run(command, env=os.environ | addresses, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


async def test_balance_beside_its_records(tmp_path: Path, valkey_url: str, database_url: str) -> None:
    """Coins that no record brought: wallet, both amounts and its last gift are named, whether that is in the books yet
    or not, and no repair touches them. A live ledger made anew from the books has the coins of the records."""
    config = LedgerConfig(redis_url=valkey_url, database_url=database_url)
    ledger = open_ledger(config)
    await ledger.start()
    redis: Any = connect(config)
    wallets = ledger.keys.of(ledger.keys.partition_of("ann")).wallets
    await ledger.credit(grant("ann", GRANTED))
    order = gift_order("ann", GIVEN)
    await ledger.give(order)
    assert reconcile(config, tmp_path)[0] == 0
    await redis.hincrby(wallets, "ann", SLIPPED_IN)
    await _expect(config, tmp_path, f"gift {format_id(order.id)} of ann ({GIVEN} coins)")
    pool = await open_pool(config)
    await flush_all(pool, redis, config)
    await pool.close()
    await _expect(config, tmp_path, "its last record is 2")

    await ledger.stop()
    await redis.flushall()
    status, report = reconcile(config, tmp_path, "--repair")
    assert (status, report["agree"], report["balances"]) == (0, True, [])
    assert int(await redis.hget(wallets, "ann") or 0) == GRANTED - GIVEN
    assert reconcile(config, tmp_path)[0] == 0
    await redis.aclose()


async def _expect(config: LedgerConfig, folder: Path, last: str) -> None:
    for flags in ((), ("--repair",)):
        status, report = reconcile(config, folder, *flags)
        assert (status, report["agree"], report["repairable"], report["repair"]) == (1, False, False, None)
        held = GRANTED - GIVEN
        expected = f"wallet of ann holds {held + SLIPPED_IN}, the books say {held}"
        assert any(expected in words and last in words for words in report["balances"]), report

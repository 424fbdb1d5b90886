"""Scripts, flusher, repair and their twin, taken through random orders, faults and losses."""

import os
import secrets
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from tests.integration.ledger_postgres.refunds_machine import run_books_machine
from tests.servers import running_valkey

EXAMPLES, STEPS = int(os.environ.get("GIFTWIRE_TEST_EXAMPLES", "24")), 30
SEED = os.environ.get("GIFTWIRE_TEST_SEED")


def test_books_and_live_ledger_are_one(database_url: str) -> None:
    """Whatever is ordered, flushed, lost and brought back, and whatever dies in between, every invariant holds."""
    number = secrets.randbelow(2**32) if SEED is None else int(SEED)
    sys.stdout.write(f"GIFTWIRE_TEST_SEED={number}\n")
    examples = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder)) as valkey:
        run_books_machine(valkey, database_url, examples, number)

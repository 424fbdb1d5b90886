"""Scripts, flusher, repair and their twin, taken through random orders, faults and losses; and refunds of an office."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.integration.ledger_postgres.books_machine import run_books_machine
from tests.integration.ledger_postgres.refunds_machine import run_refunds_machine
from tests.seeds import printed_seed
from tests.servers import Valkey, running_valkey

EXAMPLES = int(os.environ.get("GIFTWIRE_TEST_EXAMPLES", "24"))


@pytest.mark.parametrize(("run", "examples", "steps"), [(run_books_machine, 1.0, 30), (run_refunds_machine, 0.5, 4)])
def test_books_and_live_ledger_are_one(
    run: Callable[[Valkey, str, settings, int], None], examples: float, steps: int, database_url: str
) -> None:
    """Whatever is ordered, flushed, refunded, lost and brought back, and whatever dies, every invariant holds."""
    number = printed_seed()
    wanted = settings(
        max_examples=int(EXAMPLES * examples),
        stateful_step_count=steps,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder)) as valkey:
        run(valkey, database_url, wanted, number)

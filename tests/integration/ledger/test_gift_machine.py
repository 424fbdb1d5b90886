"""The money scripts and their twin, taken through random orders and faults."""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.integration.ledger.gift_machine import run_machine
from tests.seeds import printed_seed
from tests.servers import running_valkey

EXAMPLES, STEPS = int(os.environ.get("GIFTWIRE_TEST_EXAMPLES", "40")), 40


def test_scripts_do_what_the_twin_does() -> None:
    """Whatever is ordered and whatever dies in between, both hold the same and every invariant holds."""
    number = printed_seed()
    examples = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder)) as valkey:
        run_machine(valkey, examples, number)

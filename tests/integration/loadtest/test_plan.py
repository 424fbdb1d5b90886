"""The plan's measurement, as a process: it answers in JSON, and its constants can be used."""

import subprocess
import sys
from pathlib import Path

import msgspec

from loadtest.plan.constants import Constants, load_constants
from loadtest.plan.measuring.measure import Measured


def test_plan_is_measured_on_a_server_of_its_own(tmp_path: Path) -> None:
    """A few short runs give constants that the plan takes; runs can be fitted again to the same."""
    plan = [sys.executable, "-m", "gateway.run", "plan"]
    runs, file, again = (tmp_path / name for name in ("runs.json", "constants.json", "again.json"))
    words = ["measure", "--tiny", "--repeats", "2", "--runs-out", str(runs), "--json-out", str(file), "--json"]
    done = subprocess.run([*plan, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = load_constants(file)
    assert msgspec.json.decode(done.stdout, type=Constants) == found
    assert found.place.runs == 6
    assert found.place.gifts > 0
    assert found.gateway["message"].value > 0
    assert found.rows["gift"].value > 1
    measured = msgspec.json.decode(runs.read_bytes(), type=Measured)
    for run in measured.runs:
        assert run.gifts == run.sighted
        assert min(run.counts[name] for name in ("commits", "ticks", "frames", "facts", "batches")) > 0
        assert min(run.cpu["gateway"], run.cpu["valkey"], run.stored.aof_bytes, run.stored.rows, run.gateway_mb) > 0
        assert run.times.accepted_p99 is not None
        assert len(run.fsync_ms) > 10
        assert min(run.fsync_ms) > 0
    fitted = [*plan, "measure", "--from", str(runs), "--json-out", str(again)]
    subprocess.run(fitted, capture_output=True, timeout=60, check=True)
    assert load_constants(again).gateway == found.gateway
    asked = [*plan, "--viewers", "1k", "--no-simulation", "--json", "--constants", str(file)]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    assert msgspec.json.decode(answer.stdout)["answer"]["needed"]["layout"]["gateways"] >= 1

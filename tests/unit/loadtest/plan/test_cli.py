"""The command: tables and JSON for people and programs, and words for what cannot be."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from loadtest.plan.answer import Answer
from loadtest.plan.cli import plan
from loadtest.plan.constants import load_constants, save_constants
from loadtest.plan.measuring.measure import Measured, Weights
from loadtest.plan.measuring.probe import Probed
from loadtest.plan.measuring.reference import Reference, look
from loadtest.plan.measuring.rows import Idle
from tests.unit.loadtest.plan.costs import constants
from tests.unit.loadtest.plan.test_rows import run

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def costs(tmp_path: Path) -> str:
    """A file of round constants."""
    file = tmp_path / "constants.json"
    save_constants(constants(), file)
    return str(file)


def call(*words: str) -> Result:
    """Run it."""
    return CliRunner().invoke(plan, list(words))


def test_table(costs: str) -> None:
    """What is needed, how long gifts take, what breaks first, and what is not in it."""
    done = call("--viewers", "20k", "--rooms", "400", "--gifts", "200/s", "--constants", costs)
    assert done.exit_code == 0, done.output
    for words in ("20k viewers, 400 rooms, 200 gifts/s", "Valkey primaries", "rows/s", "gift → accepted", "p99"):
        assert words in done.output
    for words in ("What breaks first", "valkey thread", "█", "TLS, WAN, NIC", "a machine"):
        assert words in done.output


def test_json(costs: str) -> None:
    """The whole answer, that programs can read, with latencies."""
    words = ["--viewers", "5k", "--tick", "100ms", "--gateways", "3", "--partitions", "16", "--seed", "3"]
    done = call(*words, "--viewers-per-room", "0.5", "--headroom", "0.5", "--constants", costs, "--json")
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = msgspec.json.decode(done.stdout)
    answer = msgspec.convert(document["answer"], Answer)
    asked = answer.asked
    assert (asked.demand.viewers, asked.demand.rooms, asked.demand.gifts_per_s) == (5_000, 100, 250)
    assert (asked.demand.room_skew, asked.pacing.tick_ms, asked.ground.headroom) == (0.5, 100, 0.5)
    assert (answer.needed.layout.gateways, answer.needed.layout.partitions) == (3, 16)
    assert document["times"]["accepted_ms"]["p99"] > 0
    assert document["constants"]["machine"] == "a machine"


def test_constants_that_come_along_are_taken() -> None:
    """Without a file of one's own."""
    done = call("--viewers", "1k", "--no-simulation", "--json")
    assert done.exit_code == 0, done.output
    assert msgspec.json.decode(done.stdout)["constants"]["date"] == load_constants().place.date


def test_what_has_no_steady_state_is_said(costs: str) -> None:
    """One gateway for a million viewers."""
    done = call("--viewers", "1M", "--gateways", "1", "--constants", costs)
    assert done.exit_code == 0, done.output
    assert "no steady state: a gateway would have to use" in done.output


def test_picture(costs: str, tmp_path: Path) -> None:
    """A PNG; where it cannot be written, words."""
    file = tmp_path / "plan.png"
    done = call("--viewers", "20k", "--no-simulation", "--constants", costs, "--picture", str(file))
    assert done.exit_code == 0, done.output
    assert file.read_bytes().startswith(PNG)
    nowhere = str(tmp_path / "none" / "plan.png")
    refused = call("--viewers", "20k", "--no-simulation", "--constants", costs, "--picture", nowhere)
    assert refused.exit_code == 1
    assert "No such file" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "how many?"),
        (["--viewers", "many"], "'many' is no number: write 1500, 20k or 1M"),
        (["--viewers", "0"], "0 is less than 1"),
        (["--viewers", "1M", "--gifts", "5/y"], "'5/y' is no rate"),
        (["--viewers", "1M", "--tick", "50"], "'50' is no time"),
        (["--viewers", "1M", "--gateways", "some"], "'some' is no number"),
        (["--viewers", "1M", "--gateways", "1.5"], "--gateways is a whole number"),
        (["--viewers", "1M", "--partitions", "2000"], "up to 1,024"),
        (["--viewers", "1M", "--viewers-per-room", "9"], "not in the range"),
        (["--viewers", "1M", "--constants", "none.json"], "none.json: No such file"),
    ],
)
def test_mistakes(words: list[str], said: str) -> None:
    """Each in a line that says what would be right."""
    done = call(*words)
    assert done.exit_code in (1, 2)
    assert said in done.output


def measured() -> Measured:
    """Enough runs for a fit."""
    gifts = range(1_000, 8_000, 1_000)
    probes = [
        Probed(1_000, hearers, changes, 2.0, 0.05 + 0.006 * hearers, 100.0 * hearers * (changes + 1), [0.1])
        for hearers in (0, 5)
        for changes in (0, 60)
    ]
    return Measured(
        runs=[run(gifts=number) for number in gifts],
        idle=[Idle(100, 10, 20.0, 0.1, [3.0])],
        probes=probes,
        kept=[],
        weights=[Weights(60, 60, 10, 100)],
        references=[Reference(3.0, 3.0, [0.2, 0.4])],
    )


def test_runs_are_fitted_anew(tmp_path: Path) -> None:
    """What was written down is enough for constants that `plan` takes."""
    runs, file = tmp_path / "runs.json", tmp_path / "constants.json"
    runs.write_bytes(msgspec.json.encode(measured()))
    done = call("measure", "--from", str(runs), "--json-out", str(file))
    assert done.exit_code == 0, done.output
    assert "the fit lies" in done.output
    found = load_constants(file)
    assert found.place.runs == 7
    assert found.valkey["delivery"].value == pytest.approx(6)
    assert call("--viewers", "1k", "--no-simulation", "--constants", str(file)).exit_code == 0


def test_runs_that_say_too_little(tmp_path: Path) -> None:
    """No runs, or something else: exit code 2 and words."""
    file = tmp_path / "runs.json"
    for content, said in (
        (msgspec.json.encode(msgspec.structs.replace(measured(), runs=[])), "there were no runs"),
        (msgspec.json.encode(msgspec.structs.replace(measured(), runs=[run()])), "cannot tell"),
        (b"{}", "missing required field"),
    ):
        file.write_bytes(content)
        done = call("measure", "--from", str(file))
        assert done.exit_code == 2
        assert said in done.output


def test_references() -> None:
    """This machine takes some time for each of them."""
    found = look()
    assert min(found.python_us, found.write_us, *found.fsync_ms) > 0

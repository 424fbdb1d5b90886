"""The bench commands, as processes: they answer in JSON, and leave nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.bench.books import BooksResult
from loadtest.bench.clients import ClientsResult
from loadtest.bench.neighbours import NeighboursResult
from loadtest.bench.outage.result import OutageResult, PhaseName
from loadtest.bench.reconnect import ReconnectResult
from loadtest.server.procfs import state
from tests.waiting import wait_until

BENCH = [sys.executable, "-m", "gateway.run", "bench"]
START_S = 60.0


def test_bench_of_the_books_answers_in_json() -> None:
    """Gifts are given, written, read back into an empty ledger, audited, and counted."""
    done = subprocess.run(
        [*BENCH, "books", "--seconds", "0.2", "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result = msgspec.json.decode(done.stdout, type=BooksResult)
    assert result.gifts > 0
    assert min(result.flushed_per_s, result.copied_per_s, result.rebuilt_per_s, result.given_per_s) > 0
    assert min(result.wal_bytes, result.aof_bytes, result.table_bytes) > 100


def test_bench_of_neighbours_answers_in_json() -> None:
    """The flood is really held up, and every round shows the others their gifts."""
    words = ["neighbours", "--viewers", "20", "--rate", "200", "--seconds", "1", "--rounds", "1", "--json"]
    done = subprocess.run([*BENCH, *words], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = msgspec.json.decode(msgspec.json.encode(msgspec.json.decode(done.stdout)["result"]), type=NeighboursResult)
    assert (result.viewers, result.stalled) == (20, 2)
    assert [one.paced for one in result.calm] == [0]
    assert [one.paced > 0 for one in result.with_flood] == [True]
    assert min(result.stalled_p99_ratio.low, result.flood_p99_ratio.low, result.calm_p99_ms.low) > 0


def test_bench_of_the_clients_answers_in_json() -> None:
    """Every viewer of both kinds reads its frames, and costs something."""
    words = ["clients", "--viewers", "300", "--seconds", "1", "--rounds", "2", "--json"]
    done = subprocess.run([*BENCH, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = msgspec.convert(msgspec.json.decode(done.stdout)["result"], ClientsResult)
    assert (result.viewers, result.ratio.runs) == (300, 2)
    assert min(result.us_per_frame.low, result.reference_us.low, result.kb_per_viewer, result.frame_bytes) > 0
    assert result.viewers_per_core == int(50_000 / result.us_per_frame.median)


def test_bench_of_a_reconnect_storm_answers_in_json() -> None:
    """Everybody comes back to both servers, each time."""
    done = subprocess.run(
        [*BENCH, "reconnect", "--sockets", "40", "--rooms", "3", "--rounds", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = msgspec.convert(msgspec.json.decode(done.stdout)["result"], ReconnectResult)
    assert (result.sockets, result.rooms, len(result.rounds)) == (40, 3, 2)
    assert min(result.seconds.low, result.reference_seconds.low) > 0


def test_bench_of_an_outage_answers_in_json() -> None:
    """Gifts go on without PostgreSQL up to the bound, are refused then, and accepted again after it; none is lost."""
    words = ["outage", "--seconds", "6", "--rate", "100", "--before-seconds", "2", "--after-seconds", "2"]
    done = subprocess.run(
        [*BENCH, *words, "--unflushed-max", "40", "--json"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    result = msgspec.convert(msgspec.json.decode(done.stdout)["result"], OutageResult)
    assert (result.not_measured, result.faults, result.died) == ([], [], [])
    assert [phase.name for phase in result.phases] == list(PhaseName)
    away, after = result.phases[1], result.phases[3]
    assert min(away.accepted, after.accepted) > 0
    assert list(away.refused) == ["overloaded"]
    assert result.bound is not None
    assert result.bound.fullest >= 40
    assert result.bound.accepted_again_after_s is not None
    assert result.catch_up.seconds is not None
    assert result.catch_up.lag > result.catch_up.lag_before
    checks = result.checks
    assert checks.in_books == checks.accepted == checks.coins_in_books > 0
    assert (checks.lost, checks.doubled, checks.wrong_wallets, checks.unanswered, checks.audit_ok) == (0, 0, 0, 0, True)
    assert sum(phase.sent for phase in result.phases) == checks.accepted + sum(
        sum(phase.refused.values()) for phase in result.phases
    )
    assert min(result.memory.bytes_per_gift, result.memory.journal_bytes_per_record) > 0
    assert {look.phase for look in result.looks} >= {PhaseName.BEFORE, PhaseName.AWAY, PhaseName.AFTER}


@pytest.mark.parametrize(
    ("words", "until"),
    [
        (
            ["ledger", "--in-flight", "1", "--seconds", "600"],
            lambda folder: any(folder.glob("giftwire-bench-*/data/endpoints.json")),
        ),
        (
            ["outage", "--seconds", "600", "--rate", "20", "--before-seconds", "2"],
            lambda folder: "T" in [state(pid) for pid in _processes_with(str(folder))],
        ),
    ],
    ids=["ledger", "outage, while PostgreSQL is stopped"],
)
def test_bench_that_is_told_to_end_takes_its_server_along(
    words: list[str], until: Callable[[Path], bool], tmp_path: Path
) -> None:
    """A time limit ends the bench with SIGTERM; no server goes on, and its folder is gone."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    bench = subprocess.Popen([*BENCH, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: until(tmp_path), START_S)
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(START_S) == 128 + signal.SIGTERM
    finally:
        bench.kill()
        bench.wait()
    assert list(tmp_path.iterdir()) == []
    assert _processes_with(str(tmp_path)) == {}


def _processes_with(word: str) -> dict[int, str]:
    lines = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            lines[int(file.parent.name)] = line
    return lines

"""The bench commands, as processes: they answer in JSON, and leave nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from ledger.bench.books import BooksResult
from loadtest.bench.clients import ClientsResult
from loadtest.bench.neighbours import NeighboursResult
from loadtest.bench.reconnect import ReconnectResult
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
    words = ["clients", "--viewers", "40", "--seconds", "1", "--rounds", "2", "--json"]
    done = subprocess.run([*BENCH, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = msgspec.convert(msgspec.json.decode(done.stdout)["result"], ClientsResult)
    assert (result.viewers, result.ratio.runs) == (40, 2)
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


def test_bench_that_is_told_to_end_takes_its_server_along(tmp_path: Path) -> None:
    """A time limit ends the bench with SIGTERM; no server goes on, and its folder is gone."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    bench = subprocess.Popen(
        [*BENCH, "ledger", "--in-flight", "1", "--seconds", "600"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: any(tmp_path.glob("giftwire-bench-*/data/endpoints.json")), START_S)
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(START_S) == 128 + signal.SIGTERM
    finally:
        bench.kill()
        bench.wait()
    assert list(tmp_path.iterdir()) == []
    assert _processes_with(str(tmp_path)) == []


def _processes_with(word: str) -> list[str]:
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            lines.append(line)
    return lines

"""What the bench reads of processes is what the kernel says."""

import os
import subprocess
import sys

import pytest

from loadtest.record.spread import spread
from loadtest.server.procfs import ServerProcess, cpu_s, family, machine_s, pss_kb, rss_kb, state, waited_s


def test_own_cpu_time_is_counted() -> None:
    """Work shows, and agrees with what Python says of itself to two ticks of the clock."""
    while sum(os.times()[:2]) < 0.05:
        sum(range(10_000))
    assert cpu_s(os.getpid()) == pytest.approx(sum(os.times()[:2]), abs=0.03)


def test_process_that_has_gone_used_nothing() -> None:
    """A process may end while it is looked at."""
    assert cpu_s(2**22 + 1) == 0.0
    assert rss_kb(2**22 + 1) == 0
    assert state(2**22 + 1) == ""
    with pytest.raises(OSError, match="No such file"):
        pss_kb(2**22 + 1)


def test_own_memory_is_some() -> None:
    """An interpreter is megabytes, more of them with what it shares; whoever asks runs."""
    assert rss_kb(os.getpid()) * 1.1 > pss_kb(os.getpid()) > 1_000
    assert state(os.getpid()) == "R"


def test_family_names_the_parts() -> None:
    """Children are found and named by the words in their command lines."""
    wait = "import sys; print(1, flush=True); sys.stdin.read()"
    children = [
        subprocess.Popen([sys.executable, "-c", wait, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for words in (["gateway"], ["worker"], [])
    ]
    children += [
        subprocess.Popen([title, "-c", wait], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for title in ("postgres: io worker 0", "valkey-server *:0")
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        found = family(os.getpid())
    finally:
        for child in children:
            child.communicate(b"")
    parts = {process.pid: process.part for process in found}
    assert ServerProcess(os.getpid(), "serve") in found
    assert [parts[child.pid] for child in children] == ["gateway", "worker", "other", "postgres", "valkey"]


def test_spread_is_median_and_range() -> None:
    """An outlier moves the range, not the figure."""
    found = spread([1.0, 1.1, 9.0])
    assert (found.median, found.low, found.high, found.runs) == (1.1, 1.0, 9.0, 3)
    assert str(found) == "1.1 (1 to 9, 3 runs)"


def test_children_that_have_ended_are_counted_with_their_parent() -> None:
    """Their time is theirs while they live, and their parent's once it has waited for them; both are the machine's."""
    before_s, machine_before_s = waited_s(os.getpid()), machine_s()
    work = "import os\nwhile sum(os.times()[:2]) < 0.2: sum(range(9999))"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert waited_s(os.getpid()) - before_s >= 0.19
    assert machine_s() - machine_before_s >= 0.19
    assert waited_s(2**22 + 1) == 0.0

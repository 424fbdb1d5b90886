"""What the plan is measured by, against a real server: a run, messages that are heard, silent viewers, weights."""

from loadtest.plan.measuring.grid import Block
from loadtest.plan.measuring.measure import measure
from loadtest.plan.measuring.observe import Point
from loadtest.plan.measuring.rows import known_of, rows_of

ONE = Block(1, 1, (Point("few", 60, 10, 2, apart=True),), probed=True)


def test_measuring_on_a_server_of_its_own() -> None:
    """Everything that constants are fitted to is counted, and took something."""
    told: list[str] = []
    found = measure([ONE], seconds=1.0, repeats=1, seed=1, told=told.append, idle_sockets=20, idle_s=1.0, rest_s=1.0)
    assert told == [
        "messages that nobody is told of",
        "1/1 few: 60 gifts/s, 10 viewers, 2 rooms, gifts come in elsewhere",
        "a server with nobody on it",
        "60 viewers who only sit there",
    ]
    (run,) = found.runs
    assert run.gifts == run.sighted > 0
    assert min(run.counts[name] for name in ("commits", "ticks", "frames", "facts", "batches")) > 0
    assert min(run.cpu["gateway"], run.cpu["valkey"], run.stored.aof_bytes, run.stored.rows, run.gateway_mb) > 0
    assert run.times.accepted_p99 is not None
    assert len(run.fsync_ms) > 10
    assert min(*run.fsync_ms, run.beat_us) > 0
    known = known_of(found.probes)
    assert known["valkey"]["delivery"].value > 0
    # A wallet in a message is a name of 13 letters, a record and coins: some 24 bytes of MessagePack.
    assert 20 < known["published_bytes"]["wallet"].value < 30
    (rest,) = found.rests
    # What one of them uses in a second may be less than the kernel counts.
    assert min(rest.beat_us, sum(rest.cpu.values())) > 0
    (idle,) = found.idle
    assert (idle.sockets, len(idle.kb_by_step)) == (60, 2)
    assert min(idle.beat_us, *(probe.beat_us for probe in found.probes)) > 0
    assert len(found.references) == 3
    # The gateway that gave, the one that showed, the silent one, and the one that heard each kind of message.
    assert len(rows_of(found.runs, found.idle, found.probes)["gateway"]) == 5

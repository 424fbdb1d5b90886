"""Agents in their own processes, against the bench's reference server."""

import multiprocessing
import time

import pytest

from gateway.wire.codec import Encoding
from loadtest.bench.reference import WriteOrder, Written, serve_reference
from loadtest.bench.server import free_port
from loadtest.play.crew import Crew, CrewFailed
from loadtest.play.orders import Assignment, Begin
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import Run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.tokens import TokenSigner

FRAMES, VIEWERS = 5, 6


def viewers_at(port: int) -> list[Assignment]:
    """Two processes with three viewers each."""
    scenario = Scenario("t", "t", 1.0, 1.0, [Phase(1, 1, 1)], [Mix("rose")], population=Population(viewers=VIEWERS))
    stage = set_stage(Run(3), scenario)
    url = f"ws://127.0.0.1:{port}/v1/ws"
    parts = assign(stage, Crowd(viewers=2), url, Encoding.JSON, TokenSigner(b"k" * 48))
    return [part for part in parts if part.viewers]


def test_every_viewer_sees_every_frame_of_the_reference() -> None:
    """Books come back from all processes; the reference wrote what was read, in frames of the size asked for."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reference = context.Process(target=serve_reference, args=(port, theirs), daemon=True)
    reference.start()
    theirs.close()
    ours.send(WriteOrder(VIEWERS, FRAMES, 0.01, 300))
    ours.recv()
    with Crew(viewers_at(port)) as crew:
        assert [ready.limits is not None for ready in crew.wait_ready()] == [True, True]
        ours.recv()
        crew.begin(Begin(time.monotonic_ns(), 0))
        ours.send("write")
        written: Written = ours.recv()
        read = 0
        deadline_s = time.monotonic() + 20
        while read < VIEWERS * FRAMES and time.monotonic() < deadline_s:
            read = sum(progress.frames for progress in crew.progress(1.0)) or read
        harvests = crew.finish()
    ours.send("end")
    reference.join(10)
    assert written.writes == VIEWERS * FRAMES
    assert sum(harvest.frames for harvest in harvests) == VIEWERS * FRAMES
    assert sum(harvest.bytes_received for harvest in harvests) == VIEWERS * FRAMES * 300
    watches = [watch for harvest in harvests for watch in harvest.watches[0]]
    assert [len(watch.frames) for watch in watches] == [FRAMES] * VIEWERS
    assert [fault for harvest in harvests for fault in harvest.faults] == []


def test_crew_without_a_server_fails_in_words() -> None:
    """Nobody listens: the run is told which client could not be had, and no process stays."""
    with Crew(viewers_at(free_port())) as crew:
        with pytest.raises(CrewFailed, match="-v"):
            crew.wait_ready()
        processes = list(crew.pids)
    assert processes

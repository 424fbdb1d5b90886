"""What is read of one connection: some frames a turn, and no more than its allowance, whatever it sends."""

import asyncio
import itertools

import pytest

from gateway.edge.config import EdgeConfig
from gateway.edge.intake import (
    FRAMES_A_COMMAND,
    ROUND_FRAMES_MAX,
    ROUND_REFUSED_FRAMES_MAX,
    SLICE_BYTES,
    TURN_FRAMES_MAX,
    Intake,
)
from tests.integration.edge.raw import CONTINUATION, PING, TEXT, frame
from tests.unit.gateway.edge.line import EchoEdge, Line
from tests.waiting import until

COMMAND = frame(TEXT, b"x")
BURST = 50
ALLOWED = FRAMES_A_COMMAND * BURST
TURN_MAX = TURN_FRAMES_MAX + SLICE_BYTES // len(frame(PING))
FLOODS = {
    "commands": COMMAND * 20_000,
    "pings": frame(PING) * 20_000,
    "parts": frame(TEXT, b"x", final=False) + frame(CONTINUATION, final=False) * 20_000,
    "long_ones": frame(TEXT, bytes(16_384)) * 20,
}


def _slow_edge() -> EchoEdge:
    """One that gives two frames a second beyond the burst: nothing of that is seen in a test."""
    return EchoEdge(EdgeConfig(commands_per_s_max=1, commands_burst_max=BURST, idle_frames_max=1_000_000))


def test_allowance_is_used_up_and_fills_again() -> None:
    """Ten commands a second and thirty at once are twice as many frames."""
    intake = Intake(EdgeConfig(commands_per_s_max=10, commands_burst_max=30), bool)
    used, pause_s = intake.charge(0.0, 100.0, 60)
    assert pause_s == 0.0
    used, pause_s = intake.charge(used, 100.0, 1)
    assert pause_s == pytest.approx(0.05)
    used, pause_s = intake.charge(used, 100.05, 1)
    assert pause_s == pytest.approx(0.05)
    used, pause_s = intake.charge(used, 102.05, 39)
    assert pause_s == pytest.approx(0.0)
    # A long silence gives no more than the burst.
    assert intake.charge(used, 1_000.0, 61)[1] == pytest.approx(0.05)


@pytest.mark.parametrize("kind", FLOODS)
async def test_flood_is_read_a_turn_at_a_time(kind: str) -> None:
    """What others send is looked at after so many frames, however many came in one piece."""
    line = Line(EdgeConfig(idle_frames_max=1_000_000))
    line.connection.data_received(FLOODS[kind])
    assert 0 < line.edge.intake.frames <= TURN_MAX
    assert line.transport.reading is (line.edge.intake.frames < TURN_FRAMES_MAX)
    line.hang_up()


@pytest.mark.parametrize("kind", ["commands", "pings", "parts"])
async def test_flood_is_read_up_to_its_allowance(kind: str) -> None:
    """Then it waits in the client's socket, while another's command is answered at once."""
    edge = _slow_edge()
    flooding, other = Line(edge=edge), Line(edge=edge)
    flooding.connection.data_received(FLOODS[kind])
    await until(lambda: "paced" in edge.counted(), 5)
    assert ALLOWED < edge.intake.frames <= ALLOWED + TURN_MAX
    assert not flooding.transport.reading
    other.connection.data_received(COMMAND)
    assert other.session.heard == [b"x"]
    assert other.transport.reading
    for line in (flooding, other):
        line.hang_up()


async def test_what_arrives_in_a_pause_is_read_behind_it() -> None:
    """In order, and nothing is lost."""
    line = Line()
    for number in range(40):
        line.connection.data_received(b"".join(frame(TEXT, b"%d.%d" % (number, part)) for part in range(10)))
    await until(lambda: line.transport.reading, 5)
    assert line.session.heard == [b"%d.%d" % (number, part) for number in range(40) for part in range(10)]


async def test_flood_that_breaks_a_rule_is_read_to_its_end() -> None:
    """Unread bytes would take our close along when the socket ends; what is read is not looked at."""
    line = Line(edge=_slow_edge())
    await line.feed([COMMAND * 10 + frame(0x3) + COMMAND * 20_000])
    assert len(line.session.heard) == 10
    assert line.transport.ended
    line.connection.data_received(COMMAND * 20_000)
    assert line.transport.reading
    assert line.edge.intake.frames == 10
    line.hang_up()


async def test_socket_that_goes_in_a_pause_leaves_nothing() -> None:
    """Its turn never comes."""
    line = Line(edge=_slow_edge())
    line.connection.data_received(COMMAND * 1_000)
    session = line.session
    line.hang_up()
    other = Line(edge=line.edge)
    await other.feed([COMMAND * (TURN_FRAMES_MAX + 20)])
    assert len(session.heard) == line.edge.intake.frames - (TURN_FRAMES_MAX + 20)
    assert len(session.heard) <= TURN_MAX
    other.hang_up()


async def test_crowd_is_read_a_round_at_a_time() -> None:
    """After so many frames of all together everything else has its turn, such as the outcomes of gifts; then it goes on
    with those that have waited the longest, until nothing is left."""
    edge = EchoEdge(EdgeConfig())
    crowd = [Line(edge=edge) for _ in range(ROUND_FRAMES_MAX // 10 * 3)]
    for number, line in enumerate(crowd):
        line.connection.data_received(frame(TEXT, b"%d" % number) * 10)
    read_at: list[int] = []
    while len(read_at) < 3:
        read_at.append(edge.intake.frames)
        await asyncio.sleep(0)
    # What others have to do, seen from here, comes after each round and not behind all of them.
    steps = [read_at[0], *(after - before for before, after in itertools.pairwise(read_at))]
    assert all(ROUND_FRAMES_MAX <= step < ROUND_FRAMES_MAX + TURN_MAX for step in steps[:2])
    assert edge.intake.frames <= len(crowd) * 10
    done = [len(line.session.heard) for line in crowd]
    assert done == sorted(done, reverse=True), "in the order in which they came"
    await until(lambda: edge.intake.frames == len(crowd) * 10, 5)
    assert [len(line.session.heard) for line in crowd] == [10] * len(crowd)
    assert all(line.transport.reading for line in crowd)
    for line in crowd:
        line.hang_up()


async def test_socket_that_goes_before_its_round_leaves_nothing() -> None:
    """Its turn is passed over, and those behind it are read."""
    edge = EchoEdge(EdgeConfig())
    crowd = [Line(edge=edge) for _ in range(ROUND_FRAMES_MAX // 10 + 10)]
    for line in crowd:
        line.connection.data_received(COMMAND * 10)
    gone, last = crowd[-2], crowd[-1]
    heard = gone.session.heard
    assert not heard
    gone.hang_up()
    await until(lambda: len(last.session.heard) == 10, 5)
    assert not heard


async def test_crowd_while_gifts_are_refused() -> None:
    """Nobody is read at once; what gathers meanwhile is read in one go, and once it is over all is read as it comes."""
    edge = EchoEdge(EdgeConfig())
    line, other = Line(edge=edge), Line(edge=edge)
    edge.desk.full = True
    for part in range(3):
        line.connection.data_received(COMMAND * 2)
        assert line.session.heard == [], part
    await until(lambda: len(line.session.heard) == 6, 5)
    assert line.transport.reading
    edge.desk.full = False
    await asyncio.sleep(0)
    other.connection.data_received(COMMAND)
    await until(lambda: len(other.session.heard) == 1, 5)
    line.connection.data_received(COMMAND)
    assert len(line.session.heard) == 7
    for one in (line, other):
        one.hang_up()


async def test_more_is_read_in_a_round_while_gifts_are_refused() -> None:
    """So that refusals do not come later and later when twice as many gifts come as can be paid; and in rounds all the
    same, so that outcomes have their turn."""
    edge = EchoEdge(EdgeConfig())
    edge.desk.full = True
    crowd = [Line(edge=edge) for _ in range(ROUND_REFUSED_FRAMES_MAX // 10 * 3)]
    for line in crowd:
        line.connection.data_received(COMMAND * 10)
    assert edge.intake.frames == 0
    read_at = [0]
    while read_at[-1] < len(crowd) * 10:
        await asyncio.sleep(0)
        if edge.intake.frames > read_at[-1]:
            read_at.append(edge.intake.frames)
    steps = [after - before for before, after in itertools.pairwise(read_at)]
    assert all(ROUND_REFUSED_FRAMES_MAX <= step < ROUND_REFUSED_FRAMES_MAX + TURN_MAX for step in steps[:-1])
    assert len(steps) == 3
    for line in crowd:
        line.hang_up()


async def test_session_that_fails_in_its_round_holds_up_nobody() -> None:
    """Those behind it are read, and so is who comes later."""
    edge = EchoEdge(EdgeConfig())
    crowd = [Line(edge=edge) for _ in range(ROUND_FRAMES_MAX // 10 + 10)]
    heard_of: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard_of.append(context["exception"]))

    def fail(payload: bytes) -> None:
        raise ValueError(payload)

    failing, last = crowd[-2], crowd[-1]
    failing.session.receive = fail  # type: ignore[method-assign]
    for line in crowd:
        line.connection.data_received(COMMAND * 10)
    assert not last.session.heard
    await until(lambda: len(last.session.heard) == 10, 5)
    assert [type(exc) for exc in heard_of] == [ValueError]
    later = Line(edge=edge)
    later.connection.data_received(COMMAND * (ROUND_FRAMES_MAX // 10))
    await until(lambda: len(later.session.heard) == ROUND_FRAMES_MAX // 10, 5)
    for line in (*crowd, later):
        line.hang_up()

"""Everybody of the population is played once, by the right process."""

from gateway.wire.codec import Encoding
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import Run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.tokens import TokenSigner

SIGNER = TokenSigner(b"k" * 48)


def scenario(population: Population) -> Scenario:
    """One second of roses."""
    return Scenario("t", "t", 1.0, 1.0, [Phase(1, 1, 1)], [Mix("rose")], population=population)


def test_everybody_is_played_once() -> None:
    """Overlays have a process of their own; senders and viewers are dealt to theirs."""
    stage = set_stage(Run(1), scenario(Population(rooms=3, senders=7, viewers=8, overlays_per_room=2)))
    parts = assign(stage, Crowd(senders=2, viewers=3), "ws://h", Encoding.JSON, SIGNER)
    assert [part.process for part in parts] == list(range(6))
    assert sorted(member.number for part in parts for member in part.overlays) == [0, 0, 1, 1, 2, 2]
    assert sorted(member.number for part in parts for member in part.senders) == list(range(7))
    assert sorted(member.number for part in parts for member in part.viewers) == list(range(8))
    assert all(sum(map(bool, (part.senders, part.overlays, part.viewers))) == 1 for part in parts)


def test_senders_of_a_process_are_those_of_its_slice() -> None:
    """The workload's slices and the casting agree on who is whose."""
    stage = set_stage(Run(1), scenario(Population(senders=5)))
    parts = [part for part in assign(stage, Crowd(senders=2), "ws://h", Encoding.JSON, SIGNER) if part.senders]
    for part in parts:
        expected = range(part.slice_index, 5, part.slices)
        assert [member.number for member in part.senders] == list(expected)


def test_no_process_is_started_for_nobody() -> None:
    """Without viewers there is no viewers' process, and never more processes than members."""
    stage = set_stage(Run(1), scenario(Population(senders=1)))
    parts = assign(stage, Crowd(senders=4, viewers=4), "ws://h", Encoding.JSON, SIGNER)
    assert [(len(part.overlays), len(part.senders), len(part.viewers)) for part in parts] == [(1, 0, 0), (0, 1, 0)]

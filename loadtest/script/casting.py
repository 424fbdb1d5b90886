"""Shares a scenario out to processes: which users there are, in which rooms, and who plays them."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from gateway.wire.codec import Encoding
from loadtest.play.orders import Assignment, Member
from loadtest.script.naming import Run
from loadtest.script.scenario import Scenario
from loadtest.script.workload import rooms_of
from loadtest.tokens import TokenSigner


class Stage(Struct, frozen=True):
    """The population of a run with its rooms drawn.

    Attributes:
        sender_rooms, viewer_rooms: room number by number of the member.
    """

    run: Run
    scenario: Scenario
    sender_rooms: list[int]
    viewer_rooms: list[int]


class Crowd(Struct, frozen=True):
    """How many processes play whom. Overlays have their own, so that a crowd of viewers does not delay their clock."""

    senders: int = 1
    viewers: int = 1


def set_stage(run: Run, scenario: Scenario) -> Stage:
    """Draw everybody's room."""
    population = scenario.population
    return Stage(
        run,
        scenario,
        rooms_of(population, scenario.seed, population.senders, "senders"),
        rooms_of(population, scenario.seed, population.viewers, "viewers"),
    )


def assign(stage: Stage, crowd: Crowd, url: str, encoding: Encoding, signer: TokenSigner) -> list[Assignment]:
    """One assignment for each process: overlays first, then senders, then viewers."""
    run, scenario = stage.run, stage.scenario
    overlays = [
        Member(room, signer.token(run.creator(room), "overlay", room=run.room(room)), room)
        for room in range(scenario.population.rooms)
        for _ in range(scenario.population.overlays_per_room)
    ]
    senders = _members(stage.sender_rooms, run.sender, signer)
    viewers = _members(stage.viewer_rooms, run.viewer, signer)
    sender_processes = min(crowd.senders, len(senders))
    viewer_processes = min(crowd.viewers, len(viewers)) if viewers else 0
    buyers = [Member(number, signer.token(run.buyer(number), "viewer"), 0) for number in range(scenario.buying.buyers)]
    parts: list[tuple[int, int, list[Member], list[Member], list[Member]]] = [(0, 1, [], overlays, [])]
    parts += [(index, sender_processes, senders[index::sender_processes], [], []) for index in range(sender_processes)]
    parts += [(0, 1, [], [], viewers[index::viewer_processes]) for index in range(viewer_processes)]
    return [
        Assignment(
            process=process,
            run=run,
            url=url,
            encoding=encoding,
            scenario=scenario,
            slice_index=slice_index,
            slices=slices,
            senders=its_senders,
            overlays=its_overlays,
            viewers=its_viewers,
            # With the overlays: one process, and few sockets.
            buyers=[] if process else buyers,
        )
        for process, (slice_index, slices, its_senders, its_overlays, its_viewers) in enumerate(parts)
    ]


def _members(rooms: Sequence[int], name: Callable[[int], str], signer: TokenSigner) -> list[Member]:
    return [Member(number, signer.token(name(number), "viewer"), room) for number, room in enumerate(rooms)]

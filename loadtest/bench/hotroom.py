"""Whether the cost of a hot room is flat: what its viewers' gateway spends when a hundred times more gifts are given.

Gifts are handed in at another gateway, so that the one that is watched only hears them and tells its viewers. Rounds of
the slow and the fast rate alternate.
"""

from typing import Final

from msgspec import Struct

from loadtest.bench.rounds import Watched, watch_round
from loadtest.bench.server import BenchServer
from loadtest.record.spread import Spread, spread
from loadtest.script.scenario import Mix, Phase, Population, Scenario

SENDERS: Final = 100
ITEMS: Final = ("rose", "heart", "clap", "coffee", "balloon")


class HotroomResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        ratio: processor time of the gateway at the fast rate over that at the slow one.
        slow_cpu_share, fast_cpu_share: of one processor, less what it used while idle.
        slow_frame_bytes, fast_frame_bytes: the mean.
        slow_frames_per_s, fast_frames_per_s: frames that reached viewers and the overlay.
    """

    viewers: int
    slow_per_s: float
    fast_per_s: float
    ratio: Spread
    slow_cpu_share: Spread
    fast_cpu_share: Spread
    slow_frames_per_s: float
    fast_frames_per_s: float
    slow_frame_bytes: float
    fast_frame_bytes: float


def measure_hotroom(
    server: BenchServer, *, viewers: int, slow_per_s: float, fast_per_s: float, seconds: float, rounds: int
) -> HotroomResult:
    """Alternate rounds of both rates, with the same viewers."""
    with server.another_gateway() as senders_url:
        watch_round(server, _scenario(viewers, slow_per_s, min(seconds, 2.0)), senders_url=senders_url)
        slow: list[Watched] = []
        fast: list[Watched] = []
        for _ in range(rounds):
            slow.append(watch_round(server, _scenario(viewers, slow_per_s, seconds), senders_url=senders_url))
            fast.append(watch_round(server, _scenario(viewers, fast_per_s, seconds), senders_url=senders_url))
    slow_shares, fast_shares = [_share(one) for one in slow], [_share(one) for one in fast]
    return HotroomResult(
        viewers=viewers,
        slow_per_s=round(sum(one.accepted for one in slow) / (seconds * rounds), 1),
        fast_per_s=round(sum(one.accepted for one in fast) / (seconds * rounds), 1),
        ratio=spread([high / low for low, high in zip(slow_shares, fast_shares, strict=True)]),
        slow_cpu_share=spread(slow_shares),
        fast_cpu_share=spread(fast_shares),
        slow_frames_per_s=round(sum(one.frames for one in slow) / (seconds * rounds), 1),
        fast_frames_per_s=round(sum(one.frames for one in fast) / (seconds * rounds), 1),
        slow_frame_bytes=_frame_bytes(slow),
        fast_frame_bytes=_frame_bytes(fast),
    )


def _share(watched: Watched) -> float:
    return watched.cpu_per_s - watched.idle_per_s


def _frame_bytes(rounds: list[Watched]) -> float:
    return round(sum(one.bytes_received for one in rounds) / max(sum(one.frames for one in rounds), 1), 1)


def _scenario(viewers: int, rate_per_s: float, seconds: float) -> Scenario:
    return Scenario(
        name="hotroom",
        summary="Single gifts of a few kinds in one room.",
        rate_per_s=rate_per_s,
        duration_s=seconds,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix(item) for item in ITEMS],
        population=Population(senders=SENDERS, viewers=viewers, overlays_per_room=0),
        poisson=False,
    )

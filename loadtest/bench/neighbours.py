"""What stalled readers, and a client that floods, do to the others of their room.

Rounds without, with stalled viewers and with a flood take turns in one run; each time the same viewers read the same
load, so what is compared is only who else is there.
"""

import contextlib
import statistics
from typing import Final

import httpx
from msgspec import Struct

from loadtest.bench.disturbers import Disturbance, Kind, disturbed
from loadtest.bench.server import BenchServer, ServerFailed
from loadtest.play.orders import Progress
from loadtest.play.run import Options, run_loadtest
from loadtest.record.spread import Spread, spread
from loadtest.script.scenario import Mix, Phase, Population, Scenario, Thresholds
from loadtest.server.procfs import cpu_by_part
from loadtest.tokens import KEY_FILE, TokenSigner

SENDERS: Final = 50


class NeighboursRound(Struct, frozen=True):
    """One round.

    Attributes:
        viewer_p50_ms, viewer_p99_ms: from the moment at which a gift was meant to be sent to its viewers.
        gateway_cpu_s: from the first gift to the last.
        skipped: ticks that stalled viewers were not written.
        paced: times that a client was not read for a while.
    """

    viewer_p50_ms: float
    viewer_p99_ms: float
    gateway_cpu_s: float
    skipped: int
    paced: int


class NeighboursResult(Struct, frozen=True):
    """The bench's answer: each ratio is that of a disturbed round over the calm one before it."""

    viewers: int
    stalled: int
    gifts_per_s: float
    stalled_p99_ratio: Spread
    stalled_cpu_ratio: Spread
    flood_p99_ratio: Spread
    flood_cpu_ratio: Spread
    calm_p99_ms: Spread
    calm: list[NeighboursRound]
    with_stalled: list[NeighboursRound]
    with_flood: list[NeighboursRound]


def measure_neighbours(
    server: BenchServer, *, viewers: int, stalled_percent: float, gifts_per_s: float, seconds: float, rounds: int
) -> NeighboursResult:
    """Play the rounds in turn, after one that warms up and is not counted."""
    stalled = max(1, round(viewers * stalled_percent / 100))
    scenario = _scenario(viewers, gifts_per_s, seconds)
    _round(server, scenario, None, 0)
    calm, with_stalled, with_flood = [], [], []
    for _ in range(rounds):
        calm.append(_round(server, scenario, None, 0))
        with_stalled.append(_round(server, scenario, "stalled", stalled))
        with_flood.append(_round(server, scenario, "flood", 1))
    return NeighboursResult(
        viewers=viewers,
        stalled=stalled,
        gifts_per_s=gifts_per_s,
        stalled_p99_ratio=_ratio(with_stalled, calm, "viewer_p99_ms"),
        stalled_cpu_ratio=_ratio(with_stalled, calm, "gateway_cpu_s"),
        flood_p99_ratio=_ratio(with_flood, calm, "viewer_p99_ms"),
        flood_cpu_ratio=_ratio(with_flood, calm, "gateway_cpu_s"),
        calm_p99_ms=spread([one.viewer_p99_ms for one in calm]),
        calm=calm,
        with_stalled=with_stalled,
        with_flood=with_flood,
    )


def _ratio(disturbed_rounds: list[NeighboursRound], calm: list[NeighboursRound], name: str) -> Spread:
    # Over the median of the calm ones: a round alone on shared processors is no reference.
    reference = statistics.median(getattr(one, name) for one in calm)
    return spread([getattr(one, name) / reference for one in disturbed_rounds])


class _Disturber:
    """A watcher of a run that lets the disturbers in before the viewers, and looks at the gateway's processor.

    Before, since a process that starts while it is measured takes more of a shared processor than its clients do.
    """

    def __init__(self, server: BenchServer, signer: TokenSigner, kind: Kind | None, clients: int) -> None:
        self._server = server
        self._signer = signer
        self._kind = kind
        self._clients = clients
        self._rooms = _rooms(server)
        self._began_s = 0.0
        self.inside = contextlib.ExitStack()
        self.used_s = 0.0

    def stage(self, words: str) -> None:
        """The run goes on to its next stage."""
        if words == "joining" and self._kind is not None:
            (room,) = _rooms(self._server) - self._rooms
            tokens = [self._signer.token(f"disturber-{number}", "viewer") for number in range(self._clients)]
            port = httpx.URL(self._server.url).port or 80
            self.inside.enter_context(disturbed(Disturbance(self._kind, port, room, tokens)))
        elif words == "sending":
            self._began_s = self._gateway_s()
        elif words == "draining":
            self.used_s = self._gateway_s() - self._began_s

    def moment(self, elapsed_s: float, latest: dict[int, Progress], new: list[Progress]) -> None:
        """Nothing to note."""

    def _gateway_s(self) -> float:
        return cpu_by_part(self._server.processes)["gateway"]


def _round(server: BenchServer, scenario: Scenario, kind: Kind | None, clients: int) -> NeighboursRound:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("bench", "operator"), signer)
    watcher = _Disturber(server, signer, kind, clients)
    before = _shed(server)
    with watcher.inside:
        report = run_loadtest(scenario, options, watcher)
        after = _shed(server)
    if report.viewer.p50_ms is None or report.viewer.p99_ms is None:
        raise ServerFailed("no viewer was shown anything")
    return NeighboursRound(
        viewer_p50_ms=report.viewer.p50_ms,
        viewer_p99_ms=report.viewer.p99_ms,
        gateway_cpu_s=watcher.used_s,
        skipped=round(after.get("tick_skipped", 0) - before.get("tick_skipped", 0)),
        paced=round(after.get("paced", 0) - before.get("paced", 0)),
    )


def _rooms(server: BenchServer) -> set[str]:
    found: set[str] = set()
    after: str | None = ""
    while after is not None:
        answer = httpx.get(f"{server.url}/v1/rooms", params={"after": after} if after else None, trust_env=False)
        page = answer.raise_for_status().json()
        found |= {room["room"] for room in page["rooms"]}
        after = page["next"]
    return found


def _shed(server: BenchServer) -> dict[str, float]:
    """What the gateway counts as shed, by reason."""
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).raise_for_status().text.splitlines()
    return {
        line.partition('reason="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("giftwire_shed_total{")
    }


def _scenario(viewers: int, gifts_per_s: float, seconds: float) -> Scenario:
    return Scenario(
        name="neighbours",
        summary="One room with single gifts, in which others misbehave.",
        rate_per_s=gifts_per_s,
        duration_s=seconds,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix("rose", 6.0, 5), Mix("heart", 3.0)],
        population=Population(senders=SENDERS, viewers=viewers),
        thresholds=Thresholds(viewers_lost_share_max=1.0),
    )

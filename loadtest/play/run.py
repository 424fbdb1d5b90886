"""A load test from beginning to end: set up over HTTP, start the agents, wait, read the money, judge, report."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from gateway.wire.codec import Encoding
from gateway.wire.codes import Code
from gateway.wire.messages import Limits, Welcome
from loadtest.checker.judge import MoneyRead, Seen, judge
from loadtest.checker.told import Kind, Told
from loadtest.clients.connection import Client, Line
from loadtest.clients.sender import UNDO_LATEST
from loadtest.play.api import Api, ApiError, CatalogGift, http_url
from loadtest.play.crew import Crew
from loadtest.play.orders import Begin, Harvest, Progress
from loadtest.record.columns import Answer, Commands, Sightings
from loadtest.record.timing import (
    accepted_latencies,
    overlay_latencies,
    purchase_latencies,
    recovered,
    seconds_of,
    sending_lag,
    viewer_latencies,
    with_recovery,
)
from loadtest.report.display import Watcher
from loadtest.report.report import (
    GeneratorUse,
    ProcessUse,
    Report,
    command_line,
    environment,
    thresholds_of,
)
from loadtest.script.casting import Crowd, Stage, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Scenario, ScenarioError, Thresholds, with_senders_for
from loadtest.script.workload import poor_senders
from loadtest.server.disturber import Disturber
from loadtest.server.local_server import find_local_server
from loadtest.server.observer import Observer
from loadtest.tokens import TokenSigner

_UNDER_BLOWS: Final = Thresholds(shed_share_max=1.0, viewers_lost_share_max=1.0, lag_p99_ms=60_000.0)
"""While processes die only right and wrong count, and whether gifts are accepted again."""
START_AFTER_S: Final = 0.5
ANSWERS_S_MAX: Final = 30.0
"""How long after the last gift answers are waited for; the agents ask again meanwhile."""
DRAIN_S_MAX: Final = 30.0
"""How long after the last answer receivers are waited for, beside the window of open combos."""
SETTLE_S_MAX: Final = 15.0
SETTLE_LOOK_S: Final = 0.5
"""How long, and how often, earnings are waited for once no gift can be undone any more."""
QUIET_REPORTS: Final = 3
"""Rounds of reports in which nothing may be missing before receivers count as drained."""
CPU_SHARE_MAX: Final = 0.9
SHED: Final = frozenset({Code.OVERLOADED, Code.UNAVAILABLE, Code.RATE_LIMITED})
WEALTH: Final = 8
"""A sender who is not poor gets this many times what it is expected to spend."""


class NotLocal(Exception):
    """What is asked for can only be done to a server on this machine."""


class Options(Struct, frozen=True):
    """How to reach the server, and how to run.

    Attributes:
        url: of the WebSocket, such as `ws://127.0.0.1:8080/v1/ws`.
        crowd: how many processes play senders and viewers.
        data_dir: of the server, where it runs on this machine: then its processes can be looked at.
        blows: whether they are killed and stopped meanwhile.
    """

    url: str
    operator_token: str
    signer: TokenSigner
    encoding: Encoding = Encoding.JSON
    crowd: Crowd = Crowd()
    data_dir: Path | None = None
    blows: bool = False


class Ground(Struct, frozen=True):
    """What was set up on the server before the run."""

    kinds: list[Kind]
    granted_coins: dict[int, int]
    share_bp: dict[int, int]


def run_loadtest(scenario: Scenario, options: Options, watcher: Watcher) -> Report:
    """Run a scenario against a server and judge it.

    Raises:
        ScenarioError: the server has no such gift, or none that may be a combo where one is meant to be.
        ApiError, ClientRefused, CrewFailed: the run could not be set up or carried out.
        NotLocal: processes are to be killed of a server that is not on this machine.
    """
    origin = http_url(options.url)
    local = None if options.data_dir is None else find_local_server(options.data_dir, origin)
    if options.blows:
        if local is None:
            raise NotLocal(f"{origin} is no `giftwire serve` of {options.data_dir}: nothing of it can be killed")
        scenario = msgspec.structs.replace(scenario, thresholds=_UNDER_BLOWS)
    run, started_at_ms = new_run(), int(time.time() * 1000)
    watcher.stage("setting up")
    limits = asyncio.run(_probe_limits(options))
    stage = set_stage(run, with_senders_for(scenario, limits.commands_per_second_max))
    ground = asyncio.run(prepare(stage, options))
    watcher.stage("joining")
    with Crew(assign(stage, options.crowd, options.url, options.encoding, options.signer)) as crew:
        crew.wait_ready()
        start_ns = time.monotonic_ns() + int(START_AFTER_S * 1e9)
        crew.begin(Begin(start_ns, time.time_ns() - time.monotonic_ns()))
        with contextlib.ExitStack() as stack:
            observer = stack.enter_context(Observer(origin, local, start_ns))
            disturber = None
            if options.blows and local is not None:
                disturber = stack.enter_context(Disturber(local, scenario.seed, start_ns, scenario.duration_s))
            _attend(crew, stage.scenario, _undo_s(stage.scenario, limits), start_ns, watcher)
        watcher.stage("collecting")
        harvests = crew.finish()
    watcher.stage("judging")
    books = [harvest.commands for harvest in harvests if harvest.commands is not None]
    told = Told(stage.run, ground.kinds, ground.granted_coins, books)
    money = asyncio.run(_read_money(stage, ground, options, told))
    report = _report(stage, told, options, started_at_ms, start_ns, harvests, money)
    struck = [] if disturber is None else with_recovery(disturber.struck, books, start_ns)
    if disturber is not None:
        report = msgspec.structs.replace(report, ok=report.ok and bool(struck) and all(map(recovered, struck)))
    return msgspec.structs.replace(report, server=observer.moments, struck=struck)


async def _probe_limits(options: Options) -> Limits:
    """What one connection may do, as `welcome` says: the number of senders depends on it."""

    class Probe(Client):
        def on_welcome(self, welcome: Welcome) -> None:
            self.settled.set_result(None)

    line = Line(options.url, options.encoding, asyncio.Semaphore(1), random.Random(0), [])
    probe = Probe(line, "probe", options.operator_token)
    await probe.open()
    line.closing = True
    await probe.close()
    if line.limits is None:
        raise ApiError("welcome told no limits")
    return line.limits


async def prepare(stage: Stage, options: Options) -> Ground:
    """Make creators and rooms, and give every sender its coins.

    Raises:
        ScenarioError: the catalogue lacks what the scenario sends.
        ApiError: the server would not.
    """
    run, population = stage.run, stage.scenario.population
    async with Api(http_url(options.url), options.operator_token, options.signer) as api:
        kinds = _kinds(stage.scenario, await api.catalog())
        if stage.scenario.buying.buyers and not await api.has_sandbox():
            raise ScenarioError("the server has no sandbox to buy at: it must run with --demo")
        granted_coins = _purses(stage, kinds)
        share_bp = await api.each(range(population.rooms), lambda room: api.make_creator(run.creator(room)))
        await api.each(range(population.rooms), lambda room: api.make_room(run.room(room), run.creator(room)))
        await api.each(granted_coins, lambda sender: api.grant(run.sender(sender), granted_coins[sender]))
    return Ground(kinds, granted_coins, share_bp)


def _kinds(scenario: Scenario, catalog: dict[str, CatalogGift]) -> list[Kind]:
    faults = [f"the server has no gift {mix.gift}" for mix in scenario.mix if mix.gift not in catalog]
    faults += [
        f"the server's {mix.gift} cannot be a combo"
        for mix in scenario.mix
        if mix.combo and mix.gift in catalog and not catalog[mix.gift].combo
    ]
    if faults:
        raise ScenarioError("; ".join(faults))
    return [Kind(mix.gift, catalog[mix.gift].price_coins, mix.combo) for mix in scenario.mix]


def _purses(stage: Stage, kinds: Sequence[Kind]) -> dict[int, int]:
    scenario = stage.scenario
    whales, senders = scenario.whales.senders, scenario.population.senders
    expected, dearest = _expected_coins(scenario, kinds, scenario.rate_peak_per_s / (senders - whales), whale=False)
    poor = poor_senders(scenario.population, scenario.seed)
    rich_coins, poor_coins = math.ceil(expected * WEALTH) + 20 * dearest, math.ceil(expected / 2) + 1
    purses = {sender: poor_coins if sender in poor else rich_coins for sender in range(senders)}
    if whales:
        expected, dearest = _expected_coins(scenario, kinds, scenario.whales.rate_per_s / whales, whale=True)
        purses |= dict.fromkeys(range(whales), math.ceil(expected * WEALTH) + 20 * dearest)
    return purses


def _expected_coins(scenario: Scenario, kinds: Sequence[Kind], per_s: float, *, whale: bool) -> tuple[float, int]:
    """What a sender of so many gifts a second spends, and its dearest gift."""
    mixed = [(mix, kind) for mix, kind in zip(scenario.mix, kinds, strict=True) if mix.whale is whale]
    weights = sum(mix.weight for mix, _ in mixed)
    mean = sum(mix.weight / weights * kind.price_coins * (1 + mix.count_max) / 2 for mix, kind in mixed)
    return mean * per_s * scenario.duration_s, max(kind.price_coins * mix.count_max for mix, kind in mixed)


def _undo_s(scenario: Scenario, limits: Limits) -> float:
    """How long after a gift its undoing may still be asked for."""
    window_ms = 0 if limits.undo_window_ms is UNSET else limits.undo_window_ms
    return window_ms * UNDO_LATEST / 1000 if scenario.undo_share else 0.0


def _attend(crew: Crew, scenario: Scenario, undo_s: float, start_ns: int, watcher: Watcher) -> None:
    """Wait until every gift is told and answered, none can be undone any more and every receiver has what was accepted
    and undone, or time is up."""
    latest: dict[int, Progress] = {}
    watcher.stage("sending")
    answers_due_s = scenario.duration_s + undo_s + ANSWERS_S_MAX
    drained_due_s = math.inf
    quiet = 0
    while True:
        new = crew.progress(0.5)
        latest.update((progress.process, progress) for progress in new)
        elapsed_s = (time.monotonic_ns() - start_ns) / 1e9
        watcher.moment(max(elapsed_s, 0.0), latest, new)
        if drained_due_s == math.inf:
            if elapsed_s > answers_due_s or (len(latest) == len(crew.pids) and _all_answered(latest)):
                drained_due_s = elapsed_s + _windows_left_s(latest) + DRAIN_S_MAX
                watcher.stage("draining")
        elif elapsed_s > drained_due_s:
            return
        elif new:
            quiet = quiet + 1 if _all_received(latest) and _windows_left_s(latest) == 0 else 0
            if quiet >= QUIET_REPORTS * len(crew.pids):
                return


def _all_answered(latest: dict[int, Progress]) -> bool:
    return all(progress.done and progress.unanswered == 0 for progress in latest.values())


def _windows_left_s(latest: dict[int, Progress]) -> float:
    """For how long a gift can still be undone."""
    until_ms = max((progress.undo_until_ms for progress in latest.values()), default=0)
    return max(until_ms / 1000 - time.time(), 0.0)


def _all_received(latest: dict[int, Progress]) -> bool:
    due = sum(progress.accepted + progress.undone for progress in latest.values())
    seen = sum(count for progress in latest.values() for count in progress.seen.values())
    combos_open = sum(progress.combos_open for progress in latest.values())
    overlay_seqs = {room: seq for progress in latest.values() for room, seq in progress.overlay_seqs.items()}
    behind = any(
        seq < overlay_seqs.get(room, 0) for progress in latest.values() for room, seq in progress.viewer_seqs.items()
    )
    return seen >= due and combos_open == 0 and not behind


async def _read_money(stage: Stage, ground: Ground, options: Options, told: Told) -> MoneyRead:
    run, due = stage.run, told.diamonds_by_room(ground.share_bp)

    def settled(live_diamonds: dict[int, int | None]) -> bool:
        return all(diamonds == due.get(room, 0) for room, diamonds in live_diamonds.items())

    async with Api(http_url(options.url), options.operator_token, options.signer) as api:
        balances = await api.each_readable(ground.granted_coins, lambda sender: api.balance(run.sender(sender)))
        buyers = await api.each_readable(range(stage.scenario.buying.buyers), lambda one: api.balance(run.buyer(one)))
        live_diamonds = await api.each_readable(ground.share_bp, lambda room: api.live_diamonds(run.creator(room)))
        # What could be undone is paid to its creator when the time is over, by a duty that comes round.
        late_s = time.monotonic() + SETTLE_S_MAX
        while told.could_undo and not settled(live_diamonds) and time.monotonic() < late_s:
            await asyncio.sleep(SETTLE_LOOK_S)
            live_diamonds = await api.each_readable(ground.share_bp, lambda room: api.live_diamonds(run.creator(room)))
        try:
            audit = await api.audit()
        except ApiError as exc:
            return MoneyRead(balances, live_diamonds, ground.share_bp, [str(exc)], buyers)
    audit_faults = audit.violations if audit.violations or audit.ok else ["not ok, without a word why"]
    return MoneyRead(balances, live_diamonds, ground.share_bp, audit_faults, buyers)


def _report(
    stage: Stage,
    told: Told,
    options: Options,
    started_at_ms: int,
    start_ns: int,
    harvests: Sequence[Harvest],
    money: MoneyRead,
) -> Report:
    scenario = stage.scenario
    books = list(told.books.values())
    sightings = [book for harvest in harvests for book in harvest.sightings]
    purchases = [harvest.purchases for harvest in harvests if harvest.purchases is not None]
    seen = [(book, harvest.watches[book.room]) for harvest in harvests for book in harvest.books]
    verdict = judge(
        told,
        sightings,
        [Seen(book, watches) for book, watches in seen],
        max(harvest.combo_window_ms for harvest in harvests),
        money,
        [words for harvest in harvests for words in harvest.faults],
        purchases,
    )
    by_process = {book.process: book for book in books}
    truths: dict[int, Sightings] = {}
    for book in sightings:
        truths.setdefault(book.room, book)
    viewer, sampled_every = viewer_latencies(by_process, truths, seen)
    accepted, overlay = accepted_latencies(books).summary(), overlay_latencies(by_process, sightings).summary()
    generator = _generator_use(scenario, harvests, books, sampled_every)
    refusals = _refusals(books)
    shed = sum(count for code, count in refusals.items() if code in SHED)
    credited = purchase_latencies(purchases).summary()
    thresholds = thresholds_of(scenario, verdict, accepted, overlay, viewer.summary(), credited, generator.lag, shed)
    return Report(
        ok=verdict.ok and all(threshold.held for threshold in thresholds),
        run=stage.run.prefix,
        command=command_line(),
        url=options.url,
        started_at_ms=started_at_ms,
        scenario=scenario,
        environment=environment(),
        verdict=verdict,
        thresholds=thresholds,
        gifts_per_s=round(verdict.gifts_accepted / scenario.duration_s, 1),
        refusals=refusals,
        accepted=accepted,
        overlay=overlay,
        viewer=viewer.summary(),
        credited=credited,
        seconds=seconds_of(books, start_ns),
        generator=generator,
    )


def _generator_use(
    scenario: Scenario, harvests: Sequence[Harvest], books: Sequence[Commands], sampled_every: int
) -> GeneratorUse:
    loop_lag = harvests[0].loop_lag
    for harvest in harvests[1:]:
        loop_lag.add(harvest.loop_lag)
    lag = sending_lag(books).summary()
    processes = [
        ProcessUse(
            harvest.process,
            "senders" if harvest.commands is not None else "overlays" if harvest.sightings else "viewers",
            round(harvest.cpu_s, 3),
            round(harvest.cpu_s / harvest.wall_s, 3),
            round(harvest.frames / harvest.wall_s, 1),
            harvest.reconnects,
        )
        for harvest in harvests
    ]
    limited_by = [
        f"process {use.process} ({use.plays}) used {use.cpu_share:.0%} of a core"
        for use in processes
        if use.cpu_share > CPU_SHARE_MAX
    ]
    if lag.p99_ms is not None and lag.p99_ms > scenario.thresholds.lag_p99_ms:
        limited_by.append(f"1 % of the gifts were sent more than {lag.p99_ms:.1f} ms late")
    return GeneratorUse(lag, loop_lag.summary(), processes, limited_by, sampled_every)


def _refusals(books: Sequence[Commands]) -> dict[str, int]:
    refusals: dict[str, int] = {}
    for book in books:
        for number, answer in enumerate(book.answer):
            if answer == Answer.REFUSED:
                code = book.refusals.names[book.refusal[number]]
                refusals[code] = refusals.get(code, 0) + 1
    return refusals

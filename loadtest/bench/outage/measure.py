"""Gifts at a steady rate while PostgreSQL goes away, comes back, and the books catch up; then everything is checked."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Final, Protocol

import asyncpg
import uvloop
from redis.exceptions import RedisError

from loadtest.bench.flood import FloodFailed
from loadtest.bench.outage.absence import Absence, answers
from loadtest.bench.outage.checks import Connection, Given, check, faults_of, until_written, written
from loadtest.bench.outage.gifts import GIFT, SteadyGifts, Tally
from loadtest.bench.outage.looks import MB, Endpoints, Held, Standing, Stores, asked, endpoints_of
from loadtest.bench.outage.result import Bound, CatchUp, Checks, Look, Memory, OutageResult, Phase, Plan
from loadtest.bench.server import BenchServer, ServerFailed
from loadtest.play.api import Api
from loadtest.record.latency import Latencies
from loadtest.script.naming import new_run
from loadtest.script.scenario import ScenarioError
from loadtest.server.local_server import LocalServer, find_local_server
from loadtest.tokens import KEY_FILE, TokenSigner

SENDERS_MIN: Final = 400
"""Many, so that the partitions get about as many gifts each."""
GIFTS_PER_SENDER_S: Final = 20.0
CATCH_UP_S_MAX: Final = 600.0
LOOK_S: Final = 1.0
LOOKS_KEPT: Final = 240
"""Of a long outage every few looks one is told."""
PROBE_S: Final = 2.0
POLL_S: Final = 0.1
VALKEY_HELD: Final = "held by valkey"
CONNECT_S: Final = 5.0
FAULTS_SHOWN: Final = 10
ANSWERS_S_MAX: Final = 30.0
SPARE: Final = 2
"""Senders have so many times the coins that they can spend."""


class Watcher(Protocol):
    """Is told how the bench goes on."""

    def stage(self, words: str) -> None:
        """What it does now."""

    def look(self, look: Look) -> None:
        """The server as it is now."""


def measure_outage(server: BenchServer, plan: Plan, watcher: Watcher) -> OutageResult:
    """Give gifts, take PostgreSQL away, bring it back, and check.

    Raises:
        ServerFailed: PostgreSQL could not be stopped, or the server did not answer what must be known.
        ClientRefused, ApiError: the senders could not be set up.
        FloodFailed: gifts had no answer any more.
    """
    return uvloop.run(_measure(server, plan, watcher))


async def _measure(server: BenchServer, plan: Plan, watcher: Watcher) -> OutageResult:
    watcher.stage("setting up")
    endpoints, signer = endpoints_of(server.data_dir), TokenSigner.from_file(server.data_dir / KEY_FILE)
    senders = max(SENDERS_MIN, math.ceil(plan.rate / GIFTS_PER_SENDER_S))
    async with (
        Api(server.url, signer.token("bench", "operator"), signer) as api,
        Stores(server, endpoints.redis_url) as stores,
    ):
        given = await _prepare(api, plan, senders)
        tokens = [signer.token(given.run.sender(number), "viewer") for number in range(senders)]
        gifts = SteadyGifts(server.ws_url, given.run, tokens, plan.rate)
        try:
            await gifts.open()
            outage = _Outage(server, plan, watcher, endpoints, stores, gifts)
            await outage.run()
            watcher.stage("checking")
            async with _connected(endpoints.database_url) as connection:
                await until_written(connection, (await asked(stores.standing)).last)
                checks = await check(server, api, connection, given, gifts.book)
            return outage.result(checks)
        finally:
            await gifts.close()


async def _prepare(api: Api, plan: Plan, senders: int) -> Given:
    run, catalog = new_run(), await api.catalog()
    if GIFT not in catalog:
        raise ScenarioError(f"the server has no gift {GIFT}")
    longest_s = plan.before_s + plan.seconds + CATCH_UP_S_MAX + plan.after_s
    coins = SPARE * math.ceil(plan.rate * longest_s / senders) * catalog[GIFT].price_coins
    share_bp = await api.make_creator(run.creator(0))
    await api.make_room(run.room(0), run.creator(0))
    await api.each(range(senders), lambda number: api.grant(run.sender(number), coins))
    return Given(run, senders, coins, share_bp)


class _Outage:
    """The four phases, and what was seen in them."""

    def __init__(
        self,
        server: BenchServer,
        plan: Plan,
        watcher: Watcher,
        endpoints: Endpoints,
        stores: Stores,
        gifts: SteadyGifts,
    ) -> None:
        self._server = server
        self._plan = plan
        self._watcher = watcher
        self._endpoints = endpoints
        self._stores = stores
        self._gifts = gifts
        self._book = gifts.book
        self._absence = Absence(server)
        self._local: LocalServer | None = find_local_server(server.data_dir, server.url)
        self._looks: list[Look] = []
        self._peaks: dict[str, float] = {}
        self._since_kept = Latencies()
        self._phase_s: dict[str, float] = {}
        self._held: dict[str, Held] = {}
        self._accepted: dict[str, int] = {}
        self._standing: dict[str, Standing] = {}
        self._bound_at: Look | None = None
        self._look_now = asyncio.Event()
        self._start_s = self._went_s = self._back_s = 0.0
        self._named: dict[str, int] = {}
        self._died: list[str] = []
        self._books_had = self._journal_bytes = 0
        self._away_answers = False
        self._aside: set[asyncio.Task[None]] = set()
        self._catch_up: CatchUp | None = None

    async def run(self) -> None:
        """All of it; PostgreSQL runs again afterwards, however it ends."""
        self._named = {} if self._local is None else self._local.named()
        self._start_s = time.monotonic()
        self._book.on_first_overloaded = self._look_now.set
        self._aside = {
            asyncio.create_task(self._gifts.give(), name="bench-gifts"),
            asyncio.create_task(self._keep_looking(), name="bench-looks"),
        }
        try:
            await self._phase("before", self._for(self._plan.before_s))
            await self._phase("away", self._away())
            await self._phase("back", self._back())
            await self._phase("after", self._for(self._plan.after_s))
            self._gifts.end()
            self._watcher.stage("waiting for answers")
            await self._gifts.answered(ANSWERS_S_MAX)
        finally:
            self._absence.end()
            for task in self._aside:
                task.cancel()
            await asyncio.gather(*self._aside, return_exceptions=True)
        self._book.gather()
        now = {} if self._local is None else self._local.named()
        self._died = sorted(name for name, pid in self._named.items() if now.get(name) != pid)

    async def _phase(self, name: str, doing: Awaitable[None]) -> None:
        if name != "before":
            self._book.begin_phase(name)
        self._watcher.stage(name)
        began_s = time.monotonic()
        await doing
        self._phase_s[name] = time.monotonic() - began_s
        # At the end of each phase: what the next is compared with.
        self._held[name], self._standing[name] = await asked(self._stores.held), await asked(self._stores.standing)
        self._accepted[name] = self._book.accepted

    async def _for(self, seconds: float) -> None:
        """Wait so long; what goes wrong aside comes out here."""
        done, _ = await asyncio.wait(self._aside, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise FloodFailed(f"{task.get_name()} ended by itself")

    async def _away(self) -> None:
        async with _connected(self._endpoints.database_url) as connection:
            self._books_had = await written(connection)
        self._went_s = time.monotonic()
        await self._absence.begin()
        end_s = time.monotonic() + self._plan.seconds
        probe_s = min(PROBE_S, self._plan.seconds / 4)
        probes_at = [end_s - self._plan.seconds, end_s - self._plan.seconds / 2]
        probes: list[asyncio.Task[bool]] = []
        while (left_s := end_s - time.monotonic()) > 0:
            if probes_at and time.monotonic() >= probes_at[0]:
                probes_at.pop(0)
                probes.append(asyncio.create_task(answers(self._endpoints.database_url, probe_s)))
            await self._for(min(left_s, LOOK_S))
            self._absence.look()
        self._away_answers = any([await probe for probe in probes])
        self._journal_bytes = await asked(self._stores.journal_bytes)
        self._absence.look()

    async def _back(self) -> None:
        self._book.watch_for_return()
        lag = (await asked(self._stores.standing)).unflushed
        self._absence.end()
        self._back_s = time.monotonic()
        normal = max(self._most_unflushed("before"), math.ceil(self._plan.rate * POLL_S))
        begins_s, seconds, now = 0.0, None, self._books_had
        async with _connected(self._endpoints.database_url) as connection:
            answers_s = time.monotonic() - self._back_s
            while (passed_s := time.monotonic() - self._back_s) < CATCH_UP_S_MAX:
                now, standing = await written(connection), await asked(self._stores.standing)
                if now <= self._books_had:
                    begins_s = passed_s
                elif standing.last - now <= normal:
                    seconds = time.monotonic() - self._back_s
                    break
                await self._for(POLL_S)
        passed_s, records = seconds or CATCH_UP_S_MAX, now - self._books_had
        live_per_s = self._accepted["before"] / self._phase_s["before"]
        per_s = records / (passed_s - begins_s)
        self._catch_up = CatchUp(
            lag_before=self._most_unflushed("before"),
            lag=lag,
            answers_after_s=round(answers_s, 2),
            begins_after_s=round(begins_s, 2),
            seconds=None if seconds is None else round(seconds, 2),
            records=records,
            per_s=round(per_s, 1),
            ratio=round(per_s / live_per_s, 2),
            ratio_from_return=round(records / passed_s / live_per_s, 2),
        )

    async def _keep_looking(self) -> None:
        every_s, kept_s = self._plan.seconds / LOOKS_KEPT, -math.inf
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                look = await self._look()
                self._watcher.look(look)
                if self._book.first_overloaded_ns and self._bound_at is None:
                    self._bound_at, kept_s = look, -math.inf
                self._peaks = {
                    part: max(mb, self._peaks.get(part, 0.0))
                    for part, mb in {**self._peaks, **look.rss_mb, VALKEY_HELD: look.valkey_mb}.items()
                }
                if look.at_s - kept_s >= every_s or look.phase != "away":
                    self._looks.append(look)
                    self._since_kept, kept_s = Latencies(), look.at_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_S)
            self._look_now.clear()

    async def _look(self) -> Look:
        standing, held = await self._stores.standing(), await self._stores.held()
        book, recent = self._book, self._since_kept
        recent.add(book.gather())
        return Look(
            at_s=round(time.monotonic() - self._start_s, 2),
            phase=book.tally.name,
            sent=book.sent,
            accepted=book.accepted,
            refused=dict(book.refused),
            p50_ms=recent.percentile_ms(50),
            p99_ms=recent.percentile_ms(99),
            max_ms=recent.percentile_ms(100),
            unflushed=standing.unflushed,
            fullest=standing.fullest,
            untold=standing.untold,
            valkey_mb=round(held.used / MB, 1),
            aof_mb=round(held.aof / MB, 1),
            rss_mb=self._stores.rss_mb(),
        )

    def _most_unflushed(self, phase: str) -> int:
        return max((look.unflushed for look in self._looks if look.phase == phase), default=0)

    # What it comes to.

    def result(self, checks: Checks) -> OutageResult:
        """The answer."""
        if self._catch_up is None:
            raise ServerFailed("the outage did not come to its end")
        not_measured = list(self._absence.faults[:FAULTS_SHOWN])
        if self._away_answers:
            not_measured.append("PostgreSQL answered while it was meant to be away")
        late = [] if self._catch_up.seconds is not None else [f"the books lag still {CATCH_UP_S_MAX:.0f} s after it"]
        return OutageResult(
            plan=self._plan,
            away_s=round(self._absence.away_s, 2),
            phases=[self._phase_of(tally) for tally in self._book.tallies],
            bound=self._bound(),
            catch_up=self._catch_up,
            memory=self._memory(),
            checks=checks,
            sent_late_p99_ms=self._book.late.percentile_ms(99),
            reconnects=self._gifts.line.reconnects,
            died=self._died,
            not_measured=not_measured,
            faults=[*faults_of(checks), *late, *self._gifts.line.faults[:FAULTS_SHOWN]],
            looks=self._looks,
        )

    def _phase_of(self, tally: Tally) -> Phase:
        seconds, took = self._phase_s[tally.name], tally.latencies
        return Phase(
            name=tally.name,
            seconds=round(seconds, 2),
            sent=tally.sent,
            accepted=tally.accepted,
            refused=dict(tally.refused),
            asked_again=dict(tally.asked_again),
            accepted_per_s=round(tally.accepted / seconds, 1),
            p50_ms=took.percentile_ms(50),
            p99_ms=took.percentile_ms(99),
            p999_ms=took.percentile_ms(99.9),
            max_ms=took.percentile_ms(100),
        )

    def _bound(self) -> Bound | None:
        book, look = self._book, self._bound_at
        if look is None:
            return None
        again_ns = book.accepted_again_ns
        return Bound(
            first_after_s=round(book.first_overloaded_ns / 1e9 - self._went_s, 2),
            unflushed=look.unflushed,
            fullest=look.fullest,
            accepted_again_after_s=round(again_ns / 1e9 - self._back_s, 3) if again_ns else None,
            last_after_s=round(book.last_overloaded_ns / 1e9 - self._back_s, 3),
        )

    def _memory(self) -> Memory:
        before, away, after = self._held["before"], self._held["away"], self._held["after"]
        stood, stands = self._standing["before"], self._standing["away"]
        looks_before, looks_away = self._of("before"), self._of("away")
        accepted = max(self._accepted["away"] - self._accepted["before"], 1)
        filling_s = (
            self._absence.away_s if self._bound_at is None else self._bound_at.at_s + self._start_s - self._went_s
        )
        bytes_per_gift = (away.used - before.used) / accepted
        fullest_per_s = (stands.fullest - stood.fullest) / filling_s
        fills_s = self._plan.unflushed_max / fullest_per_s if fullest_per_s > 0 else None
        bytes_per_s = bytes_per_gift * self._plan.rate
        return Memory(
            bytes_per_gift=round(bytes_per_gift, 1),
            journal_bytes_per_record=round(self._journal_bytes / max(stands.unflushed, 1), 1),
            aof_bytes_per_gift=round((away.aof - before.aof) / accepted, 1),
            valkey_mb=_course(before.used / MB, away.used / MB, self._peaks[VALKEY_HELD], after.used / MB),
            rss_mb={
                part: _course(
                    looks_before[-1].rss_mb[part],
                    looks_away[-1].rss_mb[part],
                    self._peaks[part],
                    self._looks[-1].rss_mb.get(part, 0.0),
                )
                for part in looks_before[-1].rss_mb
                if part in looks_away[-1].rss_mb
            },
            fullest_per_s=round(fullest_per_s, 2),
            bound_after_h=None if fills_s is None else round(fills_s / 3600, 4),
            bound_gb=None if fills_s is None else round((before.used + bytes_per_s * fills_s) / 1e9, 3),
            memory_after_h=(
                round((away.limit - before.used) / bytes_per_s / 3600, 1) if away.limit and bytes_per_s > 0 else None
            ),
        )

    def _of(self, phase: str) -> list[Look]:
        looks = [look for look in self._looks if look.phase == phase]
        if not looks:
            raise ServerFailed(f"nothing could be seen of the server in the phase {phase}")
        return looks


def _course(before: float, away: float, most: float, after: float) -> tuple[float, float, float, float]:
    return round(before, 1), round(away, 1), round(max(before, away, most, after), 1), round(after, 1)


@contextlib.asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the books, asked for until there is one.

    Raises:
        ServerFailed: PostgreSQL does not answer.
    """
    deadline_s = time.monotonic() + CATCH_UP_S_MAX
    while True:
        try:
            connection = await asyncpg.connect(database_url, timeout=CONNECT_S)
            break
        except (OSError, TimeoutError, asyncpg.PostgresError) as exc:
            if time.monotonic() > deadline_s:
                raise ServerFailed(f"PostgreSQL does not answer: {exc}") from exc
            await asyncio.sleep(POLL_S)
    try:
        yield connection
    finally:
        await connection.close()

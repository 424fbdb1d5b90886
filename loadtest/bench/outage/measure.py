"""Sets up the senders, takes PostgreSQL away under their gifts and brings it back, and has everything checked."""

import math
from typing import Final

import uvloop

from loadtest.bench.outage.answer import answer_of
from loadtest.bench.outage.checks import Given, check, until_written
from loadtest.bench.outage.course import CATCH_UP_S_MAX, Course, connected
from loadtest.bench.outage.gifts import GIFT, SteadyGifts
from loadtest.bench.outage.looking import Watcher
from loadtest.bench.outage.result import OutageResult, Plan
from loadtest.bench.outage.stores import Stores, asked, endpoints_of
from loadtest.bench.server import BenchServer
from loadtest.play.api import Api
from loadtest.script.naming import new_run
from loadtest.script.scenario import ScenarioError
from loadtest.tokens import KEY_FILE, TokenSigner

SENDERS_MIN: Final = 400
"""Many, so that the partitions get about as many gifts each."""
GIFTS_PER_SENDER_S: Final = 20.0
SPARE: Final = 2
"""Senders have so many times the coins that they can spend."""


def measure_outage(server: BenchServer, plan: Plan, watcher: Watcher) -> OutageResult:
    """Give gifts, take PostgreSQL away, bring it back, and check.

    Raises:
        ServerFailed: PostgreSQL could not be stopped, or the server did not answer what must be known.
        ClientRefused, ApiError, ScenarioError: the senders could not be set up.
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
            course = Course(server, plan, watcher, endpoints.database_url, stores, gifts)
            await course.run()
            watcher.stage("checking")
            async with connected(endpoints.database_url) as connection:
                await until_written(connection, (await asked(stores.standing)).last)
                checks = await check(server, api, connection, given, gifts.book)
        finally:
            await gifts.close()
    return answer_of(plan, course, gifts, checks)


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

"""Buyers: each purchase is begun, paid at the sandbox and followed until its coins are there, by an open model.

Some of them tell each step twice, as a page does that was reloaded and a provider that got no answer; a purchase may be
credited once all the same. An answer that does not come is asked for again with the same id.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import msgspec
from msgspec import Struct

from gateway.wire.http.viewer import Purchase
from loadtest.play.api import http_url
from loadtest.play.orders import Member
from loadtest.record.purchase_book import PurchaseBook
from loadtest.script.arrivals import RateCurve
from loadtest.script.naming import grant_id
from loadtest.script.scenario import Scenario

REQUESTS_MAX: Final = 64
"""Requests in flight at a time; more wait, which counts as the generator's lag."""
STEP_S_MAX: Final = 60.0
LOOK_S_MIN: Final = 0.05
LOOK_S_MAX: Final = 1.0
CREDITED: Final = "credited"
_decode: Final = msgspec.json.Decoder(Purchase).decode


class _Gone(Exception):
    """A step did not succeed in time, or was refused for good."""


class Intended(Struct, frozen=True):
    """One purchase that is meant to be begun, so many seconds after the start of the run."""

    at_s: float
    buyer: int
    package: str
    repeated: bool


def purchases_of(scenario: Scenario) -> Iterator[Intended]:
    """The purchases of a run, in order of time: the same for the same seed."""
    buying, rng = scenario.buying, random.Random(f"{scenario.seed}:purchases")
    curve = RateCurve(scenario.phases, buying.rate_per_s, scenario.duration_s)

    def expectations() -> Iterator[float]:
        reached = 0.0
        while True:
            reached += rng.expovariate(1.0)
            yield reached

    for at_s in curve.times(expectations()):
        yield Intended(
            at_s, rng.randrange(buying.buyers), rng.choice(buying.packages), rng.random() < scenario.repeat_share
        )


class Shop:
    """All buyers of a process.

    Args:
        url: of the WebSocket; the HTTP side is at the same origin.
        faults: what should not have happened, in words.
    """

    def __init__(self, url: str, members: list[Member], scenario: Scenario, faults: list[str]) -> None:
        self.book = PurchaseBook()
        self.done = False
        self._tokens = {member.number: member.token for member in members}
        self._scenario = scenario
        self._faults = faults
        self._client = httpx.AsyncClient(
            base_url=http_url(url),
            timeout=STEP_S_MAX / 2,
            limits=httpx.Limits(max_connections=REQUESTS_MAX, max_keepalive_connections=REQUESTS_MAX),
            trust_env=False,
        )

    @property
    def unanswered(self) -> int:
        """Purchases that have been begun and are neither credited nor given up."""
        return self.book.open

    async def run(self, start_ns: int) -> None:
        """Begin each purchase in its time, and follow all of them to their end."""
        async with self._client, asyncio.TaskGroup() as group:
            for intended in purchases_of(self._scenario):
                intended_ns = start_ns + int(intended.at_s * 1e9)
                await asyncio.sleep(max((intended_ns - time.monotonic_ns()) / 1e9, 0.0))
                number = self.book.intend(intended_ns, intended.buyer)
                group.create_task(self._buy(number, intended))
            self.done = True

    async def _buy(self, number: int, intended: Intended) -> None:
        token, book = self._tokens[intended.buyer], self.book
        purchase_id = grant_id(int(time.time() * 1000))
        times = 2 if intended.repeated else 1
        try:
            body = {"id": purchase_id, "package": intended.package, "platform": "web"}
            for _ in range(times):
                begun = await self._ask("POST", "/v1/purchases", token, body)
            book.begun(number, time.monotonic_ns(), begun.coins + begun.bonus_coins)
            for _ in range(times):
                last = await self._ask("POST", f"/v1/demo/purchases/{purchase_id}/pay", token, {"outcome": "paid"})
            book.paid(number, time.monotonic_ns())
            deadline_s, pause_s = time.monotonic() + STEP_S_MAX, LOOK_S_MIN
            while last.state != CREDITED:
                if time.monotonic() > deadline_s:
                    raise _Gone(f"it is {last.state} {STEP_S_MAX:.0f} s after it was paid")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, LOOK_S_MAX)
                last = await self._ask("GET", f"/v1/purchases/{purchase_id}", token)
            book.credited(number, time.monotonic_ns(), last.coins + last.bonus_coins)
        except _Gone as exc:
            book.given_up(number)
            self._faults.append(f"purchase {purchase_id}: {exc}")

    async def _ask(self, method: str, path: str, token: str, body: dict[str, Any] | None = None) -> Purchase:
        """Ask until there is an answer that will not change by asking again."""
        deadline_s, pause_s, problem = time.monotonic() + STEP_S_MAX, 0.1, ""
        while time.monotonic() < deadline_s:
            try:
                answer = await self._client.request(
                    method, path, headers={"Authorization": f"Bearer {token}"}, json=body
                )
            except httpx.HTTPError as exc:
                problem = f"{type(exc).__name__} {exc}"
            else:
                if answer.is_success:
                    return _decode(answer.content)
                problem = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in (429, 502, 503):
                    raise _Gone(f"{method} {path}: {problem}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)
        raise _Gone(f"{method} {path}: no answer in {STEP_S_MAX:.0f} s; the last was {problem}")

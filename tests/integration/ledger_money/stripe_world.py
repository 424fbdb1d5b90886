"""Plays lines such as `hear paid` against an office that sells by Stripe, and Stripe's side on loopback."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from ledger.config import LedgerConfig
from ledger.ids import format_id, new_id
from ledger.office import open_office
from ledger.rails.config import StripeConfig
from ledger.rails.stripe import StripeRail
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import purchase_order
from tests.stripe_api import KEY, SECRET, Stripe, signed

RETURN_URL = "https://gifts.example/"


def stripe_config(stripe: Stripe, **changed: Any) -> StripeConfig:
    """A rail that asks once, and waits long enough for a busy machine."""
    given = {"attempt_ms_max": 30_000, "retries_max": 0} | changed
    return StripeConfig(secret_key=KEY, webhook_secret=SECRET, api_url=stripe.url, **given)


@contextlib.asynccontextmanager
async def stripe_rail(stripe: Stripe, **changed: Any) -> AsyncIterator[StripeRail]:
    """A rail on Stripe's side of the tests."""
    rail = StripeRail(stripe_config(stripe, **changed), RETURN_URL)
    try:
        yield rail
    finally:
        await rail.close()


class StripeWorld:
    """One viewer, ann, with one purchase of 100 + 20 coins at 1.29 USD. Events have the names that the lines give."""

    def __init__(self, stripe: Stripe, rail: StripeRail, config: LedgerConfig, ledger: Ledger) -> None:
        self.stripe = stripe
        self.ledger = ledger
        self.purchase_id = new_id(now_ms())
        self.events: dict[str, dict[str, Any]] = {}
        self._rail = rail
        self._config = config
        self._backs: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator["StripeWorld"]:
        """With its office, until the block ends."""
        self.office = await open_office(self._config, self.ledger, rails=[self._rail])
        try:
            yield self
        finally:
            await self.office.close()

    @property
    def session(self) -> dict[str, Any]:
        """The checkout at Stripe."""
        return self.stripe.session_of(format_id(self.purchase_id))

    async def play(self, table: str) -> None:
        """Do each line `operation | result` and compare its result."""
        for number, line in enumerate(table.strip().splitlines()):
            operation, _, expected = line.partition("|")
            found = await self.do(operation.split())
            assert found == expected.strip(), f"line {number + 1}, {operation.strip()}: {found}"

    async def begin(self) -> str:
        """Buy; the state of the purchase."""
        order = purchase_order(purchase_id=self.purchase_id, rail="stripe")
        return (await self.office.purchases.begin(order)).state

    async def hear(self, event: dict[str, Any]) -> str:
        """Let a webhook come; its effect, and the wallet after."""
        heard = await self.office.purchases.hear("stripe", *signed(event))
        return f"{heard.effect}, {await self.ledger.balance('ann')}"

    async def do(self, words: list[str]) -> str:
        """Do one operation; its result as the tables write it."""
        stripe = self.stripe
        match words:
            case ["begin"]:
                return await self.begin()
            case ["hear", name]:
                return await self.hear(self.events[name])
            case ["hear", name, "again"]:
                return await self.hear(self.events[name] | {"id": "evt_another"})
            case ["hear", name, "with", path, value]:
                return await self.hear(_changed(self.events[name], path, value))
            case ["pay", name]:
                self.events[name] = stripe.pay(self.session)
            case ["transfer", name]:
                self.events[name] = stripe.pay(self.session, at_once=False)
            case ["arrive" | "bounce" as how, name]:
                self.events[name] = stripe.end_later(self.session, well=how == "arrive")
            case ["expire", name]:
                self.events[name] = stripe.expire(self.session)
            case ["refund" | "dispute" as how, name, amount, *status]:
                told = getattr(stripe, how)(self.session, int(amount), *status)
                self._backs[name] = told[0]["data"]["object"]["id"]
                self.events |= {f"{name}-{event['type'].split('.')[-1]}": event for event in told}
            case ["move", name, status, *types]:
                for event in stripe.move(self._backs[name], status, *types):
                    self.events[f"{name}-{event['type'].split('.')[-1]}"] = event
            case ["gift", amount]:
                await self.ledger.give(gift_order("ann", int(amount), creator="cora"))
                return str(await self.ledger.balance("ann"))
            case ["state"]:
                purchase = await self.office.purchases.get(self.purchase_id)
                return "" if purchase is None else f"{purchase.state} {purchase.refunded_coins}"
            case _:
                raise ValueError(words)
        return ""


def _changed(event: dict[str, Any], path: str, value: str) -> dict[str, Any]:
    subject = event["data"]["object"]
    for name in path.split(".")[:-1]:
        subject = subject[name]
    before = subject[path.split(".")[-1]]
    subject[path.split(".")[-1]] = int(value) if isinstance(before, int) else value
    return event

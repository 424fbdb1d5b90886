"""What only the demo has: guests with coins to give, the sandbox's buyer, and the studio of the demo's creator.

All of it lets anyone have money, so none of these routes is there outside of the demo.
"""

import secrets
import time
from typing import Final

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.http.public import webhooks
from gateway.http.viewer.purchases import purchase_answer
from gateway.run.demo import DEMO_CREATOR, DEMO_CREATOR_NAME, DEMO_ROOM
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.demo import DemoPaymentBody, Guest, Studio
from gateway.wire.http.viewer import Purchase
from gateway.wire.messages import Id
from ledger.ids import new_id, parse_id
from ledger.model import CreditRefused, ViewerId
from ledger.purchases.grants import GrantOrder
from ledger.purchases.purchases import RailOutcome
from ledger.rails import sandbox

_GUEST_REASON: Final = "A guest of the demo."
_GUEST_BYTES: Final = 6


async def make_guest(services: Services) -> Guest:
    """Make a viewer with some coins to give."""
    config = services.config.http
    user = f"guest-{secrets.token_hex(_GUEST_BYTES)}"
    if config.guest_coins > 0:
        order = GrantOrder(new_id(int(time.time() * 1000)), ViewerId(user), config.guest_coins, _GUEST_REASON, "demo")
        if isinstance(await services.office.grants.grant(order), CreditRefused):
            raise Problem(Code.UNAVAILABLE)
    name = f"Guest {user[-4:]}"
    return Guest(services.tokens.mint("viewer", user, name=name, ttl_s=config.guest_token_s), user, DEMO_ROOM)


async def open_studio(services: Services) -> Studio:
    """Let anyone be the demo's creator."""
    ttl_s = services.config.http.studio_token_s
    token = services.tokens.mint("creator", DEMO_CREATOR, name=DEMO_CREATOR_NAME, ttl_s=ttl_s)
    return Studio(token, DEMO_CREATOR, DEMO_ROOM)


async def pay_purchase(services: Services, caller: Identity, id: Id, body: DemoPaymentBody) -> Purchase:
    """Be the buyer at the sandbox: it signs its webhook, which goes the way of every webhook."""
    purchases = services.office.purchases
    stored = await purchases.get(parse_id(id))
    sandbox_rail = services.rails.sandbox
    if sandbox_rail is None or stored is None or stored.viewer != caller.user or stored.rail != sandbox.NAME:
        raise Problem(Code.NOT_FOUND, "You have no such purchase at the sandbox.")
    headers, raw = sandbox_rail.pay(stored, RailOutcome(body.outcome))
    await webhooks.hear(services, sandbox.NAME, headers, raw)
    return purchase_answer(await purchases.get(stored.id) or stored)


OPERATIONS = (
    declare("POST", "/v1/demo/guest", make_guest, tag="demo", demo=True),
    declare("POST", "/v1/demo/studio", open_studio, tag="demo", demo=True),
    declare(
        "POST",
        "/v1/demo/purchases/{id}/pay",
        pay_purchase,
        tag="demo",
        roles=("viewer",),
        refuses=(Code.NOT_FOUND,),
        demo=True,
    ),
)

"""Buying coins: the catalogue says the price, the rail takes the money, and its webhook brings the coins."""

from typing import Final

from catalog.packages import CUSTOM
from catalog.pricing import Offer, custom_offer, offer
from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.http.public.catalog import buyer_of
from gateway.http.public.webhooks import check_rail
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.viewer import Purchase, PurchaseBody, Purchases
from gateway.wire.messages import Id
from ledger.ids import format_id, parse_id
from ledger.model import ViewerId
from ledger.purchases.purchases import Purchase as Stored
from ledger.purchases.purchases import PurchaseOrder

_AMOUNT_NEEDED: Final = f"`coins` goes with the package `{CUSTOM}`, and only with it."


async def begin_purchase(services: Services, caller: Identity, body: PurchaseBody) -> Purchase:
    """Begin to buy coins, at the price of this moment. The same id again answers with the purchase as it stands."""
    purchases = services.office.purchases
    stored = await purchases.get(parse_id(body.id))
    if stored is None:
        stored = await purchases.begin(await _order(services, caller, body, _rail_of(services, body)))
    elif not _same(stored, caller, body):
        raise Problem(Code.ID_CONFLICT)
    elif not stored.checkout:
        # The rail had not answered: asked again, at the price of the first time.
        stored = await purchases.begin(_order_of(stored))
    return purchase_answer(stored)


async def read_purchase(services: Services, caller: Identity, id: Id) -> Purchase:
    """Tell where a purchase stands."""
    stored = await services.office.purchases.get(parse_id(id))
    if stored is None or stored.viewer != caller.user:
        raise Problem(Code.NOT_FOUND, "You have no such purchase.")
    return purchase_answer(stored)


async def list_purchases(services: Services, caller: Identity, query: TextPage) -> Purchases:
    """List the viewer's purchases, the newest first."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    after = None if query.after is None else id_cursor(query.after)
    rows = await services.office.purchases.of_viewer(caller.user, after=after, limit=limit + 1)
    page = cut(rows, limit, lambda row: format_id(row.id))
    return Purchases([purchase_answer(row) for row in page.rows], page.next)


def id_cursor(after: str) -> bytes:
    """A cursor that is an id.

    Raises:
        Problem: it is none.
    """
    try:
        return parse_id(after)
    except ValueError:
        raise Problem(Code.UNPROCESSABLE, "This is no cursor of this list.", field="after") from None


def purchase_answer(stored: Stored) -> Purchase:
    """A purchase as the contract shows it."""
    return Purchase(
        id=format_id(stored.id),
        package=stored.package,
        coins=stored.coins,
        bonus_coins=stored.bonus_coins,
        price_minor=stored.price_minor,
        currency=stored.currency,
        country=stored.country,
        platform=stored.platform,  # type: ignore[arg-type]  # stored by begin_purchase, so it is one of them
        promotion=stored.promotion,
        rail=stored.rail,
        state=stored.state.value,
        checkout=stored.checkout,
        created_ms=stored.created_ms,
        balance_coins=stored.balance_coins,
        refunded_coins=stored.refunded_coins,
    )


def _rail_of(services: Services, body: PurchaseBody) -> str:
    rail = body.rail or services.rails.default
    if rail is None:
        raise Problem(Code.UNKNOWN_PROVIDER, "No payment provider is set up.")
    check_rail(services, rail)
    return rail


async def _order(services: Services, caller: Identity, body: PurchaseBody, rail: str) -> PurchaseOrder:
    first_purchase = not await services.office.purchases.bought_before(caller.user)
    country = caller.country or body.country
    priced = _offer(services, body, country, first_purchase=first_purchase)
    return PurchaseOrder(
        id=parse_id(body.id),
        viewer=ViewerId(caller.user),
        package=priced.package,
        coins=priced.coins,
        bonus_coins=priced.bonus_coins,
        price_minor=priced.price_minor,
        currency=priced.currency,
        country=country,
        platform=body.platform,
        promotion=priced.promotion,
        rail=rail,
        bonus_worth_bp=priced.bonus_worth_bp,
    )


def _offer(services: Services, body: PurchaseBody, country: str | None, *, first_purchase: bool) -> Offer:
    if (body.package == CUSTOM) != (body.coins is not None):
        raise Problem(Code.UNPROCESSABLE, _AMOUNT_NEEDED, field="$.coins")
    buyer = buyer_of(country, body.platform, first_purchase=first_purchase)
    if body.coins is not None:
        priced = custom_offer(services.catalog, body.coins, buyer)
        if priced is None:
            raise Problem(Code.UNKNOWN_PACKAGE, "So many coins are not sold on this platform.", field="$.coins")
        return priced
    package = services.catalog.package(body.package)
    if package is None:
        raise Problem(Code.UNKNOWN_PACKAGE, field="$.package")
    return offer(services.catalog, package, buyer)


def _same(stored: Stored, caller: Identity, body: PurchaseBody) -> bool:
    """Whether the body is that of the first time. Prices may have changed since, so they are not compared; nor is the
    country where the token says it, nor the rail where the body does not."""
    return (stored.viewer, stored.package, stored.country, stored.platform, stored.rail) == (
        caller.user,
        body.package,
        body.country if caller.country is None else stored.country,
        body.platform,
        body.rail or stored.rail,
    ) and body.coins in (None, stored.coins)


def _order_of(stored: Stored) -> PurchaseOrder:
    return PurchaseOrder(
        stored.id,
        stored.viewer,
        stored.package,
        stored.coins,
        stored.bonus_coins,
        stored.price_minor,
        stored.currency,
        stored.country,
        stored.platform,
        stored.promotion,
        stored.rail,
        stored.bonus_worth_bp,
    )


OPERATIONS = (
    declare(
        "POST",
        "/v1/purchases",
        begin_purchase,
        tag="purchases",
        roles=("viewer",),
        refuses=(
            Code.ID_CONFLICT,
            Code.UNKNOWN_PACKAGE,
            Code.UNKNOWN_PROVIDER,
            Code.LIMIT_REACHED,
            Code.UNDER_AGE,
            Code.GUARDIAN_NEEDED,
            Code.AGE_UNKNOWN,
        ),
    ),
    declare("GET", "/v1/purchases", list_purchases, tag="purchases", roles=("viewer",)),
    declare("GET", "/v1/purchases/{id}", read_purchase, tag="purchases", roles=("viewer",), refuses=(Code.NOT_FOUND,)),
)

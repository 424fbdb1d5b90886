"""Every operation there is, in one table, and the ASGI application that serves them and the pages."""

from itertools import groupby
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gateway.http import demo
from gateway.http.admin import accounts, agencies, audit, creators, grants, holds, plans, refunds, users
from gateway.http.admin import catalog as admin_catalog
from gateway.http.admin import rooms as admin_rooms
from gateway.http.admin import videos as admin_videos
from gateway.http.admin import withdrawals as admin_withdrawals
from gateway.http.agency import earnings as agency_earnings
from gateway.http.agency import payouts as agency_payouts
from gateway.http.creator import earnings, overlay_tokens, payout_methods, withdrawals
from gateway.http.creator import rooms as own_rooms
from gateway.http.documents import Documents
from gateway.http.operation import Operation, route
from gateway.http.pages import STATIC, page_routes
from gateway.http.problems import answer_http_exception
from gateway.http.public import catalog, health, rooms, webhooks
from gateway.http.viewer import gifts, limits, purchases, wallet
from gateway.services import Services

_RESOURCES: Final = (
    *(health, catalog, webhooks, rooms),
    *(wallet, limits, purchases, gifts),
    *(earnings, payout_methods, withdrawals, overlay_tokens, own_rooms),
    *(agency_earnings, agency_payouts),
    *(grants, refunds, holds, users, accounts, creators, agencies, plans),
    *(admin_rooms, admin_videos, admin_withdrawals),
    *(admin_catalog, audit),
    demo,
)
OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    operation for resource in _RESOURCES for operation in resource.OPERATIONS
)


def operations_of(*, demo: bool) -> tuple[Operation, ...]:
    """The operations that a gateway has, beside those of the documents."""
    return tuple(operation for operation in OPERATIONS if demo or not operation.demo)


def build_http(services: Services, static: Path = STATIC) -> Starlette:
    """The HTTP side; `services` is found again as `app.state.services`.

    Args:
        static: the folder of the built pages.
    """
    in_demo = services.config.demo
    documents = Documents(operations_of(demo=in_demo))
    app = Starlette(
        routes=[*routes_of(documents.operations), *page_routes(static, demo=in_demo)],
        exception_handlers={HTTPException: answer_http_exception},
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return app


def routes_of(operations: tuple[Operation, ...]) -> list[Route]:
    """One route for each path, in the order of the table."""
    ordered = sorted(operations, key=lambda operation: operation.path)
    return [route(path, list(group)) for path, group in groupby(ordered, key=lambda operation: operation.path)]

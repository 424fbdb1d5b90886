"""The composition root of a gateway: the only place that builds its parts and knows the order of start and stop."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from catalog.load import Catalog, load_catalog
from gateway.admission.accounts import Accounts
from gateway.admission.admission import Admission
from gateway.ages import age_rules, payout_rules
from gateway.auth import Tokens
from gateway.counting.metrics import Metrics
from gateway.counting.shared_metrics import Family, SharedMetrics
from gateway.edge.arrival import Arrival
from gateway.edge.edge import Edge
from gateway.edge.session import SessionServices
from gateway.gifts import GiftDesk
from gateway.http.public.health import missing_of
from gateway.http.routes import build_http
from gateway.places import Places, room_place
from gateway.rails import Rails, build_rails
from gateway.revocations import Revocations, open_revocations
from gateway.rooms.broker import Broker, open_broker
from gateway.rooms.rooms import Rooms, RoomsConfig
from gateway.run.keeping.folder import RUN
from gateway.run.settings.config import Config
from gateway.services import Services
from gateway.tasks import Tasks
from gateway.undos import UndoDesk
from gateway.wallets import Wallets
from ledger.guards.directory import Place
from ledger.office import Office, open_office
from ledger.service import Ledger, open_ledger


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class App:
    """A gateway: started, drained and stopped in order.

    Attributes:
        asgi: the HTTP side.
        http_protocol_class: makes a protocol for each connection; what uvicorn is given as `http`.
        ws_protocol_class: takes over a connection that asks for a WebSocket; what uvicorn is given as `ws`.
    """

    def __init__(self, services: Services, wallets: Wallets, tasks: Tasks) -> None:
        self.services = services
        self.asgi: Any = build_http(services)
        self.http_protocol_class: Callable[..., Any] = partial(
            Arrival, services.config.http, services.metrics, services.admission
        )
        self.ws_protocol_class: Callable[..., Any] = services.edge.protocol
        self._wallets = wallets
        self._tasks = tasks

    async def start(self) -> None:
        """Take orders from now on.

        Raises:
            LedgerUnavailable: Redis or Valkey does not answer.
            WrongDeployment: its data was laid out for another number of partitions.
        """
        services = self.services
        await services.ledger.start()
        await services.places.look_ahead(self._page_of_rooms)
        await services.broker.start(services.rooms.heard, self._wallets.changed, self._missed)
        services.rooms.start()
        services.edge.start()
        services.shared_metrics.start()
        self._tasks.spawn(services.places.keep_ahead(self._page_of_rooms))

    def _missed(self) -> None:
        self.services.rooms.lost()
        self._wallets.lost()

    async def _page_of_rooms(self, after: str) -> Sequence[Place]:
        rows_max = self.services.config.ledger.list_rows_max
        return await self.services.office.directory.places(prefix=room_place(""), after=after, limit=rows_max)

    async def missing(self) -> Mapping[str, str]:
        """What speaks against being ready."""
        return await missing_of(self.services)

    async def drain(self) -> None:
        """Tell everybody to come back elsewhere, and wait until they have gone."""
        await self.services.edge.drain(self.services.config.drain_ms_max)

    async def stop(self) -> None:
        """Commit the gifts that wait, then let go of everything."""
        services = self.services
        await services.ledger.batcher.stop()
        await services.edge.stop()
        await services.shared_metrics.stop()
        await services.rooms.stop()
        await self._tasks.stop()
        await services.broker.stop()
        await services.revocations.close()
        await services.office.close()
        await services.rails.close()
        await services.ledger.stop()


async def build(config: Config) -> App:
    """A gateway for this configuration, in which both servers and the signing key are named.

    Raises:
        CatalogInvalid: the catalogue cannot be used.
        ValueError: no signing key is given, a list of networks cannot be read, or a payment rail that is configured
            cannot be used.
    """
    if config.signing_key is None:
        raise ValueError("a gateway needs the signing key")
    ledger = open_ledger(config.ledger)
    rails = build_rails(config)
    catalog = load_catalog(config.catalog_file)
    office = await open_office(
        config.ledger, ledger, rails=rails.every, ages=age_rules(catalog), payouts=payout_rules(catalog)
    )
    return _put_together(
        config,
        catalog,
        Tokens(config.signing_key),
        ledger,
        office,
        open_broker(config.ledger, config.rooms),
        open_revocations(config.ledger, config.http.overlay_tokens_max),
        rails,
    )


def _put_together(
    config: Config,
    catalog: Catalog,
    tokens: Tokens,
    ledger: Ledger,
    office: Office,
    broker: Broker,
    revocations: Revocations,
    rails: Rails,
) -> App:
    metrics, tasks = Metrics(), Tasks("gateway")
    admission = Admission(config.admission, metrics, time.monotonic)
    accounts = Accounts(config.admission, metrics, time.monotonic)
    wallets = Wallets(accounts, ledger.balance, tasks.spawn)
    places = Places(office.directory.place, time.monotonic)
    desk, undo_desk = GiftDesk(catalog, ledger, config.rooms, now_ms), UndoDesk(office.undos, metrics)
    rooms = Rooms(broker, places, RoomsConfig(config.rooms, config.edge), metrics, now_ms, tasks.spawn)
    sessions = SessionServices(
        tokens=tokens,
        ledger=ledger,
        desk=desk,
        undo_desk=undo_desk,
        places=places,
        rooms=rooms,
        admission=admission,
        accounts=accounts,
        wallets=wallets,
        metrics=metrics,
        now_ms=now_ms,
        spawn=tasks.spawn,
        revoked=revocations.is_revoked,
        revoked_among=revocations.revoked_among,
    )
    edge = Edge(config.edge, sessions)
    ledger.batcher.timed = metrics.committed

    def counted() -> list[Family]:
        metrics.queued(edge.waiting_bytes)
        metrics.addresses_counted(len(admission.addresses), admission.addresses.forgotten)
        metrics.frames_read(edge.intake.frames, edge.intake.waited)
        return metrics.families(ledger.batcher.stats)

    services = Services(
        config=config,
        catalog=catalog,
        tokens=tokens,
        ledger=ledger,
        office=office,
        broker=broker,
        desk=desk,
        undo_desk=undo_desk,
        places=places,
        rooms=rooms,
        revocations=revocations,
        metrics=metrics,
        shared_metrics=SharedMetrics(config.data_dir / RUN, counted),
        edge=edge,
        admission=admission,
        accounts=accounts,
        auditing=asyncio.Lock(),
        rails=rails,
    )
    return App(services, wallets, tasks)

"""The worker's composition root: builds its parts once, and names the duties that use them."""

import contextlib
from collections.abc import AsyncIterator

from msgspec import Struct
from redis.exceptions import RedisError

from catalog.load import load_catalog
from gateway.ages import age_rules, payout_rules
from gateway.audits.promotion import Promotions
from gateway.audits.rolling_rooms import RollingRooms
from gateway.audits.rolling_told import RollingTold
from gateway.rails import build_rails
from gateway.rooms.broker import open_broker
from gateway.rooms.relay import Relay
from gateway.run.duties import AUDIT_DUTY, ROOMS_DUTY, TOLD_DUTY, Duty
from gateway.run.settings.config import Config
from ledger.audits.rolling_audit import open_rolling_audit
from ledger.books.flusher import open_flusher
from ledger.books.leases import open_leases
from ledger.errors import LedgerUnavailable
from ledger.live.redis_client import connect
from ledger.mending.gifts_in_order import open_gifts_in_order
from ledger.mending.reconcile import require_agreement
from ledger.office import open_office
from ledger.service import open_ledger


class Work(Struct, frozen=True):
    """What there is to do.

    Attributes:
        expected: failures of the servers, after which a duty begins again.
    """

    duties: tuple[Duty, ...]
    expected: tuple[type[Exception], ...]


async def check_work(config: Config) -> None:
    """See that the work could be begun with this configuration, without taking any: another worker does it still.

    Raises:
        What `open_work` raises, but for servers that do not answer now.
    """
    load_catalog(config.catalog_file)
    await build_rails(config).close()
    with contextlib.suppress(LedgerUnavailable):
        await require_agreement(config.ledger)


@contextlib.asynccontextmanager
async def open_work(config: Config, worker: bytes, place: str) -> AsyncIterator[Work]:
    """The duties, with connections that end with the block.

    Args:
        config: with both servers and the signing key named.
        worker: the name under which it holds its leases, 16 bytes; the same again after a restart.
        place: where people find it.

    Raises:
        LedgerUnavailable: a server does not answer.
        WrongDeployment, SchemaWrong: what is stored does not fit the configuration or this code.
        LedgersDiffer: the live ledger has lost what the books have.
        CatalogInvalid: the catalogue, whose rules of age the duties need, cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        promotions = Promotions(config.ledger, config.rooms)
        stack.push_async_callback(promotions.close)
        await promotions.begin()
        await require_agreement(config.ledger)
        leases = await stack.enter_async_context(open_leases(config.ledger, worker, place))
        promotions.then(leases.renew)
        flusher = await stack.enter_async_context(open_flusher(config.ledger))
        ledger = open_ledger(config.ledger)
        stack.push_async_callback(ledger.stop)
        await ledger.start()
        broker = open_broker(config.ledger, config.rooms)
        stack.push_async_callback(broker.stop)
        rails = build_rails(config)
        stack.push_async_callback(rails.close)
        catalog = load_catalog(config.catalog_file)
        ages, payouts = age_rules(catalog), payout_rules(catalog)
        office = await open_office(config.ledger, ledger, rails=rails.every, ages=ages, payouts=payouts)
        stack.push_async_callback(office.close)
        rolling = await stack.enter_async_context(open_rolling_audit(config.ledger))
        gifts = await stack.enter_async_context(open_gifts_in_order(config.ledger))
        looking = connect(config.ledger)
        stack.push_async_callback(looking.aclose)
        told = RollingTold(gifts, looking, ledger.relay_positions, config.rooms)
        rooms = RollingRooms(gifts, looking, config.rooms)
        relay = Relay(ledger, broker, config.rooms)
        yield Work(
            (
                Duty("leases", leases.run, leases.stats),
                Duty("promotion", promotions.run, promotions.stats),
                Duty("relay", lambda: leases.while_partitions(relay.run), relay.stats),
                Duty("flusher", lambda: leases.while_partitions(flusher.run), flusher.stats),
                Duty("credits", lambda: leases.while_books(office.purchases.run), office.settle_stats),
                Duty("refunds", lambda: leases.while_books(office.refunds.run), office.refunds.stats),
                Duty("holds", lambda: leases.while_partitions(office.holds.run), office.holds.stats),
                Duty("undos", lambda: leases.while_partitions(office.undos.run), office.undos.stats),
                Duty("maturing", lambda: leases.while_books(office.maturing.run), office.maturing.stats),
                Duty("seals", lambda: leases.while_books(office.seals.run), office.seals.stats),
                Duty("volumes", lambda: leases.while_books(office.volumes.run), office.volumes.stats),
                Duty("guards", office.guards.run, office.guards.stats),
                Duty(AUDIT_DUTY, lambda: leases.while_books(rolling.run), rolling.stats),
                Duty(TOLD_DUTY, lambda: leases.while_books(told.run), told.stats),
                Duty(ROOMS_DUTY, lambda: leases.while_books(rooms.run), rooms.stats),
            ),
            (LedgerUnavailable, RedisError, OSError),
        )

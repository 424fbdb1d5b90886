"""What a gateway process consists of, as one value: built in `gateway.app`, handed to the edge and to HTTP."""

import asyncio

from msgspec import Struct

from catalog.load import Catalog
from gateway.admission.accounts import Accounts
from gateway.admission.admission import Admission
from gateway.auth import Tokens
from gateway.counting.metrics import Metrics
from gateway.counting.shared_metrics import SharedMetrics
from gateway.edge.edge import Edge
from gateway.gifts import GiftDesk
from gateway.places import Places
from gateway.rails import Rails
from gateway.revocations import Revocations
from gateway.rooms.broker import Broker
from gateway.rooms.rooms import Rooms
from gateway.run.settings.config import Config
from gateway.undos import UndoDesk
from ledger.office import Office
from ledger.service import Ledger


class Services(Struct, frozen=True):
    """The parts, each with its own contract.

    Attributes:
        auditing: held while an audit of this process runs.
    """

    config: Config
    catalog: Catalog
    tokens: Tokens
    ledger: Ledger
    office: Office
    broker: Broker
    desk: GiftDesk
    undo_desk: UndoDesk
    places: Places
    rooms: Rooms
    revocations: Revocations
    metrics: Metrics
    shared_metrics: SharedMetrics
    edge: Edge
    admission: Admission
    accounts: Accounts
    auditing: asyncio.Lock
    rails: Rails

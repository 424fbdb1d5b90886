"""What one partition of the ledger's twin holds. Plain values; what becomes of them is `ledger/twin/twin.py`."""

from msgspec import Struct, field

from ledger.model import CreditOrder, GiftFields, JournalRecord, ReversalOrder
from ledger.service import OpenCombo
from ledger.twin.twin_gifts import TwinGifts
from ledger.twin.twin_guards import TwinGuards
from ledger.twin.twin_holds import TwinHolds


class PaidId(Struct, frozen=True):
    """What is remembered of the id of a gift, until `expires_ms` of the server's clock."""

    digest: bytes
    coins: int
    expires_ms: int


class PaidCredit(Struct, frozen=True):
    """What is remembered of the id of a grant or purchase."""

    order: CreditOrder
    balance_coins: int


class DoneReversal(Struct, frozen=True):
    """What is remembered of the id of a refund or charge-back."""

    order: ReversalOrder
    balance_coins: int
    taken_coins: int


class TwinPartition(Struct):
    """What one partition holds, in the words of `ledger/live/keys.py`. A test may look at it, and may move `clock_ms`.

    Attributes:
        guards: what forbids gifts.
        epoch: 0 while it takes no orders.
        clock_ms: the latest time that any commit saw.
        flushed: the last record that is said to be in PostgreSQL.
        ids: by gift id and viewer.
        gone_ids: of ids that were forgotten, when they were to be; ids of the same time are refused.
        combos: by viewer and combo key.
        records: those that were not trimmed, in order.
    """

    guards: TwinGuards
    epoch: int = 1
    seq: int = 0
    came_seq: int = 0
    clock_ms: int = 0
    flushed: int = 0
    coins_in: int = 0
    spent: int = 0
    reversed: int = 0
    earned: int = 0
    commission: int = 0
    wallets: dict[str, int] = field(default_factory=dict)
    stripes: dict[str, int] = field(default_factory=dict)
    ids: dict[tuple[bytes, str], PaidId] = field(default_factory=dict)
    gone_ids: set[int] = field(default_factory=set)
    credits: dict[bytes, PaidCredit] = field(default_factory=dict)
    reversals: dict[bytes, DoneReversal] = field(default_factory=dict)
    holds: TwinHolds = field(default_factory=TwinHolds)
    gifts: TwinGifts = field(default_factory=TwinGifts)
    combos: dict[tuple[str, str], OpenCombo] = field(default_factory=dict)
    records: list[JournalRecord] = field(default_factory=list)

    def forget_ids(self, time_ms: int) -> None:
        """The server's clock is, or was for a moment, at `time_ms`."""
        over = {key: paid for key, paid in self.ids.items() if paid.expires_ms < time_ms}
        self.ids = {key: paid for key, paid in self.ids.items() if key not in over}
        self.gone_ids |= {paid.expires_ms for paid in over.values()}

    def earn(self, body: GiftFields) -> None:
        """A gift is paid: what its creator and the platform have of it."""
        self.stripes[body.creator] = self.stripes.get(body.creator, 0) + body.creator_diamonds
        self.spent += body.coins
        self.earned += body.creator_diamonds
        self.commission += body.commission_diamonds

"""The part of the ledger's twin that keeps holds. Plain: what is stored of them, and how one is told again."""

from msgspec import Struct, field

from ledger.model import GiftRefused, Held, HoldEnded, HoldOrder, HoldOutcome, Refusal


class TwinHold(Struct, frozen=True):
    """A hold.

    Attributes:
        balance_coins: the wallet right after it began.
        counted: whether caps counted its coins.
    """

    order: HoldOrder
    balance_coins: int
    begun_ms: int
    counted: bool

    @property
    def expires_ms(self) -> int:
        """From then on it can only expire."""
        return self.begun_ms + self.order.lasts_ms


class TwinHolds(Struct):
    """The holds of one partition, by id and viewer.

    Attributes:
        charged: what was taken of those that were settled.
    """

    charged: int = 0
    open: dict[tuple[bytes, str], TwinHold] = field(default_factory=dict)
    ended: dict[tuple[bytes, str], tuple[TwinHold, HoldEnded]] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """Coins of all open holds."""
        return sum(hold.order.coins for hold in self.open.values())

    def of_viewer(self, viewer: str) -> int:
        """How many of a viewer's holds are open."""
        return sum(owner == viewer for _, owner in self.open)

    def known(self, order: HoldOrder) -> HoldOutcome | None:
        """What an id that was told before is answered."""
        key = (order.id, order.viewer)
        hold = self.open.get(key) or (self.ended[key][0] if key in self.ended else None)
        if hold is None:
            return None
        if hold.order != order:
            return GiftRefused(Refusal.ID_CONFLICT)
        return Held(hold.balance_coins, hold.expires_ms, replay=True)

    def due(self, now_ms: int, limit: int) -> list[tuple[bytes, str]]:
        """Those whose time is over, the oldest deadlines first."""
        due = [(hold.expires_ms, key[0] + key[1].encode(), key) for key, hold in self.open.items()]
        return [key for expires_ms, _, key in sorted(due) if expires_ms <= now_ms][:limit]

"""The part of the ledger's twin that keeps gifts which may be undone. Plain: what is stored of them."""

from msgspec import Struct, field

from ledger.model import DIAMONDS_PER_COIN, GiftBody, GiftUndone


class TwinGift(Struct, frozen=True):
    """A gift that may be undone.

    Attributes:
        body: as its record would be if it had been paid at once.
        by_caps, by_creators_cap: whether the caps of the viewer, and the creator's of a day, counted its coins.
    """

    body: GiftBody
    given_ms: int
    until_ms: int
    by_caps: bool
    by_creators_cap: bool


class TwinGifts(Struct):
    """The gifts of one partition that may be undone, and those that were, by id and viewer.

    Attributes:
        shut: until when gifts of a viewer are paid at once.
    """

    open: dict[tuple[bytes, str], TwinGift] = field(default_factory=dict)
    undone: dict[tuple[bytes, str], GiftUndone] = field(default_factory=dict)
    shut: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """Coins of all open ones."""
        return sum(gift.body.coins for gift in self.open.values())

    @property
    def diamonds(self) -> int:
        """What all open ones are worth: it counts in every sum as if it had been earned."""
        return self.held * DIAMONDS_PER_COIN

    def shut_windows(self, viewer: str, until_ms: int) -> None:
        """Gifts of a viewer are paid at once until then, or until later if that was said before."""
        self.shut[viewer] = max(until_ms, self.shut.get(viewer, 0))

    def of_viewer(self, viewer: str) -> int:
        """How many of a viewer's gifts are open."""
        return sum(owner == viewer for _, owner in self.open)

    def until_ms(self, key: tuple[bytes, str], now_ms: int) -> int:
        """Until when a gift may be undone; 0 for not (any more)."""
        gift = self.open.get(key)
        return gift.until_ms if gift is not None and gift.until_ms > now_ms else 0

    def due(self, now_ms: int, limit: int) -> list[tuple[bytes, str]]:
        """Those whose time is over, the oldest deadlines first."""
        due = [(gift.until_ms, key[0] + key[1].encode(), key) for key, gift in self.open.items()]
        return [key for until_ms, _, key in sorted(due) if until_ms <= now_ms][:limit]

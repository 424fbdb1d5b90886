"""Orders as short as a line of a table."""

import math
import time
from fractions import Fraction

from ledger.ids import id_time_ms, new_id
from ledger.model import Cause, CreatorId, CreditOrder, GiftOrder, ViewerId


def now_ms() -> int:
    """The wall clock in ms."""
    return time.time_ns() // 1_000_000


def gift_order(
    viewer: str,
    coins: int,
    *,
    creator: str = "cora",
    gift_id: bytes | None = None,
    content: bytes = b"",
    combo: bool = False,
    combo_window_ms: int = 5_000,
    commission_bp: int = 5_000,
) -> GiftOrder:
    """A gift of one item that costs `coins`, split half and half or by another rate."""
    creator_diamonds = math.floor(Fraction(coins * (10_000 - commission_bp), 100))
    gift_id = gift_id or new_id(now_ms())
    return GiftOrder(
        id=gift_id,
        id_ms=id_time_ms(gift_id),
        viewer=ViewerId(viewer),
        creator=CreatorId(creator),
        content=content or f"{viewer} {coins}".encode(),
        place="room:demo",
        item="rose",
        unit_coins=coins,
        count=1,
        coins=coins,
        creator_diamonds=creator_diamonds,
        commission_diamonds=coins * 100 - creator_diamonds,
        combo_key="room:demo|rose" if combo else "",
        combo_window_ms=combo_window_ms if combo else 0,
        details=b"details",
        plan=f":{commission_bp}" if commission_bp % 100 else "",
    )


def grant(viewer: str, coins: int, *, credit_id: bytes | None = None, reason: str = "test") -> CreditOrder:
    """Coins for a viewer."""
    return CreditOrder(credit_id or new_id(now_ms()), ViewerId(viewer), coins, Cause.GRANT, reason)

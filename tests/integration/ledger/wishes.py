"""What the machine may wish for in an example: amounts and ages of gifts, gifts, and what may forbid them."""

from hypothesis import strategies as st
from msgspec import Struct

from ledger.guards.ages import AgeStep
from ledger.live.guard_state import OwnCap
from ledger.model import AMOUNT_MAX, UNDO_MS_MAX, Limit, Refusal

WINDOW_MS, AHEAD_MS, BUCKET_MS, COMBO_MS = 3_600_000, 300_000, 600_000, 5_000
UNFLUSHED_MAX = 16
COMBO_KEY = "room:demo|rose"
NAMES = ("ann", "bob", "cid")
VIEWERS = st.sampled_from(NAMES)
EDGES_MS = st.sampled_from([1, BUCKET_MS, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1, -1, -AHEAD_MS, -AHEAD_MS - 1])
AGES_MS = st.one_of(st.just(0), st.just(0), st.just(0), EDGES_MS)
# 100 diamonds a coin: the first amount is the most that one side can get, and one coin more is too much for it.
HUGE = st.sampled_from([AMOUNT_MAX // 100, AMOUNT_MAX // 100 + 1, AMOUNT_MAX // 50, AMOUNT_MAX])
SMALL = st.integers(1, 9)
COINS = st.one_of(SMALL, SMALL, SMALL, HUGE)
CREDITS = st.sampled_from([1, 10, 100, AMOUNT_MAX // 50, AMOUNT_MAX - 500, AMOUNT_MAX, AMOUNT_MAX + 1])


NUMBER = st.integers(0, 50)
LASTS_MS = st.sampled_from([1, COMBO_MS, BUCKET_MS])
LATE = st.sampled_from([False, False, False, False, False, True])
KEPT = st.sampled_from([0, 0, 5, -AMOUNT_MAX])


class Told(Struct, frozen=True):
    """Asks for a gift that was told before, so many gifts ago, again."""

    number: int
    other_content: bool


class Fresh(Struct, frozen=True):
    """Asks for a gift with an id of its own, so old by the partition's clock.

    Attributes:
        creator_bp: the creator's part of the diamonds; the record says what is left of it, where that is no whole
            percents.
        combo_key: '' for none.
        creator_day_coins_max: as in the order.
        undo_ms: for how long it may be undone, unless it is of a combo.
    """

    viewer: str
    creator: str
    coins: int
    count: int
    creator_bp: int
    combo_key: str
    age_ms: int
    barred: bool = False
    creator_day_coins_max: int | None = None
    undo_ms: int = 0


FRESH = st.builds(
    Fresh,
    viewer=VIEWERS,
    creator=st.sampled_from(["cora"] * 6 + ["cleo"] * 4 + ["ann"]),
    coins=COINS,
    count=st.sampled_from([1, 1, 3, 2**31 - 1]),
    creator_bp=st.sampled_from([0, 5_000, 5_000, 6_667, 9_999, 10_000]),
    combo_key=st.sampled_from(["", COMBO_KEY]),
    age_ms=AGES_MS,
    barred=st.sampled_from([False] * 11 + [True]),
    creator_day_coins_max=st.sampled_from([None, None, 8]),
    undo_ms=st.sampled_from([0, 0, 1, COMBO_MS, UNDO_MS_MAX]),
)
TOLD = st.builds(Told, number=st.integers(0, 50), other_content=st.booleans())
WISHES = st.one_of(FRESH, FRESH, TOLD)
OwnCaps = tuple[OwnCap, OwnCap, OwnCap, OwnCap]
AGES = st.builds(
    AgeStep,
    st.just(0),
    st.sampled_from([None, None, Refusal.UNDER_AGE, Refusal.GUARDIAN_NEEDED, Refusal.AGE_UNKNOWN]),
    st.sampled_from([8, 17]),
    st.tuples(*[st.sampled_from([None, None, 5])] * 4),
    st.sampled_from([(), (), (), (Limit.GIFT,), (Limit.DAY, Limit.MONTH)]),
)
"""What somebody's age says; its time is set by the rule."""
OWN_CAPS = st.tuples(*[st.builds(OwnCap, st.sampled_from([None, None, 0, 6, 15]))] * 4)
LIMITS: list[dict[str, int]] = [
    {},
    {},
    {"day_coins_max": 30, "gift_coins_max": 9},
    {"gifts_per_minute": 7, "gifts_burst": 3},
]

"""One example of every body, answer and message, for the documents. Values of the Structs, so they cannot go stale."""

import datetime
from typing import Any, Final

from msgspec import Struct

from gateway.wire.http import admin, agency, creator, demo, public, rails, users, viewer
from gateway.wire.messages import (
    Accepted,
    Ack,
    Balance,
    Combo,
    ComboCount,
    Events,
    GiftEvent,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    Limits,
    Notice,
    Ping,
    Pong,
    Position,
    Refused,
    RoomState,
    Sender,
    SendGift,
    TopEntry,
    Undo,
    Undone,
    UndoneEvent,
    Welcome,
)

AT_MS: Final = 1_795_000_000_000
ID: Final = "019a1b2c-0000-7000-8000-000000000001"
OTHER_ID: Final = "019a1b2c-0000-7000-8000-000000000002"
DEAR_ID: Final = "019a1b2c-0000-7000-8000-000000000003"
TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"  # noqa: S105 - no token of anybody

_UNUSABLE_EVENT: Final = rails.UnusableEvent(
    "stripe", "evt_1", ID, "paid", 499, "USD", "wrong_amount", 1_790_000_000_000
)
_REFUND: Final = admin.Refund(
    id=OTHER_ID,
    purchase=ID,
    user="vera",
    kind="chargeback",
    coins=100,
    reason="the bank took it back",
    by="olga",
    state="settled",
    at_ms=AT_MS,
    taken_coins=100,
    balance_coins=-60,
    returned_coins=60,
    creator_diamonds=3_000,
    commission_diamonds=3_000,
    borne_diamonds=0,
)
_HOLD: Final = admin.Hold(
    ID, "vera", 40, "order 4711", "settled", AT_MS, AT_MS + 900_000, taken_coins=25, ended_ms=AT_MS + 60_000
)
_LOT: Final = admin.ViewerLot(ID, "paid", AT_MS, 100, 0, 60, 40, 60)
_PAID_GIFT: Final = admin.PaidGift(
    OTHER_ID, "cleo", "room:demo", AT_MS, 60, 3_000, 3_000, bonus=False, refunded=True, held=False
)
_HELD_GIFT: Final = admin.PaidGift(
    DEAR_ID, "cleo", "room:demo", AT_MS + 60_000, 40, 2_000, 2_000, bonus=False, refunded=False, held=True
)
_OFFER: Final = public.PackageOffer(
    package="coins_100",
    coins=100,
    bonus_coins=0,
    currency="USD",
    exponent=2,
    price_minor=96,
    in_app_price_minor=129,
    saving_bp=2558,
    promotion=None,
)
_GIFT: Final = public.CatalogGift(
    id="rose",
    name="Rose",
    price_coins=1,
    tier=1,
    combo=True,
    icon="rose",
    colour="#e0315c",
    animation="rose_fall",
    effect="float",
    duration_ms=1600,
    level_min=0,
    fans_only=False,
    on_video=True,
)
_CATALOG: Final = public.Catalog(
    "83c1f0a2b4d5e6f7", [public.CatalogTier(1, "Tokens", 99)], [_GIFT], [_OFFER], [10, 100, 1_000]
)
_ENTRY: Final = viewer.WalletEntry(ID, AT_MS, "gift", -5, 995, "rose", "room:demo", "ada")
_PURCHASE: Final = viewer.Purchase(
    id=ID,
    package="coins_100",
    coins=100,
    bonus_coins=20,
    price_minor=96,
    currency="USD",
    country="US",
    platform="web",
    promotion="first_purchase",
    rail="sandbox",
    state="pending",
    checkout=f"/v1/demo/purchases/{ID}/pay",
    created_ms=AT_MS,
    balance_coins=None,
)
_LIMITS: Final = viewer.SpendLimits(
    viewer.SpendLimit(500, None, 500, None, None, None, None),
    viewer.SpendLimit(1_000, 50_000, 1_000, viewer.PendingLimit(2_000, AT_MS), 480, AT_MS, 5_000),
    viewer.SpendLimit(None, None, None, None, 480, AT_MS, None),
    viewer.SpendLimit(200_000, 200_000, None, None, 1_480, AT_MS, None),
    viewer.RefusedByAge("guardian_needed", 17, []),
)
_AGE: Final = users.UserAge(datetime.date(2012, 5, 1), None, "CN", None, None)
_BOARD: Final = [TopEntry("vera", "Vera", 1_250, 7)]
_ROOM: Final = public.Room("demo", "The demo room", "ada", "Ada", 42)
_STATE: Final = RoomState("demo", "The demo room", "ada", "Ada", 42, _BOARD, 5_000)
_EVENT: Final = GiftEvent(
    seq=17,
    sender=Sender("vera", "Vera", 7),
    to="ada",
    gift="rose",
    price_coins=1,
    count=5,
    coins=5,
    at_ms=AT_MS,
    combo=Combo(ID, 15, 15, "update"),
    id=OTHER_ID,
)
_UNDONE: Final = UndoneEvent(18, OTHER_ID, Sender("vera", "Vera", 7), "ada", "universe", 10_000, 1, 10_000, AT_MS)
_SHARE: Final = creator.Share(5_000, 5_000, 50.0, 100, "USD", 100)
_FILTERS: Final = creator.RoomFilters(5, ["mallory"], None, 10_000)
_CREATOR: Final = admin.Creator("ada", "Ada", "GB", "standard", 5_000, 50.0)
_ADMIN_ROOM: Final = admin.AdminRoom("demo", "The demo room", "ada", "Ada", 5_000)
_PLAN_EVENT: Final = admin.PlanEvent(AT_MS, AT_MS + 86_400_000, 3_000, ["demo"], [], ["rose"])
_PLAN: Final = admin.Plan("gold", 2, "olga", AT_MS, 4_000, 1_000, {"diamond": 3_500}, [_PLAN_EVENT])
_ADMIN_VIDEO: Final = admin.AdminVideo("first_song", "My first song", "ada", "Ada", 5_000)
_METHOD: Final = creator.PayoutMethod(ID, "bank", "My bank, …4321", AT_MS)
_WITHDRAWAL: Final = creator.Withdrawal(OTHER_ID, "ada", ID, 150_050, 150_000, 1_500, "USD", "requested", AT_MS, AT_MS)
_AGENCY: Final = agency.Agency("stars", 120_000, "Stars", "GB")
_INVARIANT: Final = admin.AuditInvariant("I1", "Conservation: every unit sums to zero", True, 33, [])

_ANSWERS: Final[tuple[Struct, ...]] = (
    public.Health("ok"),
    public.Readiness("ready"),
    _CATALOG,
    public.Packages("US", "web", [_OFFER], public.CustomAmounts(50, 1_000_000)),
    public.Heard(duplicate=False),
    viewer.Wallet("vera", "Vera", 7, 995),
    viewer.WalletEntries([_ENTRY], 12),
    _PURCHASE,
    viewer.Purchases([_PURCHASE], None),
    _LIMITS,
    viewer.GiftReceipt(ID, 5, 995, replay=False, combo=ComboCount(ID, 5)),
    viewer.UndoReceipt(ID, 10_000, 10_995, replay=False),
    viewer.GiftOutcome(ID, "accepted", 5, 995, "room:demo", "rose", 1, 5, "ada", AT_MS, ComboCount(ID, 5)),
    _ROOM,
    public.Rooms([_ROOM], None),
    public.RoomEvents(1, [_EVENT, _UNDONE], 18, recovered=True),
    public.Leaderboard(_BOARD),
    creator.Earnings(
        "ada", 62_500, 12_500, 50_000, 0, 0, AT_MS, _SHARE, creator.ShareExample(100, 10_000, 5_000, 5_000, 50)
    ),
    creator.Statement("pending", [creator.StatementEntry(ID, AT_MS, "gift", 250, 12_500, "rose", "room:demo")], 11),
    creator.Statistics("ada", [creator.DayStatistics("2026-11-24", 12_500, 40)]),
    _METHOD,
    creator.PayoutMethods([_METHOD]),
    _WITHDRAWAL,
    creator.Withdrawals([_WITHDRAWAL], None),
    creator.WithdrawalCourse(_WITHDRAWAL, [creator.WithdrawalStep(None, "requested", AT_MS, "creator", "")], slip=None),
    creator.OverlayTokenMade("k3v9Q2", TOKEN, "demo", "OBS", AT_MS, f"/overlay/demo#token={TOKEN}"),
    creator.OverlayTokens([creator.OverlayToken("k3v9Q2", "demo", "OBS", AT_MS, AT_MS + 86_400_000)]),
    creator.OwnRoom("room:demo", _STATE, _SHARE, _FILTERS),
    creator.TrialGift("demo", "rose", 1),
    admin.Grant(ID, "vera", 1_000, 1_000, replay=False),
    admin.Account(
        *("wallet", "vera", "coins", 3, AT_MS, 995),
        *([admin.AccountEntry(12, ID, AT_MS, AT_MS + 210, "gift", -5, 995)], 12),
    ),
    _REFUND,
    admin.Refunds([_REFUND], None),
    rails.UnusableEvents([_UNUSABLE_EVENT]),
    _UNUSABLE_EVENT,
    viewer.WalletHolds(
        [viewer.WalletHold(ID, 40, "order 4711", "open", AT_MS, AT_MS + 900_000, taken_coins=None, ended_ms=None)], None
    ),
    admin.HoldBegun(ID, "vera", 40, AT_MS + 900_000, 60, replay=False),
    admin.HoldEnded(ID, "vera", "settled", 40, 25, 75, AT_MS + 60_000, replay=False),
    _HOLD,
    admin.Holds([_HOLD], None),
    admin.ViewerLots("vera", 0, [_LOT], None),
    admin.PaidGifts(ID, [_PAID_GIFT, _HELD_GIFT], None),
    users.User("vera", 995, [_ENTRY], [_PURCHASE], None, True, "A payment was taken back.", _LIMITS, _AGE),
    _CREATOR,
    admin.Creators([_CREATOR], None),
    _ADMIN_ROOM,
    admin.AdminRooms([_ADMIN_ROOM], None),
    _PLAN,
    admin.Plans([_PLAN], None),
    agency.Agencies([_AGENCY], None),
    _AGENCY,
    agency.AgencyEarnings("stars", 120_000, 20_000, 40_000, 0, 60_000, AT_MS, 0, "USD", 100),
    agency.AgencyStatistics("stars", [creator.DayStatistics("2026-11-24", 12_500, 40)]),
    agency.AgencyCreators("stars", ["ada"], None),
    _ADMIN_VIDEO,
    admin.AdminVideos([_ADMIN_VIDEO], None),
    admin.AdminCatalog(
        _CATALOG,
        [admin.AdminPackage("coins_100", 100, {"USD": 129})],
        [
            admin.AdminPromotion(
                "first_purchase", 0, 2_000, 0, True, None, None, [], [], ["coins_100", "coins_500", "coins_1000"]
            )
        ],
        2_500,
    ),
    admin.Audit(True, AT_MS, [_INVARIANT], {"coins": {"wallets": 995, "spent": 5}, "diamonds": {"earned": 250}}),
    demo.Guest(TOKEN, "guest-5f3a9c0d1e2b", "demo"),
    demo.Studio(TOKEN, "demo-creator", "demo"),
)
_BODIES: Final[tuple[Struct, ...]] = (
    viewer.PurchaseBody(ID, "coins_100", "web", "US"),
    viewer.SpendLimitsBody(gift_coins=500, day_coins=2_000, week_coins=None),
    viewer.GiftBody(ID, "rose", room="demo", count=5, combo=True, message="Bravo!"),
    creator.PayoutMethodBody(ID, "bank", "My bank, …4321", {"iban": "GB33BUKB20201555555555"}),
    creator.WithdrawalBody(OTHER_ID, ID, 150_000),
    creator.OverlayTokenBody("demo", "OBS", 90),
    creator.OwnRoomBody("The demo room", _FILTERS),
    creator.TrialGiftBody("rose", 5, "Test", "Does it work?"),
    admin.GrantBody(ID, "vera", 1_000, "Welcome."),
    admin.HoldBody(ID, "vera", 40, 900_000, "order 4711"),
    admin.HoldSettleBody(25),
    admin.RefundBody(OTHER_ID, ID, "refund", "Bought by a child.", 50),
    rails.LookedBody("evt_1", "Paid back by hand."),
    admin.RefundByHandBody("Looked through with the bank."),
    admin.CreatorBody("Ada", "GB", "standard", None),
    agency.AgencyBody("Stars", "GB"),
    admin.RoomBody("ada", "The demo room"),
    admin.PlanBody(4_000, 1_000, {"diamond": 3_500}, [_PLAN_EVENT]),
    admin.VideoBody("ada", "My first song"),
    users.UserBody(True, "A payment was taken back."),
    users.AgeBody(birth_date=datetime.date(2012, 5, 1), country="CN", guardian="Mrs Li, by letter"),
    admin.StepBody("Paid by hand."),
    demo.DemoPaymentBody("paid"),
)
_MESSAGES: Final[tuple[Struct, ...]] = (
    Hello("1", TOKEN, "my-bot/1.0"),
    Join("2", "demo", Position(1, 12)),
    Leave("3", "demo"),
    SendGift("4", ID, "rose", room="demo", count=5, combo=True),
    Undo("6", ID),
    Ack("demo", 17),
    Ping("5"),
    Welcome("1", "s-1f00", "vera", "viewer", AT_MS, Limits(16_384, 9_999, 200, 16, 200, 20_000, 5_000, 10_000), 1_000),
    Joined("2", "demo", 1, 12, recovered=True, state=_STATE),
    Left("3", "demo"),
    Accepted("4", ID, 5, 995, replay=False, combo=ComboCount(ID, 5)),
    Undone("6", ID, 10_000, 10_995, replay=False),
    Refused("insufficient_coins", "The wallet holds fewer coins than this costs.", False, "4", ID, balance_coins=3),
    Pong("5", AT_MS),
    Events("demo", 1, 18, [_EVENT, _UNDONE]),
    Balance(1_100),
    Notice("drain", "This server is going away: come back and you will meet another.", 1_200),
)

EXAMPLES: Final[dict[type[Any], Struct]] = {type(example): example for example in (*_ANSWERS, *_BODIES)}
"""Of every body and answer."""
MESSAGES: Final[dict[type[Any], Struct]] = {type(example): example for example in _MESSAGES}
"""Of every message of the WebSocket."""

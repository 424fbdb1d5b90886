"""What the ledger speaks of: orders in, outcomes out, and the journal records between.

Values only: no I/O, no clock. Amounts are integers from 0 to AMOUNT_MAX; the bound is the largest integer that a Lua
double, a JavaScript number and a BIGINT all hold exactly.
"""

import enum
from typing import Final, NewType

from msgspec import Struct

AMOUNT_MAX: Final = 2**53 - 1
DIAMONDS_PER_COIN: Final = 100
UNDO_MS_MAX: Final = 60_000
"""The longest time for which a gift may be undone."""

ViewerId = NewType("ViewerId", str)
CreatorId = NewType("CreatorId", str)
Coins = NewType("Coins", int)
Diamonds = NewType("Diamonds", int)
Partition = NewType("Partition", int)


class Refusal(enum.Enum):
    """Why the ledger did not carry out an order. Nothing was charged, except that after UNKNOWN it may have been, and
    after ID_EXPIRED by an earlier order with this id; the books tell.
    """

    INSUFFICIENT_COINS = "insufficient_coins"
    ID_CONFLICT = "id_conflict"
    """The id was used with other content."""
    ID_EXPIRED = "id_expired"
    """The time in the id is older than the window, or too far ahead; or ids of that time were forgotten, since the
    server's clock ran ahead for a while."""
    AMOUNT_OVERFLOW = "amount_overflow"
    """A balance would pass AMOUNT_MAX."""
    OVERLOADED = "overloaded"
    """More orders wait than the batcher may hold, or the journal is over its bound."""
    UNKNOWN = "unknown"
    """The connection broke while the order was in flight; the same id told again gives the true outcome."""
    FROZEN = "frozen"
    """An operator has frozen the account."""
    OWN_GIFT = "own_gift"
    """Viewer and creator are the same."""
    BARRED = "barred"
    """The order said so itself: rules that the ledger does not know."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """A spend cap would be passed."""
    RATE_LIMITED = "rate_limited"
    """The viewer's gifts come faster than the rate allows."""
    TOO_MANY_HOLDS = "too_many_holds"
    """The viewer has as many open holds as it may, or the partition as many as it can."""
    UNDER_AGE = "under_age"
    """The person is too young for it in its country."""
    GUARDIAN_NEEDED = "guardian_needed"
    """The person is of an age at which a guardian must consent, and none does."""
    AGE_UNKNOWN = "age_unknown"
    """The person's age is not known, and the deployment wants it known."""
    OWN_CAPS_NEEDED = "own_caps_needed"
    """The viewer's country wants viewers to set themselves caps before they give."""


class Limit(enum.StrEnum):
    """What a spend cap counts. Days, ISO weeks and months are those of UTC."""

    GIFT = "gift"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    CREATOR_DAY = "creator_day"
    """What one viewer gives one creator in a day, where the creator has such a cap."""


class Bound(enum.StrEnum):
    """What the ledger can hold or do only so much of, whoever asks."""

    AMOUNT = "amount"
    """Of an account or a sum, in its unit: AMOUNT_MAX."""
    WAITING = "waiting"
    """Gifts that may wait for a commit now."""
    WAIT_MS = "wait_ms"
    """How long one may wait for it."""
    BOOKS_LAG = "books_lag"
    """Records of a partition that the books may lack."""
    MEMORY = "memory"
    """Bytes that the server may use."""
    VIEWER_HOLDS = "viewer_holds"
    """Open holds of one viewer."""
    PARTITION_HOLDS = "partition_holds"
    """Open holds of a partition."""


class BoundReached(Struct, frozen=True):
    """Which bound an order met; `most` is its number, None where a server did not tell it."""

    bound: Bound
    most: int | None


class Cause(enum.StrEnum):
    """Why coins came into a wallet."""

    GRANT = "grant"
    PURCHASE = "purchase"


class RefundKind(enum.StrEnum):
    """Why coins that were bought leave a wallet again."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"
    """The buyer's bank took the money back."""


class HoldEnd(enum.StrEnum):
    """How a hold ended."""

    SETTLED = "settled"
    """Some or all of its coins were taken; the others are in the wallet again."""
    VOIDED = "voided"
    EXPIRED = "expired"


class GiftOrder(Struct, frozen=True):
    """A gift to be paid.

    Attributes:
        id: UUIDv7, 16 bytes; the sender's idempotency key, unique for that viewer.
        id_ms: the time inside the id.
        content: what the sender asked for, as bytes; compared by digest to tell a replay from a conflict.
        place: where it is given, as text that the ledger stores and never reads, such as `room:demo`.
        item, unit_coins, count: the catalogue id, its price and how many; `coins` = unit_coins * count.
        creator_diamonds, commission_diamonds: both sides of the split; their sum is coins * DIAMONDS_PER_COIN.
        plan: the terms that split it, such as `standard@3`; empty for the deployment's own. Where the commission is not
            of whole percents its basis points stand behind a colon (`ledger/books/terms.py`).
        agency, agency_diamonds: who is given what of the commission; empty and 0 for nobody.
        combo_key: gifts of one viewer with the same key within `combo_window_ms` of each other are one combo;
            empty for a gift outside any combo.
        details: how it is to be shown, as bytes that the ledger carries and never reads.
        barred: rules that the ledger does not know refuse it. It is handed in all the same, since it may be a replay.
        creator_day_coins_max: coins that the viewer may give the creator in a day (UTC), counted from gifts that come
            with such a cap; None for no cap.
        undo_ms: for so long the viewer may undo it, 0 to UNDO_MS_MAX; 0 for not at all, as in a combo. Where too many
            gifts can be undone already, or coins of the viewer are refunded just now, it cannot be undone all the same.
    """

    id: bytes
    id_ms: int
    viewer: ViewerId
    creator: CreatorId
    content: bytes
    place: str
    item: str
    unit_coins: int
    count: int
    coins: int
    creator_diamonds: int
    commission_diamonds: int
    combo_key: str = ""
    combo_window_ms: int = 0
    details: bytes = b""
    barred: bool = False
    creator_day_coins_max: int | None = None
    plan: str = ""
    agency: str = ""
    agency_diamonds: int = 0
    undo_ms: int = 0


class ComboTotals(Struct, frozen=True):
    """Running totals of a combo: its id is the id of its first gift."""

    id: bytes
    count: int
    coins: int


class GiftAccepted(Struct, frozen=True):
    """The gift is paid and on disk.

    Attributes:
        coins: what was paid, now or when the id was first accepted.
        balance_coins: the wallet after it; on a replay, the wallet now.
        epoch, seq: of its journal record; 0, 0 on a replay.
        replay: this id had been accepted before.
        undo_until_ms: before this time the viewer may undo it; 0 for not (any more). On a replay it is told to an order
            that comes with `undo_ms` again.
    """

    coins: int
    balance_coins: int
    epoch: int
    seq: int
    at_ms: int
    combo: ComboTotals | None
    replay: bool
    undo_until_ms: int = 0


class CapPassed(Struct, frozen=True):
    """The cap that a gift would pass.

    Attributes:
        coins: the cap.
        spent_coins: counted before the gift; 0 for the cap of a gift.
        resets_at_ms: when it counts from zero again; None for the cap of a gift.
    """

    limit: Limit
    coins: int
    spent_coins: int
    resets_at_ms: int | None


class GiftRefused(Struct, frozen=True):
    """The gift was not paid, or the coins not held (after UNKNOWN they may be: the same id told again tells).

    Attributes:
        balance_coins: the wallet as the ledger saw it, where it looked.
        cap: with LIMIT_EXCEEDED.
        retry_after_ms: with RATE_LIMITED.
        reason: with FROZEN, the operator's.
        age: with UNDER_AGE and GUARDIAN_NEEDED, the age from which that ends.
        caps_needed: with OWN_CAPS_NEEDED, those that the viewer has to set, also if it has some of them.
        window_ms: with ID_EXPIRED, how old the time in an id may be, and how far ahead.
        bound: with AMOUNT_OVERFLOW, TOO_MANY_HOLDS and OVERLOADED; None of a ledger that stops.
    """

    refusal: Refusal
    balance_coins: int | None = None
    cap: CapPassed | None = None
    retry_after_ms: int | None = None
    reason: str = ""
    age: int | None = None
    caps_needed: tuple[Limit, ...] = ()
    bound: BoundReached | None = None
    window_ms: tuple[int, int] | None = None


GiftOutcome = GiftAccepted | GiftRefused


class GiftUndone(Struct, frozen=True):
    """The coins of the gift are in the wallet again, and that is on disk; `balance_coins` as it was right after.

    Attributes:
        replay: it had been undone before.
    """

    coins: int
    balance_coins: int
    at_ms: int
    replay: bool


class UndoRefusal(enum.Enum):
    """Why a gift was not undone."""

    NO_SUCH_GIFT = "no_such_gift"
    SETTLED = "settled"
    """Its time is over, or it never could be undone."""
    UNKNOWN = "unknown"
    """The connection broke; the same order told again gives the true outcome."""


class UndoRefused(Struct, frozen=True):
    """The gift is what it was (after UNKNOWN it may be undone)."""

    refusal: UndoRefusal


UndoOutcome = GiftUndone | UndoRefused


class CreditOrder(Struct, frozen=True):
    """Coins to be put into a wallet, once for this id.

    Attributes:
        id: UUIDv7, 16 bytes.
        cause: what brought them.
        reference: the grant's reason, or the purchase's id; stored and never read.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    cause: Cause
    reference: str


class CreditAccepted(Struct, frozen=True):
    """The coins are in the wallet and on disk; `balance_coins` as it was right after."""

    balance_coins: int
    replay: bool


class CreditRefused(Struct, frozen=True):
    """Nothing was credited (after UNKNOWN it may have been: tell the same id again)."""

    refusal: Refusal


CreditOutcome = CreditAccepted | CreditRefused


class ReversalOrder(Struct, frozen=True):
    """Coins of a purchase to be taken from the wallet that they came into, once for this id.

    Attributes:
        id: of the refund, 16 bytes.
        purchase: whose coins; it must have come into the wallet before.
        coins: how many are refunded, whatever the wallet can give of them.
    """

    id: bytes
    viewer: ViewerId
    purchase: bytes
    coins: int
    kind: RefundKind


class Reversed(Struct, frozen=True):
    """The wallet gave what it had to and that is on disk; `balance_coins` as it was right after."""

    balance_coins: int
    taken_coins: int
    replay: bool


class ReversalWaits(Struct, frozen=True):
    """Nothing was taken: the viewer may still undo so many gifts, and no more of them until this is told again."""

    open_gifts: int


ReversalOutcome = Reversed | ReversalWaits | CreditRefused


class HoldOrder(Struct, frozen=True):
    """Coins to be put aside, once for this id.

    Attributes:
        id: UUIDv7, 16 bytes; unique for that viewer.
        lasts_ms: after so long it expires, unless it was ended before.
        reference: what it is for, as text that the ledger stores and never reads.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    lasts_ms: int
    reference: str


class Held(Struct, frozen=True):
    """The coins have left the wallet and that is on disk; `balance_coins` as it was right after."""

    balance_coins: int
    expires_ms: int
    replay: bool


HoldOutcome = Held | GiftRefused


class HoldEnded(Struct, frozen=True):
    """The hold has ended, and that is on disk.

    Attributes:
        coins: what it held; `taken_coins` of them stay out of the wallet.
        balance_coins: the wallet right after it ended.
        replay: it had ended before.
    """

    end: HoldEnd
    coins: int
    taken_coins: int
    balance_coins: int
    at_ms: int
    replay: bool


class EndRefusal(enum.Enum):
    """Why a hold was not ended."""

    NO_SUCH_HOLD = "no_such_hold"
    TOO_MANY_COINS = "too_many_coins"
    """It holds fewer than were to be taken."""
    NOT_DUE = "not_due"
    """It was to expire before its time."""
    UNKNOWN = "unknown"
    """The connection broke; the same order told again gives the true outcome."""


class EndRefused(Struct, frozen=True):
    """The hold is as it was (after UNKNOWN it may have ended); `coins` is what it holds, where that was looked up."""

    refusal: EndRefusal
    coins: int | None = None


EndOutcome = HoldEnded | EndRefused


# Records, as the journal holds them. The first part is written by the caller, the second by the script.


class GiftFields(Struct, frozen=True, array_like=True):
    """What the record of a gift says of it. Short names of the wire do not matter: fields go by place."""

    id: bytes
    viewer: ViewerId
    creator: CreatorId
    place: str
    item: str
    unit_coins: int
    count: int
    coins: int
    creator_diamonds: int
    commission_diamonds: int
    combo_key: str
    combo_window_ms: int
    details: bytes
    plan: str = ""
    agency: str = ""
    agency_diamonds: int = 0
    digest: bytes = b""
    """Of the order's content, so that the id can be remembered again from the record; empty in old records."""


class GiftBody(GiftFields, frozen=True, array_like=True, tag="g"):
    """A gift that was paid at once."""


class HeldGiftBody(GiftFields, frozen=True, array_like=True, tag="d", kw_only=True):
    """A gift whose coins are held, since the viewer may undo it until `undo_ms` after the record's time."""

    undo_ms: int


class GiftSettledBody(GiftFields, frozen=True, array_like=True, tag="s"):
    """A gift that was held and is paid now; its fields are those of the first record."""


class GiftUndoneBody(GiftFields, frozen=True, array_like=True, tag="u"):
    """A gift that was held and was undone; its fields are those of the first record."""


class CreditBody(Struct, frozen=True, array_like=True, tag="c"):
    """The part of a credit's record that its order fixes."""

    id: bytes
    viewer: ViewerId
    coins: int
    cause: Cause
    reference: str


class ReversalBody(Struct, frozen=True, array_like=True, tag="r"):
    """A reversal's record; the script writes `taken_coins`, what the wallet gave, as its last value."""

    id: bytes
    viewer: ViewerId
    purchase: bytes
    coins: int
    cause: RefundKind
    taken_coins: int


class HoldBody(Struct, frozen=True, array_like=True, tag="h"):
    """A hold's record. It expires `lasts_ms` after the record's time."""

    id: bytes
    viewer: ViewerId
    coins: int
    lasts_ms: int
    reference: str


class HoldEndBody(Struct, frozen=True, array_like=True, tag="e"):
    """The record of a hold's end; the script writes all but the id and the viewer.

    Attributes:
        id: of the hold; its only end has it.
        coins: what was held; all but `taken_coins` came back into the wallet.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    end: HoldEnd
    taken_coins: int


Body = GiftBody | HeldGiftBody | GiftSettledBody | GiftUndoneBody | CreditBody | ReversalBody | HoldBody | HoldEndBody
CAME: Final = (CreditBody, ReversalBody, HoldEndBody, GiftUndoneBody)
"""Records by which coins come into a wallet, or leave it otherwise than by paying (`Total.CAME_SEQ`)."""


class JournalRecord(Struct, frozen=True):
    """Postings that take effect together.

    Attributes:
        partition, epoch, seq: its place; `seq` rises by one from record to record of a partition, over all epochs.
        at_ms: the time of the commit, from the clock of the Redis or Valkey that made it; never falls in a partition.
        wallet_after: coins of the viewer right after this record.
        combo: totals right after this gift, when it belongs to a combo.
    """

    partition: Partition
    epoch: int
    seq: int
    at_ms: int
    wallet_after: int
    combo: ComboTotals | None
    body: Body

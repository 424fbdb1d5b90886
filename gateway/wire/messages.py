"""The shapes of every WebSocket message, as frozen msgspec Structs.

One Struct a message, told apart by `type` (events by `kind`). Unknown fields are ignored, so that either side may be
newer; fields that stand at their default are left out when encoded. Amounts are integers up to 2^53-1, times are
milliseconds since the Unix epoch.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

AMOUNT_MAX = 2**53 - 1
COUNT_MAX = 9_999
MESSAGE_LENGTH_MAX = 200
NAME_LENGTH_MAX = 64

# `$` alone also matches before a newline at the end (in Python's and Perl's patterns): "demo\n" would be a name.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$(?!\n)"
ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$(?!\n)"
NAME_WORDS = "1-64 of A-Z a-z 0-9 _ . : @ -, first a letter or digit"
_A_NAME = f"Name of a user, room, video or gift: {NAME_WORDS}."
_AN_ID = "A UUIDv7 in lower-case text form, chosen by the caller: the idempotency key."
Name = Annotated[str, Meta(pattern=NAME_PATTERN, description=_A_NAME)]
Id = Annotated[str, Meta(pattern=ID_PATTERN, description=_AN_ID)]
# The same in the message that comes most: `codec.decode` looks at these, in a third of the time.
GiftName = Annotated[str, Meta(extra_json_schema={"pattern": NAME_PATTERN}, description=_A_NAME)]
GiftId = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN}, description=_AN_ID)]
Ref = Annotated[str, Meta(min_length=1, max_length=64, description="Chosen by the client; the reply repeats it.")]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
TimeMs = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, description="Milliseconds since the Unix epoch.")]
Seq = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Role = Literal["viewer", "creator", "overlay", "agency", "operator"]


class Position(Struct, frozen=True):
    """A place in a room's history: everything up to and including `seq` of `epoch` is known."""

    epoch: Seq
    seq: Seq


# What a client sends.


class Hello(Struct, frozen=True, tag="hello", tag_field="type"):
    """The first message of a connection; the token says who it is."""

    ref: Ref
    token: Annotated[str, Meta(min_length=1, max_length=4096)]
    client: Annotated[str, Meta(max_length=100)] = ""


class Join(Struct, frozen=True, tag="join", tag_field="type"):
    """Enter a room; with `since`, ask for the events after that position."""

    ref: Ref
    room: Name
    since: Position | None = None


class Leave(Struct, frozen=True, tag="leave", tag_field="type"):
    """Leave a room."""

    ref: Ref
    room: Name


class SendGift(Struct, frozen=True, tag="gift", tag_field="type"):
    """Send a gift in a room or on a video (exactly one of the two).

    Attributes:
        id: idempotency key; its time must lie inside the window.
        to: who is to earn, when the room has several receivers; the room's creator when absent.
        combo: whether this gift belongs to a run of the same gift by the same sender.
        message: shown with the gift.
        anonymous: hide the sender from everyone else.
    """

    ref: Ref
    id: GiftId
    gift: GiftName
    room: GiftName | None = None
    video: GiftName | None = None
    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 1
    combo: bool = False
    to: GiftName | None = None
    message: Annotated[str, Meta(max_length=MESSAGE_LENGTH_MAX)] | None = None
    anonymous: bool = False


class Undo(Struct, frozen=True, tag="undo", tag_field="type"):
    """Take a gift of one's own back, before its `undo_until_ms`."""

    ref: Ref
    id: Id


class Ack(Struct, frozen=True, tag="ack", tag_field="type"):
    """An overlay has shown everything up to `seq`."""

    room: Name
    seq: Seq


class Ping(Struct, frozen=True, tag="ping", tag_field="type"):
    """Ask for a `pong` with the server's time."""

    ref: Ref


ClientMessage = Hello | Join | Leave | SendGift | Undo | Ack | Ping


# What the server sends: replies.


class Limits(Struct, frozen=True):
    """What this connection may do; told once in `welcome`.

    Attributes:
        undo_coins_min: a gift outside combos that costs so much can be undone for a while; absent when none can.
        undo_window_ms: for how long; absent when no gift can be undone.
    """

    message_bytes_max: int
    gift_count_max: int
    message_length_max: int
    rooms_max: int
    commands_per_second_max: int
    heartbeat_ms: int
    undo_coins_min: Amount | UnsetType = UNSET
    undo_window_ms: int | UnsetType = UNSET


class Welcome(Struct, frozen=True, tag="welcome", tag_field="type"):
    """The token was good; commands may follow. A viewer is also told its balance."""

    ref: str
    session: str
    user: str
    role: Role
    server_time_ms: TimeMs
    limits: Limits
    balance_coins: int | UnsetType = UNSET


class Combo(Struct, frozen=True):
    """A run of one gift by one sender: running totals and where it stands."""

    id: str
    count: int
    coins: int
    state: Literal["start", "update", "end"]


class ComboCount(Struct, frozen=True):
    """What the sender is told of its combo."""

    id: str
    count: int


class TopEntry(Struct, frozen=True):
    """One line of a room's top list."""

    user: str
    name: str
    coins: int
    level: int = 0


class RoomState(Struct, frozen=True):
    """What a newcomer needs to draw the room: absolute, as of the `seq` it came with."""

    room: str
    title: str
    creator: str
    creator_name: str
    viewers: int
    leaderboard: list[TopEntry]
    combo_window_ms: int


class Joined(Struct, frozen=True, tag="joined", tag_field="type"):
    """The room is entered. When `recovered`, the missed events follow; else some were missed, or none asked for.

    Attributes:
        resumed_from: an overlay is told everything after this position and not after the one that it named, since it
            named none (then it follows from what its token's screens acknowledged) or missed too much; `recovered` is
            then false when there was more before.
    """

    ref: str
    room: str
    epoch: Seq
    seq: Seq
    recovered: bool
    state: RoomState
    resumed_from: Position | UnsetType = UNSET


class Left(Struct, frozen=True, tag="left", tag_field="type"):
    """The room is left."""

    ref: str
    room: str


class Accepted(Struct, frozen=True, tag="accepted", tag_field="type"):
    """The gift is paid and its record is on disk.

    Attributes:
        coins: paid for this gift.
        balance_coins: the wallet after it (on a replay: the wallet now).
        replay: this id had been accepted before; nothing was charged again.
        undo_until_ms: before this time `undo` takes it back; absent when it cannot be undone (any more).
    """

    ref: str
    id: str
    coins: Amount
    balance_coins: int
    replay: bool
    combo: ComboCount | UnsetType = UNSET
    undo_until_ms: TimeMs | UnsetType = UNSET


class Undone(Struct, frozen=True, tag="undone", tag_field="type"):
    """The gift is taken back: its coins are in the wallet again, its creator earns nothing, and its room is told.

    Attributes:
        coins: that came back.
        balance_coins: the wallet after it (on a replay: the wallet now).
        replay: it had been undone before; nothing came back again.
    """

    ref: str
    id: str
    coins: Amount
    balance_coins: int
    replay: bool


class Refused(Struct, frozen=True, tag="refused", tag_field="type"):
    """The command was not carried out, and nothing was charged.

    Attributes:
        ref: of the command; absent when the command could not be read that far.
        code: one of `Code`; `retryable` says whether the same command may succeed later.
        field: which field was wrong, with `bad_request`.
        limit: with `limit_exceeded`, which one: `gift`, `day`, `week`, `month`, or `creator_day` for what the creator
            takes from one viewer in a day.
        limit_coins, spent_coins: with `limit`, how many coins it allows and how many were counted before.
        resets_at_ms: with `limit`, when it counts from zero again; absent for `gift`.
        balance_coins: with `insufficient_coins`.
        age_min: with `under_age` and `guardian_needed`, the age in years from which that ends.
        limits_needed: with `own_limits_needed`, which limits the viewer has to set.
        bound: where the server itself can take no more, of what: with `overloaded` `waiting` (gifts), `wait_ms`,
            `books_lag` (records), `memory` (bytes) or `in_flight` (gifts of one session), with `not_allowed` `amount`,
            with `limit_reached` `viewer_holds` or `partition_holds`; `bound_max`: how much that may be.
    """

    code: str
    message: str
    retryable: bool
    ref: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET
    field: str | UnsetType = UNSET
    limit: str | UnsetType = UNSET
    resets_at_ms: TimeMs | UnsetType = UNSET
    balance_coins: int | UnsetType = UNSET
    limit_coins: Amount | UnsetType = UNSET
    spent_coins: Amount | UnsetType = UNSET
    age_min: int | UnsetType = UNSET
    limits_needed: list[str] | UnsetType = UNSET
    bound: str | UnsetType = UNSET
    bound_max: Amount | UnsetType = UNSET


class Pong(Struct, frozen=True, tag="pong", tag_field="type"):
    """Answer to `ping`."""

    ref: str
    server_time_ms: TimeMs


# What the server sends: events, told to a room.


class Sender(Struct, frozen=True):
    """Who sent a gift, as shown to others."""

    id: str
    name: str
    level: int = 0


class GiftEvent(Struct, frozen=True, tag="gift", tag_field="kind"):
    """A gift was sent, or a combo moved.

    `count` and `coins` are what is new in this event (both 0 when a combo merely ends); `combo` holds running totals.
    Overlays and the creator get one event for each gift, with its `id`; viewers may get several merged into one.

    Attributes:
        seq: place in the room's history (of the last one merged).
        sender: null when anonymous.
        to: the creator who earns.
        gift, price_coins: the catalogue id and its unit price; both, since names repeat at other prices.
        merged: how many gifts this event stands for, when more than one.
        test: asked for by the creator to try the overlay; never paid, in no total.
        undo_until_ms: until then its sender may take it back; such a gift has its `id` for viewers too and is never
            merged with others.
    """

    seq: Seq
    sender: Sender | None
    to: str
    gift: str
    price_coins: Amount
    count: int
    coins: Amount
    at_ms: TimeMs
    combo: Combo | UnsetType = UNSET
    id: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    merged: int | UnsetType = UNSET
    test: bool | UnsetType = UNSET
    undo_until_ms: TimeMs | UnsetType = UNSET


class UndoneEvent(Struct, frozen=True, tag="undone", tag_field="kind"):
    """The gift with this `id` was taken back by its sender. Told to everybody, always after the gift, never merged.

    Attributes:
        seq: place in the room's history.
        id: of the gift, which was told before with its `undo_until_ms`.
        sender, to, gift, price_coins, count, coins: as the gift had them; take `count` and `coins` off every total.
        at_ms: when it was taken back.
    """

    seq: Seq
    id: str
    sender: Sender | None
    to: str
    gift: str
    price_coins: Amount
    count: int
    coins: Amount
    at_ms: TimeMs


class SummaryEvent(Struct, frozen=True, tag="summary", tag_field="kind"):
    """Small gifts that were merged away in this tick, for viewers."""

    gifts: int
    count: int
    coins: Amount


class LeaderboardEvent(Struct, frozen=True, tag="leaderboard", tag_field="kind"):
    """The room's top list, absolute."""

    entries: list[TopEntry]


class RoomEvent(Struct, frozen=True, tag="room", tag_field="kind"):
    """The room's live state, absolute."""

    live: bool
    viewers: int


Event = GiftEvent | UndoneEvent | SummaryEvent | LeaderboardEvent | RoomEvent


class Events(Struct, frozen=True, tag="events", tag_field="type"):
    """What happened in a room, up to and including `seq` of `epoch`."""

    room: str
    epoch: Seq
    seq: Seq
    events: list[Event]


class Balance(Struct, frozen=True, tag="balance", tag_field="type"):
    """The wallet after a change that this session did not itself ask for."""

    balance_coins: int


class Notice(Struct, frozen=True, tag="notice", tag_field="type"):
    """Something the client should know: a drain, a resync.

    Attributes:
        reconnect_after_ms: with `drain`, how long to wait after the close before coming back: each client is told
            another time, so that they do not all come at once.
    """

    code: str
    message: str
    reconnect_after_ms: int | UnsetType = UNSET


ServerMessage = (
    Welcome | Joined | Left | Accepted | Undone | Refused | Pong | Events | Balance | Notice
)  # fmt: skip

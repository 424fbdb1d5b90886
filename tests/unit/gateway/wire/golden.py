"""The messages whose bytes are kept in tests/golden/wire, and how those files are made.

A file there is a promise to clients that exist. One that no longer fits means that the protocol has changed: a new
field with a default is fine and gets files of its own; a changed name, type or default is not. After a change that is
meant, `python -m tests.unit.gateway.wire.golden` writes the files anew; look at every line of the difference.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from gateway.wire.codec import Encoding, encode
from gateway.wire.codes import Code, NoticeCode
from gateway.wire.messages import (
    AMOUNT_MAX,
    Accepted,
    Ack,
    Balance,
    ClientMessage,
    Combo,
    ComboCount,
    Event,
    Events,
    GiftEvent,
    Hello,
    Join,
    Joined,
    LeaderboardEvent,
    Leave,
    Left,
    Limits,
    Notice,
    Ping,
    Pong,
    Position,
    Refused,
    RoomEvent,
    RoomState,
    Sender,
    SendGift,
    ServerMessage,
    SummaryEvent,
    TopEntry,
    Undo,
    Undone,
    UndoneEvent,
    Welcome,
)

FOLDER: Final = Path(__file__).parents[3] / "golden" / "wire"
AT_MS: Final = 1_795_000_000_000
FIRST_ID: Final = "019a1b2c-0000-7000-8000-000000000001"
LATER_ID: Final = "019a1b2c-0000-7000-8000-000000000002"

_LIMITS: Final = Limits(16_384, 9_999, 200, 16, 200, 20_000)
_STATE: Final = RoomState("demo", "The demo room", "ada", "Ada", 42, [TopEntry("vera", "Vera", 1_250, 7)], 5_000)
_VERA: Final = Sender("vera", "Vera 🌹", 7)
_GIFT: Final = GiftEvent(17, _VERA, "ada", "rose", 1, 5, 5, AT_MS, id=LATER_ID)
_DEAR: Final = GiftEvent(17, _VERA, "ada", "universe", 10_000, 1, 10_000, AT_MS, id=FIRST_ID)


def _told(event: Event) -> Events:
    return Events("demo", 1, event.seq if isinstance(event, UndoneEvent) else 17, [event])


class Frame(Struct, frozen=True):
    """One file: the payload of a message in both encodings.

    Attributes:
        json: as text, byte for byte.
        msgpack: as hexadecimal digits.
    """

    json: str
    msgpack: str


CLIENT: Final[dict[str, ClientMessage]] = {
    "hello": Hello("1", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "my-bot/1.0"),
    "join": Join("2", "demo"),
    "join_since": Join("2", "demo", Position(1, 12)),
    "leave": Leave("3", "demo"),
    "gift": SendGift("4", FIRST_ID, "rose", room="demo"),
    "gift_on_a_video": SendGift("4", FIRST_ID, "rose", video="clip-1"),
    "gift_with_everything": SendGift("4", FIRST_ID, "rose", "demo", None, 9_999, True, "ada", "Bravo! 🌹", True),
    "undo": Undo("6", FIRST_ID),
    "ack": Ack("demo", 17),
    "ping": Ping("5"),
}
"""What clients send, by the name of its file."""

SERVER: Final[dict[str, ServerMessage]] = {
    "welcome": Welcome("1", "7f80", "ada", "overlay", AT_MS, _LIMITS),
    "welcome_of_a_viewer": Welcome("1", "7f80", "vera", "viewer", AT_MS, _LIMITS, 1_000),
    "welcome_with_undo": Welcome(
        *("1", "7f80", "vera", "viewer", AT_MS, Limits(16_384, 9_999, 200, 16, 200, 20_000, 5_000, 10_000), 1_000)
    ),
    "joined": Joined("2", "demo", 1, 12, recovered=True, state=_STATE),
    "left": Left("3", "demo"),
    "accepted": Accepted("4", FIRST_ID, 5, 995, replay=False),
    "accepted_again": Accepted("4", FIRST_ID, 5, AMOUNT_MAX, replay=True),
    "accepted_in_a_combo": Accepted("4", LATER_ID, 5, 990, replay=False, combo=ComboCount(FIRST_ID, 10)),
    "accepted_with_undo": Accepted("4", FIRST_ID, 10_000, 995, replay=False, undo_until_ms=AT_MS + 10_000),
    "undone": Undone("6", FIRST_ID, 10_000, 10_995, replay=False),
    "undone_again": Undone("6", FIRST_ID, 10_000, 9_995, replay=True),
    "refused": Refused(Code.UNKNOWN_GIFT, "The catalogue has no such gift.", False, "4", FIRST_ID),
    "refused_undo": Refused(Code.UNDO_EXPIRED, "This gift cannot be undone, or not any more.", False, "6", FIRST_ID),
    "refused_unread": Refused(Code.BAD_REQUEST, "Invalid value 'dance'", False, field="$.type"),
    "refused_with_everything": Refused(
        Code.OVERLOADED, "Later.", True, "4", FIRST_ID, 1_000, "$.count", "day", AT_MS, balance_coins=3
    ),
    "refused_over_a_cap": Refused(
        Code.LIMIT_EXCEEDED,
        "This would pass the limit of coins for a day.",
        False,
        "4",
        FIRST_ID,
        limit="day",
        resets_at_ms=AT_MS,
        limit_coins=500,
        spent_coins=480,
    ),
    "refused_at_a_bound": Refused(
        Code.OVERLOADED,
        "The server carries all that it can.",
        True,
        "4",
        FIRST_ID,
        1_000,
        bound="waiting",
        bound_max=20_000,
    ),
    "pong": Pong("5", AT_MS),
    "balance": Balance(1_100),
    "notice_drain": Notice(NoticeCode.DRAIN, "Come back.", 1_200),
    "notice_resync": Notice(NoticeCode.RESYNC, "Some were not sent."),
    "events_gift": _told(_GIFT),
    "events_gift_anonymous": _told(msgspec.structs.replace(_GIFT, sender=None, message="Bravo! 🌹")),
    "events_gift_test": _told(GiftEvent(17, Sender("test", "Test"), "ada", "rose", 1, 1, 1, AT_MS, test=True)),
    "events_gift_merged": _told(GiftEvent(17, _VERA, "ada", "rose", 1, 15, 15, AT_MS, merged=3)),
    "events_gift_held": _told(msgspec.structs.replace(_DEAR, undo_until_ms=AT_MS + 10_000)),
    "events_undone": _told(UndoneEvent(18, FIRST_ID, _VERA, "ada", "universe", 10_000, 1, 10_000, AT_MS + 4_000)),
    "events_undone_anonymous": _told(
        UndoneEvent(18, FIRST_ID, None, "ada", "universe", 10_000, 1, 10_000, AT_MS + 4_000)
    ),
    "events_combo_start": _told(msgspec.structs.replace(_GIFT, combo=Combo(LATER_ID, 5, 5, "start"))),
    "events_combo_update": _told(msgspec.structs.replace(_GIFT, combo=Combo(FIRST_ID, 10, 10, "update"))),
    "events_combo_end": _told(
        GiftEvent(17, _VERA, "ada", "rose", 1, 0, 0, AT_MS, combo=Combo(FIRST_ID, 10, 10, "end"))
    ),
    "events_summary": _told(SummaryEvent(30, 45, 60)),
    "events_leaderboard": _told(LeaderboardEvent([TopEntry("vera", "Vera", 1_250, 7), TopEntry("bo", "Bo", 1)])),
    "events_room": _told(RoomEvent(live=True, viewers=43)),
    "events_none": Events("demo", 1, 17, []),
}
"""What the server sends, by the name of its file."""


def frames() -> dict[str, Frame]:
    """Every message as it is encoded now, by the path of its file below FOLDER."""
    coders = (msgspec.json.Encoder(), msgspec.msgpack.Encoder())
    made = {
        f"client/{name}.json": Frame(coders[0].encode(sent).decode(), coders[1].encode(sent).hex())
        for name, sent in CLIENT.items()
    }
    for name, told in SERVER.items():
        made[f"server/{name}.json"] = Frame(encode(told, Encoding.JSON).decode(), encode(told, Encoding.MSGPACK).hex())
    return made


def text_of(frame: Frame) -> bytes:
    """A file's content."""
    return msgspec.json.format(msgspec.json.encode(frame), indent=2) + b"\n"


def main() -> None:
    """Write all files."""
    for name, frame in frames().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text_of(frame))


if __name__ == "__main__":
    main()

"""Bytes to messages and back, for both subprotocols. Coders are built once: building one costs more than using it."""

import enum
import functools
import re
from typing import Final, cast

import msgspec

from gateway.wire.messages import ID_PATTERN, NAME_LENGTH_MAX, NAME_PATTERN, ClientMessage, SendGift, ServerMessage

SUBPROTOCOL_JSON: Final = "giftwire.v1.json"
SUBPROTOCOL_MSGPACK: Final = "giftwire.v1.msgpack"
SUBPROTOCOLS: Final = (SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK)

MESSAGE_BYTES_MAX: Final = 16 * 1024


class Encoding(enum.Enum):
    """How the messages of one connection are written; JSON goes in text frames, MessagePack in binary ones."""

    JSON = SUBPROTOCOL_JSON
    MSGPACK = SUBPROTOCOL_MSGPACK


class BadMessage(Exception):
    """A client message could not be read.

    Attributes:
        field: path of the field at fault, such as `$.room`; empty when the whole message is.
        ref: the command's `ref` where that much could be read.
    """

    def __init__(self, message: str, *, field: str = "", ref: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.ref = ref


class _RefOnly(msgspec.Struct):
    ref: str | None = None


_json_decoder = msgspec.json.Decoder(ClientMessage)
_msgpack_decoder = msgspec.msgpack.Decoder(ClientMessage)
_json_ref_decoder = msgspec.json.Decoder(_RefOnly)
_msgpack_ref_decoder = msgspec.msgpack.Decoder(_RefOnly)
_json_encoder = msgspec.json.Encoder()
_msgpack_encoder = msgspec.msgpack.Encoder()
_is_id: Final = re.compile(ID_PATTERN).search
_matches_name: Final = functools.lru_cache(maxsize=4096)(re.compile(NAME_PATTERN).search)


def decode(payload: bytes, encoding: Encoding) -> ClientMessage:
    """Read one client message.

    Raises:
        BadMessage: not valid in the encoding, an unknown `type`, or a field that is missing or out of range.
    """
    try:
        decoder = _json_decoder if encoding is Encoding.JSON else _msgpack_decoder
        message = cast("ClientMessage", decoder.decode(payload))
    except msgspec.ValidationError as exc:
        text = str(exc)
        field = text.rsplit(" - at `", 1)[1].rstrip("`") if " - at `" in text else ""
        raise BadMessage(text, field=field, ref=_read_ref(payload, encoding)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadMessage(f"not valid {encoding.name}: {exc}") from None
    if type(message) is SendGift:
        _look_at_gift(message)
    return message


def _look_at_gift(message: SendGift) -> None:
    """What msgspec would do at three times the cost: a gift's id and names are as they must be."""
    if not _is_id(message.id):
        raise _mismatch(message, "id", ID_PATTERN)
    if not _is_name(message.gift):
        raise _mismatch(message, "gift", NAME_PATTERN)
    if message.room is not None and not _is_name(message.room):
        raise _mismatch(message, "room", NAME_PATTERN)
    if message.video is not None and not _is_name(message.video):
        raise _mismatch(message, "video", NAME_PATTERN)
    if message.to is not None and not _is_name(message.to):
        raise _mismatch(message, "to", NAME_PATTERN)


def _is_name(text: str) -> bool:
    # The few names that come again and again are remembered, and no long text is.
    return len(text) <= NAME_LENGTH_MAX and _matches_name(text) is not None


def _mismatch(message: SendGift, field: str, pattern: str) -> BadMessage:
    text = f"Expected `str` matching regex {pattern!r} - at `$.{field}`"
    return BadMessage(text, field=f"$.{field}", ref=message.ref)


def encode(message: ServerMessage, encoding: Encoding) -> bytes:
    """Write one server message."""
    if encoding is Encoding.JSON:
        return _json_encoder.encode(message)
    return _msgpack_encoder.encode(message)


def _read_ref(payload: bytes, encoding: Encoding) -> str | None:
    decoder = _json_ref_decoder if encoding is Encoding.JSON else _msgpack_ref_decoder
    try:
        return decoder.decode(payload).ref
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

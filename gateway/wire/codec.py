"""Bytes to messages and back, for both subprotocols. Coders are built once: building one costs more than using it."""

import enum
from typing import Final, cast

import msgspec

from gateway.wire.messages import ClientMessage, ServerMessage

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


def decode(payload: bytes, encoding: Encoding) -> ClientMessage:
    """Read one client message.

    Raises:
        BadMessage: not valid in the encoding, an unknown `type`, or a field that is missing or out of range.
    """
    try:
        decoder = _json_decoder if encoding is Encoding.JSON else _msgpack_decoder
        return cast("ClientMessage", decoder.decode(payload))
    except msgspec.ValidationError as exc:
        text = str(exc)
        field = text.rsplit(" - at `", 1)[1].rstrip("`") if " - at `" in text else ""
        raise BadMessage(text, field=field, ref=_read_ref(payload, encoding)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadMessage(f"not valid {encoding.name}: {exc}") from None


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

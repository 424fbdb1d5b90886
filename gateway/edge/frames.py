"""WebSocket frames as bytes, built once and written to many (RFC 6455, section 5.2; a server does not mask)."""

import struct
from typing import Final

import msgspec

from gateway.replies import refused
from gateway.wire.codec import Encoding, encode
from gateway.wire.codes import Code
from ledger.model import Bound, BoundReached

_TEXT: Final = 0x81
_BINARY: Final = 0x82
_PING: Final = 0x89
_COMPRESSED: Final = 0x40
"""The first reserved bit, which permessage-deflate gives this meaning (RFC 7692, section 6)."""
_SHORT_MAX: Final = 125
_MEDIUM_MAX: Final = 0xFFFF

PING_FRAME: Final = bytes((_PING, 0))


def frame(payload: bytes, encoding: Encoding, *, compressed: bool = False) -> bytes:
    """One message as one frame: text for JSON, binary for MessagePack.

    Args:
        compressed: the payload is what `deflated` made of the message.
    """
    first = _TEXT if encoding is Encoding.JSON else _BINARY
    if compressed:
        first |= _COMPRESSED
    size = len(payload)
    if size <= _SHORT_MAX:
        return bytes((first, size)) + payload
    if size <= _MEDIUM_MAX:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def overloaded_frame(ref: str, id: str, bound: BoundReached | None, encoding: Encoding) -> bytes:
    """The refusal of a gift as `overloaded`, as one frame. Under overload it is what is written most.

    Args:
        ref, id: of the gift; both were read and looked at.
        bound: of the gifts that may wait; None while the ledger stops.
    """
    most = None if bound is None or bound.bound is not Bound.WAITING else bound.most
    if encoding is not Encoding.JSON or most is None:
        return frame(encode(refused(Code.OVERLOADED, ref=ref, id=id, bound=bound), encoding), encoding)
    payload = b'%b%b%b"%b"%b%d}' % (_UP_TO_REF, _json(ref), _UP_TO_ID, id.encode(), _UP_TO_MOST, most)
    return struct.pack(">BBH", _TEXT, 126, len(payload)) + payload


_json: Final = msgspec.json.Encoder().encode
_example: Final = refused(Code.OVERLOADED, ref="<ref>", id="<id>", bound=BoundReached(Bound.WAITING, 0))
_UP_TO_REF, _, _rest = encode(_example, Encoding.JSON).partition(b'"<ref>"')
_UP_TO_ID, _, _rest = _rest.partition(b'"<id>"')
_UP_TO_MOST: Final = _rest.removesuffix(b"0}")

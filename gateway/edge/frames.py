"""WebSocket frames as bytes, built once and written to many (RFC 6455, section 5.2; a server does not mask)."""

import struct
from typing import Final

from gateway.wire.codec import Encoding

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

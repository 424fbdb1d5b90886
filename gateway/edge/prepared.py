"""One message for many: its frame in each form that somebody of the audience reads, made when it is first asked for."""

from typing import Final, NamedTuple

from gateway.edge.deflate import deflated
from gateway.edge.frames import frame
from gateway.wire.codec import Encoding, encode
from gateway.wire.messages import ServerMessage

DEFLATE_BYTES_MAX: Final = 64 * 1024
"""A longer message, such as a backlog for an overlay, is not compressed: it would keep the event loop too long."""


class Variant(NamedTuple):
    """What a connection agreed to read.

    Attributes:
        compressed: permessage-deflate, where it pays.
    """

    encoding: Encoding
    compressed: bool


VARIANTS: Final = tuple(Variant(encoding, compressed) for encoding in Encoding for compressed in (False, True))


class Built(NamedTuple):
    """A frame that any number of sockets may be written.

    Attributes:
        saved: bytes by which it is shorter than it would be uncompressed.
    """

    content: bytes
    saved: int


class Prepared:
    """A message, encoded at most once for each encoding, and compressed at most once for each.

    Args:
        deflate_bytes_min: a shorter message is not compressed for anybody.
    """

    __slots__ = ("_deflate_bytes_min", "_message", "_plain")

    def __init__(self, message: ServerMessage, deflate_bytes_min: int) -> None:
        self._message = message
        self._deflate_bytes_min = deflate_bytes_min
        self._plain: tuple[Encoding, bytes] | None = None

    def built(self, variant: Variant) -> Built:
        """The frame for those who read this variant; asked for in the order of `VARIANTS`, once each."""
        payload = self._payload(variant.encoding)
        if variant.compressed and self._deflate_bytes_min <= len(payload) <= DEFLATE_BYTES_MAX:
            packed = deflated(payload)
            if len(packed) < len(payload):
                content = frame(packed, variant.encoding, compressed=True)
                return Built(content, len(frame(payload, variant.encoding)) - len(content))
        return Built(frame(payload, variant.encoding), 0)

    def _payload(self, encoding: Encoding) -> bytes:
        if self._plain is None or self._plain[0] is not encoding:
            self._plain = (encoding, encode(self._message, encoding))
        return self._plain[1]

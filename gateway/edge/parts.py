"""A message that comes in parts, put together; text is judged part by part (RFC 6455, section 8.1)."""

import codecs
from typing import Final

_utf8: Final = codecs.getincrementaldecoder("utf-8")


class Parts:
    """The parts of one message so far. How long they may grow is bounded by whoever reads frames.

    Args:
        is_text: it must be UTF-8; a character may begin in one part and end in a later one.
    """

    __slots__ = ("_content", "_decoder")

    def __init__(self, *, is_text: bool) -> None:
        self._content = bytearray()
        self._decoder = _utf8() if is_text else None

    def add(self, part: bytes | bytearray | memoryview, *, final: bool) -> None:
        """One more part.

        Raises:
            UnicodeDecodeError: what has come can never become UTF-8.
        """
        if self._decoder is not None:
            self._decoder.decode(part, final)
        self._content += part

    def whole(self) -> bytes:
        """The message, once its last part is there."""
        return bytes(self._content)

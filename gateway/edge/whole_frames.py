"""The frames that clients send nearly always, read in a fifth of the time: whole, in one part, masked, not compressed.

Everything else about frames (RFC 6455, section 5) is the matter of `websockets`' protocol, which reads whatever this
does not take. What is taken here it would have read the same way: the tables of the edge are played through both.
"""

from websockets.frames import Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:
    # Where websockets was installed without its part in C.
    from websockets.utils import apply_mask

_FINAL = 0x80
_MASKED = 0x80
_LENGTH_IN_TWO_BYTES = 126


def read_whole(data: bytes, at: int, opcode: Opcode, bytes_max: int) -> tuple[bytes, int] | None:
    """The payload of the frame that begins at `at`, and where the next begins; None for what it does not take.

    Args:
        opcode: of the frames that it takes.
        bytes_max: of the payload.
    """
    if len(data) - at < 8 or data[at] != _FINAL | opcode:
        # The shortest message has more than two bytes, so a shorter frame is none.
        return None
    length, begins = data[at + 1] - _MASKED, at + 6
    if length == _LENGTH_IN_TWO_BYTES:
        length, begins = int.from_bytes(data[at + 2 : at + 4], "big"), at + 8
        if length < _LENGTH_IN_TWO_BYTES:
            return None
    elif length > _LENGTH_IN_TWO_BYTES:
        return None
    end = begins + length
    if not 0 <= length <= bytes_max or end > len(data):
        return None
    return apply_mask(data[begins:end], data[begins - 4 : begins]), end

"""UUIDv7 as the ledger uses it (RFC 9562, section 5.7): 16 bytes, the first 48 bits of which are milliseconds."""

import hashlib
import secrets
import uuid

ID_BYTES = 16
TEXT_LENGTH = 36


def parse_id(text: str) -> bytes:
    """The bytes of a UUIDv7 in its text form of 36 characters. By slices: it is done for every gift.

    Raises:
        ValueError: not a UUID, or not of version 7.
    """
    if len(text) != TEXT_LENGTH or text[14] != "7" or text[8:24:5] != "----":
        raise ValueError(f"not a UUIDv7: {text}")
    parsed = bytes.fromhex(text.replace("-", ""))
    if len(parsed) != ID_BYTES or parsed[8] & 0xC0 != 0x80:
        raise ValueError(f"not a UUIDv7: {text}")
    return parsed


def digest_of(content: bytes) -> bytes:
    """By what two orders with one id are told apart: 8 bytes."""
    return hashlib.blake2b(content, digest_size=8).digest()


def format_id(id_bytes: bytes) -> str:
    """The text form of an id."""
    return str(uuid.UUID(bytes=id_bytes))


def id_time_ms(id_bytes: bytes) -> int:
    """The time inside a UUIDv7, in ms since the Unix epoch."""
    return int.from_bytes(id_bytes[:6], "big")


def new_id(now_ms: int) -> bytes:
    """A fresh UUIDv7 of that time."""
    tail = secrets.token_bytes(10)
    return now_ms.to_bytes(6, "big") + bytes((0x70 | tail[0] & 0x0F, tail[1], 0x80 | tail[2] & 0x3F)) + tail[3:]

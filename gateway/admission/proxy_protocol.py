"""The PROXY protocol's header, versions 1 and 2: what a proxy writes in front of a connection that it passes on.

Source: HAProxy's document proxy-protocol.txt, of 2020.
"""

import ipaddress
import struct
from typing import Final, NamedTuple

from gateway.admission.addresses import IP

HEADER_BYTES_MAX: Final = 1_024
"""Version 1 has 107 at most; version 2 may carry more than addresses, which nobody here reads."""
_LINE_BYTES_MAX: Final = 107
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_START: Final = b"PROXY "
_VERSION_2: Final = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_SOURCE_BYTES: Final = {0x11: 4, 0x21: 16}
"""By transport and family: TCP over IPv4 and IPv6."""


class BadHeader(ValueError):
    """The connection does not begin with a header as the protocol wants it."""


class Header(NamedTuple):
    """A header that was read.

    Attributes:
        size: its bytes.
        source: who is passed on; None where the proxy speaks for itself, or for what is not TCP.
        port: of the source; 0 without one.
    """

    size: int
    source: IP | None
    port: int


def read_header(start: bytes) -> Header | None:
    """The header that a connection begins with; None while more bytes are needed.

    Raises:
        BadHeader: it begins with something else.
    """
    if _SIGNATURE.startswith(start[: len(_SIGNATURE)]):
        return _read_2(start)
    if _START.startswith(start[: len(_START)]):
        return _read_1(start)
    raise BadHeader("no PROXY header")


def _read_1(start: bytes) -> Header | None:
    line, end, _ = start.partition(b"\r\n")
    if not end:
        if len(start) >= _LINE_BYTES_MAX:
            raise BadHeader("the PROXY line is too long")
        return None
    words = line.decode("latin-1").split(" ")
    size = len(line) + len(end)
    if words[1] == "UNKNOWN":
        return Header(size, None, 0)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6") or not words[4].isdecimal():
        raise BadHeader("not a PROXY line")
    try:
        source = ipaddress.ip_address(words[2])
    except ValueError as exc:
        raise BadHeader(str(exc)) from exc
    return Header(size, _plain(source), int(words[4]))


def _read_2(start: bytes) -> Header | None:
    if len(start) < _VERSION_2.size:
        return None
    _, command, kind, length = _VERSION_2.unpack_from(start)
    size = _VERSION_2.size + length
    if command not in (_LOCAL, _PROXY) or size > HEADER_BYTES_MAX:
        raise BadHeader("a PROXY header of another version, or too long")
    if len(start) < size:
        return None
    wide = _SOURCE_BYTES.get(kind)
    if command == _LOCAL or wide is None:
        return Header(size, None, 0)
    if length < 2 * wide + 4:
        raise BadHeader("the PROXY header has no addresses")
    first = _VERSION_2.size
    (port,) = struct.unpack_from(">H", start, first + 2 * wide)
    return Header(size, _plain(ipaddress.ip_address(start[first : first + wide])), port)


def _plain(source: IP) -> IP:
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    return mapped or source

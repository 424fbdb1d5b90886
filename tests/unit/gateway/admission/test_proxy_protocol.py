"""Headers of the PROXY protocol, whole, in pieces and broken."""

import ipaddress
import struct

import pytest

from gateway.admission.proxy_protocol import HEADER_BYTES_MAX, BadHeader, read_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def version_2(command: int, kind: int, source: str, *, more: bytes = b"", length: int | None = None) -> bytes:
    """A header of version 2 whose source port is 4711."""
    packed = ipaddress.ip_address(source).packed
    addresses = packed + packed + struct.pack(">HH", 4711, 443) + more
    return SIGNATURE + struct.pack(">BBH", command, kind, len(addresses) if length is None else length) + addresses


WHOLE = {
    b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n": ("192.0.2.7", 4711),
    b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n": ("2001:db8::7", 4711),
    b"PROXY UNKNOWN\r\n": ("None", 0),
    b"PROXY UNKNOWN ff:ff 1 2 3\r\n": ("None", 0),
    version_2(0x21, 0x11, "192.0.2.7"): ("192.0.2.7", 4711),
    version_2(0x21, 0x21, "2001:db8::7", more=b"\x04\x00\x01x"): ("2001:db8::7", 4711),
    version_2(0x21, 0x21, "::ffff:192.0.2.7"): ("192.0.2.7", 4711),
    version_2(0x20, 0x11, "192.0.2.7"): ("None", 0),
    version_2(0x21, 0x31, "192.0.2.7"): ("None", 0),
}


@pytest.mark.parametrize("header", WHOLE)
def test_whole_header(header: bytes) -> None:
    """Its source and port, and where the connection's own bytes begin; nothing of a part of it."""
    read = read_header(header + b"GET / HTTP/1.1\r\n")
    assert read is not None
    assert (str(read.source), read.port) == WHOLE[header]
    assert read.size == len(header)
    assert [read_header(header[:size]) for size in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
        b"PROXY TCP4 nobody 192.0.2.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 x 443\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 1 443\r\n",
        b"PROXY " + b"x" * 101,
        version_2(0x11, 0x11, "192.0.2.7"),
        version_2(0x21, 0x11, "192.0.2.7", length=8),
        version_2(0x21, 0x21, "2001:db8::7", length=HEADER_BYTES_MAX),
    ],
)
def test_header_that_is_none(start: bytes) -> None:
    """What begins otherwise, has other words, or is too short or too long is refused."""
    with pytest.raises(BadHeader):
        read_header(start)

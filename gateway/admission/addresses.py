"""Addresses: read from texts, gathered into what is counted as one, and found behind the proxies that may name them."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPV6_COUNTED_BYTES: Final = 8
"""The first half, a /64: whoever has one address there has all of them (RFC 6177)."""
HOPS_MAX: Final = 32
"""Hops of a header that are looked at, from the nearest on."""


class BadNetworks(ValueError):
    """A list of addresses and networks cannot be read."""


def read_ip(text: str) -> IP | None:
    """An address as a socket or a header names it: with a port or not, in brackets or not; None when it is none."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def counted_as(address: IP) -> bytes:
    """What the address is counted by: itself, or the /64 of an IPv6 one."""
    return address.packed if isinstance(address, ipaddress.IPv4Address) else address.packed[:IPV6_COUNTED_BYTES]


class Networks:
    """A set of networks.

    Args:
        text: addresses and networks, separated by spaces.

    Raises:
        BadNetworks: one of them is none.
    """

    def __init__(self, text: str) -> None:
        self._networks: list[_Network] = []
        for word in text.split():
            try:
                self._networks.append(ipaddress.ip_network(word))
            except ValueError as exc:
                raise BadNetworks(str(exc)) from exc

    def __contains__(self, address: IP) -> bool:
        return any(address in network for network in self._networks)


def behind_proxies(peer: IP, hops: Sequence[str], trusted: Networks) -> IP | None:
    """The client for which a trusted proxy speaks: the nearest hop that is no trusted proxy.

    What stands further away was written by that client, and may be anything.

    Args:
        peer: the proxy.
        hops: what its header says, the nearest last.

    Returns:
        None when there is no client: the proxy speaks for itself. The proxy that told it where a hop cannot be read.
    """
    told_by = peer
    for hop in reversed(hops[-HOPS_MAX:]):
        address = read_ip(hop)
        if address is None:
            return told_by
        if address not in trusted:
            return address
        told_by = address
    return None


def hops_of(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[str]:
    """The hops that the headers of a request name, the nearest last.

    Args:
        headers: names in lower case.
        name: `x-forwarded-for`, or `forwarded` (RFC 7239).
    """
    wanted = name.encode()
    lines = [value.decode("latin-1") for header, value in headers if header == wanted]
    elements = [element for line in lines for element in line.split(",")]
    return elements if name == "x-forwarded-for" else [_for(element) for element in elements]


def _for(element: str) -> str:
    # An element is read by itself, from the right: a quote that a client left open must not swallow the next one.
    for pair in element.split(";"):
        key, _, value = pair.partition("=")
        if key.strip().lower() == "for":
            return value
    return ""

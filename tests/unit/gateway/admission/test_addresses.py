"""What counts as one address, which networks can be read, and whom a proxy speaks for."""

import ipaddress

import pytest

from gateway.admission.addresses import BadNetworks, Networks, behind_proxies, counted_as, hops_of, read_ip
from gateway.admission.config import NOT_PUBLIC

PROXY = ipaddress.ip_address("10.0.0.1")
TRUSTED = Networks("10.0.0.0/8 2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7:4711 ", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        *((junk, "None") for junk in ("", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[", "::1::", "a:b", "'", "\0")),
    ],
)
def test_text_of_an_address(text: str, read: str) -> None:
    """With a port, in brackets, mapped or with a zone it is the same address; what is none is None."""
    assert str(read_ip(text)) == read


def test_addresses_that_are_counted_as_one() -> None:
    """An IPv4 address by itself, an IPv6 one with its whole /64."""
    counted = {
        text: counted_as(ipaddress.ip_address(text))
        for text in ("192.0.2.7", "192.0.2.8", "2001:db8:0:1::1", "2001:db8:0:1:ffff::9", "2001:db8:0:2::1")
    }
    assert counted["2001:db8:0:1::1"] == counted["2001:db8:0:1:ffff::9"]
    assert len(set(counted.values())) == 4


def test_networks_that_are_not_public() -> None:
    """Loopback and private networks have no limits by default; everybody else has."""
    unlimited = Networks(NOT_PUBLIC)
    within = ("127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "fd00::1", "fe80::1")
    assert all(ipaddress.ip_address(text) in unlimited for text in within)
    outside = ("203.0.113.7", "172.32.0.1", "100.64.0.1", "2001:db8::1", "::2")
    assert not any(ipaddress.ip_address(text) in unlimited for text in outside)


@pytest.mark.parametrize("text", ["1.2.3.4/33", "10.0.0.1/8", "abc", "1.2.3"])
def test_networks_that_cannot_be_read(text: str) -> None:
    """A wrong one is named, also one with bits beyond its mask: which network was meant?"""
    with pytest.raises(BadNetworks, match=text.partition("/")[0]):
        Networks(f"127.0.0.1 {text}")


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1", "2.2.2.2", "203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1", "203.0.113.7", "10.0.0.9", "10.0.0.8"], "203.0.113.7"),
        (["203.0.113.7", "2001:db8:ffff::1"], "203.0.113.7"),
        (["10.0.0.9", "10.0.0.8"], "None"),
        ([], "None"),
        (["203.0.113.7", "junk"], "10.0.0.1"),
        (["203.0.113.7", "unknown", "10.0.0.8"], "10.0.0.8"),
        (["203.0.113.7", *["10.0.0.8"] * 40], "None"),
    ],
)
def test_client_behind_proxies(hops: list[str], client: str) -> None:
    """The nearest hop that is no trusted proxy; what the client itself wrote further away changes nothing."""
    assert str(behind_proxies(PROXY, hops, TRUSTED)) == client


def test_hops_of_x_forwarded_for() -> None:
    """Several lines are one list, in their order; other headers are not looked at."""
    headers = [(b"forwarded", b"for=9.9.9.9"), (b"x-forwarded-for", b"1.1.1.1, 2.2.2.2"), (b"x-forwarded-for", b"::1")]
    assert [str(read_ip(hop)) for hop in hops_of(headers, "x-forwarded-for")] == ["1.1.1.1", "2.2.2.2", "::1"]


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ('proto=https;For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("for=1.1.1.1, for=192.0.2.60", "192.0.2.60"),
        ('for="x, for="[2001:db8::1]"', "2001:db8::1"),
        ('for=", for=192.0.2.60', "192.0.2.60"),
        ("for=1.1.1.1, by=192.0.2.60", "None"),
        ("for=unknown", "None"),
    ],
)
def test_last_hop_of_forwarded(line: str, last: str) -> None:
    """The nearest element is read by itself, whatever quotes somebody opened before it."""
    assert str(read_ip(hops_of([(b"forwarded", line.encode())], "forwarded")[-1])) == last

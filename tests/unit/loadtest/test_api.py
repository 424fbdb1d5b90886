"""Addresses and answers of the HTTP side."""

import pytest

from loadtest.api import creator_share_bp, http_url


@pytest.mark.parametrize(
    ("ws_url", "origin"),
    [
        ("ws://127.0.0.1:8080/v1/ws", "http://127.0.0.1:8080"),
        ("wss://example.org/v1/ws", "https://example.org"),
        ("ws://[::1]:9/v1/ws", "http://[::1]:9"),
    ],
)
def test_origin_follows_from_the_socket_address(ws_url: str, origin: str) -> None:
    """Scheme, host and port carry over; the path does not."""
    assert http_url(ws_url) == origin


@pytest.mark.parametrize(("commission_bp", "share_bp"), [(5_000, 5_000), (3_333, 6_667), (0, 10_000), (None, 5_000)])
def test_creators_share_is_what_the_commission_leaves(commission_bp: int | None, share_bp: int) -> None:
    """Told in basis points; a server that does not tell is taken to share by half."""
    assert creator_share_bp({"commission_bp": commission_bp}) == share_bp

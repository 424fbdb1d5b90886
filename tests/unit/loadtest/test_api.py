"""Addresses and answers of the HTTP side."""

import pytest

from loadtest.api import http_url


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

"""Addresses and answers of the HTTP side."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loadtest.play.api import AUDIT_S_MAX, TRIES_MAX, Api, ApiError, AuditResult, creator_share_bp, http_url
from loadtest.tokens import TokenSigner


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


@contextlib.asynccontextmanager
async def answering(*answers: tuple[int, dict[str, Any]]) -> AsyncIterator[tuple[Api, list[str]]]:
    """A server that gives these answers one after the other and then the last one, and the requests that it heard."""
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status, body = answers[min(len(heard), len(answers) - 1)]
        heard.append(request.split(b"\r\n")[0].decode())
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Api(f"http://127.0.0.1:{port}", "token", TokenSigner(b"k" * 32)) as api:
        yield api, heard


def runs_already(retry_after_ms: int) -> tuple[int, dict[str, Any]]:
    """The answer while another audit runs."""
    return 429, {"code": "rate_limited", "retry_after_ms": retry_after_ms}


async def test_audit_of_somebody_else_is_waited_for() -> None:
    """However often the server says so, within the bound; what it then finds is the run's audit."""
    found = {"ok": False, "invariants": [{"id": "I1", "ok": False, "violations": ["a coin is missing"]}]}
    async with answering(*[runs_already(1)] * (2 * TRIES_MAX), (200, found)) as (api, heard):
        assert await api.audit() == AuditResult(ok=False, violations=["I1: a coin is missing"])
    assert heard == ["GET /v1/admin/audit HTTP/1.1"] * (2 * TRIES_MAX + 1)


async def test_audit_that_is_put_off_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nobody waits: the tries that every call has are made, and the server's word is told."""
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr("loadtest.play.api.asyncio.sleep", nap)
    async with answering(runs_already(int(AUDIT_S_MAX * 1000) + 1)) as (api, heard):
        with pytest.raises(ApiError, match=r"429 .*rate_limited"):
            await api.audit()
    assert len(heard) == TRIES_MAX
    assert max(naps) < AUDIT_S_MAX / 10


async def test_other_calls_do_not_wait_as_long_as_they_are_told() -> None:
    """A run is set up by many calls, each of which may be put off for a moment."""
    async with answering(runs_already(60_000), (200, {"balance_coins": 7})) as (api, heard):
        assert await api.balance("vera") == 7
    assert len(heard) == 2

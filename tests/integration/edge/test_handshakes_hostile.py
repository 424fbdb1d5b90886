"""Handshakes that keep no rule: each gets an answer or an end in time, and the gateway goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.edge.config import EdgeConfig
from gateway.http.config import HttpConfig
from tests.gateways import Gateway, running_gateway
from tests.integration.edge.raw import KEY_LINE, UPGRADE_LINES, Raw, Raws, head
from tests.waiting import back_off, until

HEAD_BYTES_MAX = 4_096
CONNECTIONS_MAX = 40


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with short deadlines and narrow bounds."""
    settings = {
        "http": HttpConfig(
            head_bytes_max=HEAD_BYTES_MAX, head_ms_max=300, body_ms_max=300, connections_max=CONNECTIONS_MAX
        ),
        "edge": EdgeConfig(hello_ms_max=300, close_ms_max=200),
    }
    async with running_gateway(valkey_url, database_url, settings=settings) as running:
        yield running
        await until(lambda: running.services.edge.connections == 0, 5)


def _without(*names: str) -> tuple[str, ...]:
    return tuple(line for line in UPGRADE_LINES if line.partition(":")[0] not in names)


CASES: dict[str, tuple[bytes, int]] = {
    "no_key": (head(*_without("Sec-WebSocket-Key")), 400),
    "two_keys": (head(*UPGRADE_LINES, KEY_LINE), 400),
    "short_key": (head(*_without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: c2hvcnQ="), 400),
    "no_version": (head(*_without("Sec-WebSocket-Version")), 400),
    "old_version": (head(*_without("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 8"), 400),
    "post": (head(*UPGRADE_LINES, "Content-Length: 0", request="POST /v1/ws HTTP/1.1"), 405),
    "body": (head(*UPGRADE_LINES, "Content-Length: 5") + b"hello", 400),
    "chunked": (head(*UPGRADE_LINES, "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "http_1_0": (head(*UPGRADE_LINES, request="GET /v1/ws HTTP/1.0"), 505),
    "other_path": (head(*UPGRADE_LINES, request="GET /v1/other HTTP/1.1"), 404),
    "path_that_is_no_url": (head(*UPGRADE_LINES, request="GET //[ HTTP/1.1"), 404),
    "two_origins": (head(*UPGRADE_LINES, "Origin: https://example.org", "Origin: https://example.com"), 400),
    "two_upgrades": (head(*UPGRADE_LINES, "Upgrade: h2c"), 404),
    "bad_protocol_list": (head(*UPGRADE_LINES, "Sec-WebSocket-Protocol: ,;=,"), 400),
    "bad_header_name": (head(*UPGRADE_LINES, "Bad Name: 1"), 400),
    "control_in_a_header": (head(*UPGRADE_LINES, "X-Odd: a\x01b"), 400),
    "no_http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    "head_too_large": (head(*UPGRADE_LINES, f"X-Long: {'x' * HEAD_BYTES_MAX}"), 431),
    "many_headers": (head(*UPGRADE_LINES, *(f"X-{number}: 1" for number in range(129))), 431),
}


@pytest.mark.parametrize("case", CASES)
async def test_handshake_that_breaks_a_rule_is_answered(gateway: Gateway, raws: Raws, case: str) -> None:
    """With the status that says which, and the connection ends."""
    content, status = CASES[case]
    raw = await raws.open()
    raw.write(content)
    assert await raw.status() == status
    if case != "two_upgrades":
        # That one asks for h2c at last, which a server may pass over: a plain request with an answer of its own.
        await raw.ended()
    raw.hang_up()
    await gateway.connect()


async def test_bytes_that_are_no_http_are_counted_and_not_logged(
    gateway: Gateway, raws: Raws, caplog: pytest.LogCaptureFixture
) -> None:
    """A line in the log for each would let anybody fill the disk."""
    for _ in range(3):
        raw = await raws.open()
        raw.write(CASES["no_http"][0])
        assert await raw.status() == 400
    assert 'giftwire_shed_total{reason="not_http"} 3.0' in gateway.services.shared_metrics.text().decode()
    assert caplog.records == []


@pytest.mark.parametrize("offset", [0, 1])
async def test_head_at_its_bound(gateway: Gateway, raws: Raws, offset: int) -> None:
    """A head of just so many bytes is taken; with one byte more it is not."""
    lines = (*UPGRADE_LINES[:1], "X-Long: ")
    # What counts is the path, and each line's name and value with the four bytes between and after them.
    used = len("/healthz") + sum(len(line) + 2 for line in lines)
    raw = await raws.open()
    raw.write(head(lines[0], lines[1] + "x" * (HEAD_BYTES_MAX - used + offset), request="GET /healthz HTTP/1.1"))
    assert await raw.status() == (431 if offset else 200)
    raw.hang_up()


async def test_head_that_never_ends_is_bounded_in_bytes(gateway: Gateway, raws: Raws) -> None:
    """A header's value that goes on and on is not kept until its end."""
    raw = await raws.open()
    raw.write(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * (HEAD_BYTES_MAX + 1))
    assert await raw.status() == 431
    await raw.ended()


async def test_head_that_comes_byte_by_byte_meets_its_deadline(gateway: Gateway, raws: Raws) -> None:
    """The deadline counts from the connection's beginning, however busy it is."""
    raw = await raws.open()
    drip = asyncio.create_task(_drip(raw, head(*UPGRADE_LINES)))
    assert await raw.status() == 408
    await raw.ended()
    drip.cancel()
    await asyncio.gather(drip, return_exceptions=True)


@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET", head(*UPGRADE_LINES)[:-2]])
async def test_handshake_that_stops_is_ended(gateway: Gateway, raws: Raws, said: bytes) -> None:
    """A connection that only connects, or says half of what it must, does not stay."""
    raw = await raws.open()
    raw.write(said)
    await raw.ended()


async def test_second_head_has_a_deadline_too(gateway: Gateway, raws: Raws) -> None:
    """uvicorn's timeout between requests ends with the first byte; ours begins with it."""
    raw = await raws.open()
    raw.write(head("Host: gateway", request="GET /healthz HTTP/1.1"))
    assert await raw.status() == 200
    raw.write(b"\r\n")
    await raw.ended()


async def test_upgraded_connection_that_says_no_hello_is_closed(gateway: Gateway, raws: Raws) -> None:
    """The handshake's deadline ends with it, and the hello's begins."""
    raw = await raws.upgraded()
    assert await raw.close_code() == 4502
    await raw.ended()


async def test_body_that_never_ends_is_ended(gateway: Gateway, raws: Raws) -> None:
    """Whether it is read, or was answered before it was."""
    token = gateway.token("ada")
    for authorization, status in ((f"Authorization: Bearer {token}", 408), ("X-None: 1", 401)):
        raw = await raws.open()
        lines = ("Host: gateway", authorization, "Content-Type: application/json", "Content-Length: 100")
        raw.write(head(*lines, request="POST /v1/gifts HTTP/1.1") + b"{")
        drip = asyncio.create_task(_drip(raw, b" " * 98))
        assert await raw.status() == status
        await raw.ended()
        drip.cancel()
        await asyncio.gather(drip, return_exceptions=True)


async def test_connections_over_the_bound_are_told_so(gateway: Gateway, raws: Raws) -> None:
    """They are counted before they say anything, end by themselves, and make room for others then."""
    crowd = [await raws.open() for _ in range(CONNECTIONS_MAX + 1)]
    assert await crowd[-1].status() == 503
    for raw in crowd:
        await raw.ended()
    text = gateway.services.shared_metrics.text().decode()
    assert 'giftwire_shed_total{reason="connections_max"} 1.0' in text
    await raws.close()
    async with asyncio.timeout(5):
        while await _handshake(raws) != 101:
            await back_off()


async def test_hostile_handshakes_leave_nothing(gateway: Gateway, raws: Raws) -> None:
    """No task and no connection stays of a crowd of them."""
    before = len(asyncio.all_tasks())
    for _ in range(5):
        for content, _ in CASES.values():
            raw = await raws.open()
            raw.write(content)
            await raw.status()
            raw.hang_up()
    await until(lambda: gateway.services.edge.connections == 0, 5)
    await until(lambda: len(asyncio.all_tasks()) <= before, 5)


async def _handshake(raws: Raws) -> int | None:
    raw = await raws.open()
    raw.write(head(*UPGRADE_LINES))
    return await raw.status()


async def _drip(raw: Raw, content: bytes) -> None:
    for byte in content:
        raw.write(bytes((byte,)))
        await back_off()

"""Limits by address and by account at their bounds: who passes one is refused and counted, and moves nobody else."""

import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from gateway.admission.config import AdmissionConfig
from gateway.http.config import HttpConfig
from gateway.wire.codec import SUBPROTOCOL_JSON
from tests.gateways import Gateway, Talker, fresh_id, running_gateway
from tests.integration.edge.raw import UPGRADE_LINES, Raw, Raws, head
from tests.waiting import until

ONE, OTHER = "127.0.0.2", "127.0.0.3"
"""Two addresses of this machine."""
ANSWER_S_MAX = 10.0
GET = head("Host: gateway", request="GET /healthz HTTP/1.1")
SLOW = 1
"""A rate of one a second: no second passes between the requests of a test that counts."""


@contextlib.asynccontextmanager
async def limited(
    valkey_url: str, database_url: str, limits: dict[str, Any], http: HttpConfig | None = None
) -> AsyncIterator[tuple[Gateway, Raws]]:
    """A gateway with these limits, which hold for everybody, and raw connections to it."""
    admission = AdmissionConfig(**{"unlimited": "", **limits})
    sections = {"admission": admission, "http": http or HttpConfig()}
    async with running_gateway(valkey_url, database_url, relay=False, settings=sections) as gateway:
        await gateway.make_room()
        raws = Raws(gateway.port)
        yield gateway, raws
        await raws.close()


@contextlib.asynccontextmanager
async def http(gateway: Gateway, host: str = ONE) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client at this address."""
    transport = httpx.AsyncHTTPTransport(local_address=host)
    async with httpx.AsyncClient(base_url=gateway.url, transport=transport) as client:
        yield client


async def talker(gateway: Gateway, host: str, *, headers: dict[str, str] | None = None) -> Talker:
    """A socket from this address that has not said hello."""
    socket = await connect(
        gateway.ws_url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        proxy=None,
        local_addr=(host, 0),
        additional_headers=headers,
    )
    return gateway.adopt(socket)


async def answered(raw: Raw) -> int | None:
    """The status that a request on this connection gets."""
    raw.write(GET)
    return await raw.status()


def shed(gateway: Gateway, reason: str) -> float:
    """How often something was shed for this reason."""
    return _counter(gateway, f'giftwire_shed_total{{reason="{reason}"}}')


def _counter(gateway: Gateway, name: str) -> float:
    lines = gateway.services.shared_metrics.text().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


async def test_connections_of_an_address_at_the_bound(valkey_url: str, database_url: str) -> None:
    """HTTP or WebSocket, as many as may are open; one more gets 429; when one has ended there is a place again."""
    async with limited(valkey_url, database_url, {"address_connections_max": 3}) as (gateway, raws):
        first = await raws.open(ONE)
        assert await answered(first) == 200
        sockets = [await raws.upgraded(host=ONE) for _ in range(2)]
        assert await (await raws.open(ONE)).status() == 429
        assert await answered(await raws.open(OTHER)) == 200
        assert (shed(gateway, "address_connections"), shed(gateway, "address_connects")) == (1, 0)
        count = gateway.services.admission.counted(ONE)
        assert count is not None
        for ends in (sockets[0], first):
            ends.hang_up()
            await until(lambda: count.open == 2, ANSWER_S_MAX)
            assert await answered(await raws.open(ONE)) == 200
            assert await (await raws.open(ONE)).status() == 429
        # The places came from those two, and not from the other WebSocket, which has not said hello yet.
        assert gateway.services.edge.connections == 1


async def test_new_connections_of_an_address_faster_than_they_may(valkey_url: str, database_url: str) -> None:
    """A burst is taken, also where each ends at once; then it has to wait, and others have not."""
    limits = {"address_connects_burst_max": 3, "address_connects_per_s_max": SLOW}
    async with limited(valkey_url, database_url, limits) as (gateway, raws):
        for _ in range(3):
            raw = await raws.open(ONE)
            assert await answered(raw) == 200
            await raw.let_go()
        refused = await raws.open(ONE)
        assert await refused.headers() >= {"HTTP/1.1 429 Too Many Requests", "retry-after: 1", "connection: close"}
        await refused.ended()
        assert await answered(await raws.open(OTHER)) == 200
        assert shed(gateway, "address_connects") == 1


async def test_flood_of_refused_connections_fills_nothing(valkey_url: str, database_url: str) -> None:
    """Those that are refused for their address take no place of the process's bound of connections."""
    few = HttpConfig(connections_max=2)
    async with limited(valkey_url, database_url, {"address_connections_max": 1}, few) as (gateway, raws):
        assert await answered(await raws.open(ONE)) == 200
        for _ in range(20):
            assert await (await raws.open(ONE)).status() == 429
        assert await answered(await raws.open(OTHER)) == 200
        await until(lambda: gateway.services.admission.lingering == 0, ANSWER_S_MAX)
        assert (shed(gateway, "address_connections"), shed(gateway, "connections_max")) == (20, 0)


async def test_hellos_of_an_address_faster_than_they_may(valkey_url: str, database_url: str) -> None:
    """Those above the burst are closed with 4004 before their token is looked at; others are welcomed."""
    limits = {"address_requests_burst_max": 3, "address_requests_per_s_max": SLOW}
    async with limited(valkey_url, database_url, limits) as (gateway, _):
        for number in range(3):
            greeted = await talker(gateway, ONE)
            assert (await greeted.ask(type="hello", token=gateway.token(f"viewer{number}")))["type"] == "welcome"
        refused = await talker(gateway, ONE)
        await refused.say(type="hello", ref="h", token=gateway.token("viewer3"))
        assert await refused.closed() == 4004
        other = await talker(gateway, OTHER)
        assert (await other.ask(type="hello", token=gateway.token("viewer3")))["type"] == "welcome"
        assert shed(gateway, "address_requests") == 1


async def test_guesses_of_tokens_are_slowed(valkey_url: str, database_url: str) -> None:
    """A wrong token costs as much as many requests, over WebSocket and HTTP; nobody at another address notices."""
    limits = {"address_requests_burst_max": 40, "address_requests_per_s_max": SLOW, "bad_token_requests": 20}
    async with limited(valkey_url, database_url, limits) as (gateway, _), http(gateway) as client:
        guess = await talker(gateway, ONE)
        await guess.say(type="hello", ref="h", token="guess")
        assert await guess.closed() == 4500
        assert (await client.get("/v1/wallet", headers={"authorization": "Bearer guess"})).status_code == 401
        again = await client.get("/v1/wallet", headers={"authorization": f"Bearer {gateway.token('ada')}"})
        assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
        third = await talker(gateway, ONE)
        await third.say(type="hello", ref="h", token="guess")
        assert await third.closed() == 4004
        ways = {way: _counter(gateway, f'giftwire_bad_tokens_total{{way="{way}"}}') for way in ("websocket", "http")}
        assert ways == {"websocket": 1, "http": 1}
        other = await talker(gateway, OTHER)
        assert (await other.ask(type="hello", token=gateway.token("ada")))["type"] == "welcome"


async def test_requests_of_an_address_faster_than_they_may(valkey_url: str, database_url: str) -> None:
    """429 with a problem document and when to come back; what is for everybody still answers, and others do."""
    limits = {"address_requests_burst_max": 2, "address_requests_per_s_max": SLOW}
    async with limited(valkey_url, database_url, limits) as (gateway, _), http(gateway) as client:
        for _ in range(2):
            assert (await client.post("/v1/demo/guest")).status_code == 200
        refused = await client.post("/v1/demo/guest")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "rate_limited"
        assert 0 < refused.json()["retry_after_ms"] <= 1_000
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/v1/catalog")).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
        async with http(gateway, OTHER) as other:
            assert (await other.post("/v1/demo/guest")).status_code == 200
        assert shed(gateway, "address_requests") == 1


async def test_sessions_of_an_account_at_the_bound(valkey_url: str, database_url: str) -> None:
    """One more closes the oldest with 4503; the others, and the same name in another role, go on."""
    async with limited(valkey_url, database_url, {"account_sessions_max": 2}) as (gateway, _):
        overlay = await gateway.greet("ada", "overlay")
        first, second = await gateway.greet("ada"), await gateway.greet("ada")
        assert shed(gateway, "account_sessions") == 0
        third = await gateway.greet("ada")
        assert await first.closed() == 4503
        for one in (second, third, overlay):
            assert (await one.ask(type="ping"))["type"] == "pong"
        assert shed(gateway, "account_sessions") == 1
        await second.close()
        await until(lambda: len(gateway.services.accounts.sessions("viewer", "ada")) == 1, ANSWER_S_MAX)
        fourth = await gateway.greet("ada")
        assert (await third.ask(type="ping"))["type"] == (await fourth.ask(type="ping"))["type"] == "pong"


async def test_commands_of_an_account_over_all_its_ways(valkey_url: str, database_url: str) -> None:
    """Two sockets and HTTP share one allowance, of which each hello takes its part; others have their own."""
    limits = {"account_commands_burst_max": 4, "account_commands_per_s_max": SLOW}
    async with limited(valkey_url, database_url, limits) as (gateway, _), http(gateway) as client:
        first, second = await gateway.greet("ada"), await gateway.greet("ada")
        assert (await first.ask(type="ping"))["type"] == "pong"
        assert (await second.ask(type="ping"))["type"] == "pong"
        refused = await second.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
        assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
        assert 0 < refused["retry_after_ms"] <= 1_000
        gift = {"id": fresh_id(), "room": "demo", "gift": "rose"}
        answer = await client.post("/v1/gifts", json=gift, headers={"authorization": f"Bearer {gateway.token('ada')}"})
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        third = await gateway.connect()
        await third.say(type="hello", ref="h", token=gateway.token("ada"))
        assert await third.closed() == 4004
        other = await gateway.greet("bob")
        assert (await other.ask(type="ping"))["type"] == "pong"
        assert shed(gateway, "account_rate") == 3


async def test_loopback_has_no_limits_by_address_by_default(gateway: Gateway, raws: Raws) -> None:
    """Whoever tries the server on their own machine opens as many sockets as they like, and none of it is counted."""
    await raws.upgraded(host=ONE)
    await gateway.greet("ada")
    assert len(gateway.services.admission.addresses) == 0


@pytest.mark.parametrize(
    ("word", "header", "honest", "lying"),
    [
        ("x-forwarded-for", "X-Forwarded-For", "203.0.113.7", "9.9.9.9, 203.0.113.7"),
        ("forwarded", "Forwarded", "for=203.0.113.7", 'for=9.9.9.9, for="203.0.113.7:4711"'),
    ],
)
async def test_clients_behind_a_trusted_proxy(
    valkey_url: str, database_url: str, word: str, header: str, honest: str, lying: str
) -> None:
    """Each is counted by the address that the proxy adds, whatever it wrote itself; the proxy is not counted."""
    limits = {"trusted_proxies": ONE, "proxy_word": word, "address_connections_max": 1}
    async with limited(valkey_url, database_url, limits) as (gateway, raws):
        await talker(gateway, ONE, headers={header: honest})
        for line in (honest, lying):
            refused = await raws.open(ONE)
            refused.write(head(*UPGRADE_LINES, f"{header}: {line}"))
            assert await refused.status() == 429
        await talker(gateway, ONE, headers={header: honest.replace("203", "198")})
        # Nobody else is believed: this one is counted by its own address.
        await talker(gateway, OTHER, headers={header: "198.51.100.1" if word != "forwarded" else "for=198.51.100.1"})
        liar = await raws.open(OTHER)
        assert await liar.status() == 429
        assert len(gateway.services.admission.addresses) == 3


async def test_requests_behind_a_trusted_proxy(valkey_url: str, database_url: str) -> None:
    """One connection of the proxy carries the requests of many, each with its own allowance."""
    limits = {"trusted_proxies": ONE, "address_requests_burst_max": 1, "address_requests_per_s_max": SLOW}
    async with limited(valkey_url, database_url, limits) as (gateway, _), http(gateway) as client:
        for number, status in ((1, 200), (2, 200), (1, 429), (2, 429), (3, 200)):
            answer = await client.post("/v1/demo/guest", headers={"x-forwarded-for": f"203.0.113.{number}"})
            assert answer.status_code == status
        # A proxy that speaks for itself, as when it looks whether we are well.
        assert [(await client.post("/v1/demo/guest")).status_code for _ in range(3)] == [200] * 3


async def test_connections_behind_the_proxy_protocol(valkey_url: str, database_url: str) -> None:
    """The header in front decides, in one piece or in many; without one a trusted proxy is refused."""
    limits = {"trusted_proxies": ONE, "proxy_word": "proxy-protocol", "address_connections_max": 1}
    source = bytes((203, 0, 113, 8))
    headers = {
        b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n": 200,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + source + source + struct.pack(">HH", 1, 2): 200,
        b"PROXY UNKNOWN\r\n": 200,
        b"PROXY TCP4 203.0.113.7 127.0.0.1 4712 80\r\n": 429,
        b"": 400,
    }
    async with limited(valkey_url, database_url, limits) as (gateway, raws):
        for header, status in headers.items():
            raw = await raws.open(ONE)
            for byte in header:
                raw.write(bytes((byte,)))
            assert await answered(raw) == status
        # From anybody else it is no HTTP.
        stranger = await raws.open(OTHER)
        stranger.write(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n")
        assert await answered(stranger) == 400
        assert len(gateway.services.admission.addresses) == 3

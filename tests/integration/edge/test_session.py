"""A session over a real socket: hello, rooms, gifts, refusals, and who is told what."""

import asyncio
import json

import msgspec
import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.edge.config import EdgeConfig
from gateway.rooms.broker import BrokerUnavailable
from gateway.rooms.relay import Relay
from gateway.wire.codec import SUBPROTOCOL_MSGPACK
from gateway.wire.messages import TopEntry
from ledger.ids import parse_id
from ledger.model import HoldOrder, ViewerId
from tests.gateways import Gateway, Message, fresh_id, running_gateway
from tests.integration.gateway.rooms import opened_broker
from tests.servers import no_subscribers
from tests.waiting import back_off


async def test_hello_is_answered_with_the_wallet(gateway: Gateway) -> None:
    """A viewer learns who it is, what it may do and what it holds."""
    await gateway.grant("ada", 70)
    talker = await gateway.connect()
    welcome = await talker.ask(type="hello", token=gateway.token("ada"))
    assert (welcome["type"], welcome["user"], welcome["role"], welcome["balance_coins"]) == (
        *("welcome", "ada", "viewer", 70),
    )
    assert welcome["limits"]["message_bytes_max"] == 16_384


async def test_client_without_subprotocol_speaks_json(gateway: Gateway) -> None:
    """JSON is the default."""
    talker = await gateway.connect(subprotocol=None)
    assert (await talker.ask(type="hello", token=gateway.token("ada")))["type"] == "welcome"


async def test_client_that_asks_for_msgpack_gets_binary_frames(gateway: Gateway) -> None:
    """The same messages in the other encoding."""
    async with connect(gateway.ws_url, subprotocols=[SUBPROTOCOL_MSGPACK], proxy=None) as socket:  # type: ignore[list-item]
        await socket.send(msgspec.msgpack.encode({"type": "hello", "ref": "a", "token": gateway.token("ada")}))
        answer = await socket.recv()
        assert isinstance(answer, bytes)
        assert msgspec.msgpack.decode(answer)["type"] == "welcome"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"type":"hello","ref":"a","token":"nonsense"}', 4500),
        ('{"type":"ping","ref":"a"}', 4502),
        ("nonsense", 4502),
    ],
    ids=["bad token", "no hello", "no message"],
)
async def test_connection_that_begins_wrongly_is_closed(gateway: Gateway, first: str, code: int) -> None:
    """Before the hello there is no patience, and the code says not to come back."""
    talker = await gateway.connect()
    await talker.socket.send(first)
    assert await talker.closed() == code


async def test_connection_that_never_says_hello_is_closed(valkey_url: str, database_url: str) -> None:
    """Sockets without a user are not kept."""
    settings = {"edge": EdgeConfig(hello_ms_max=50)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        assert await (await gateway.connect()).closed() == 4502


async def test_message_over_the_bound_closes_with_1009(gateway: Gateway) -> None:
    """16 KiB pass, one byte more does not."""
    talker = await gateway.greet("ada")
    ping = json.dumps({"type": "ping", "ref": "p"})
    await talker.socket.send(ping + " " * (16_384 - len(ping)))
    assert (await talker.until(lambda told: told.get("ref") == "p"))["type"] == "pong"
    await talker.socket.send(ping + " " * (16_385 - len(ping)))
    assert await talker.closed() == 1009


async def test_fragments_are_one_message(gateway: Gateway) -> None:
    """A client may cut its message into frames."""
    talker = await gateway.greet("ada")
    await talker.socket.send(iter(['{"type":"pi', 'ng","re', 'f":"cut"}']))
    assert (await talker.until(lambda told: told.get("ref") == "cut"))["type"] == "pong"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "dance", "ref": "x"}, "$.type"),
        ({"type": "join", "ref": "x", "room": "no spaces"}, "$.room"),
        ({"type": "gift", "ref": "x", "id": "1", "gift": "rose", "room": "demo"}, "$.id"),
        ({"type": "gift", "ref": "x", "id": "ID", "gift": "rose", "room": "demo", "count": 0}, "$.count"),
        ({"type": "gift", "ref": "x", "id": "ID", "gift": "rose"}, "$.room"),
        ({"type": "gift", "ref": "x", "id": "ID", "gift": "rose", "room": "demo", "video": "v"}, "$.room"),
    ],
)
async def test_command_that_is_not_understood_is_refused_and_the_socket_stays(
    gateway: Gateway, message: Message, field: str
) -> None:
    """The refusal names the field, repeats the ref, and the next command is carried out."""
    talker = await gateway.greet("ada")
    if message.get("id") == "ID":
        message = {**message, "id": fresh_id()}
    await talker.say(**message)
    refused = await talker.until(lambda told: told.get("ref") == "x")
    assert (refused["type"], refused["code"], refused["field"]) == ("refused", "bad_request", field)
    assert (await talker.ask(type="ping"))["type"] == "pong"


async def test_gift_is_paid_and_everybody_sees_it(gateway: Gateway) -> None:
    """The sender pays, viewers and overlay see it, another session of the sender learns the balance."""
    await gateway.grant("ada", 1_000)
    ada, second, bob = await gateway.enter("ada"), await gateway.greet("ada"), await gateway.enter("bob")
    overlay = await gateway.enter("cleo", "overlay")
    gift_id = fresh_id()
    accepted = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose", count=3, message="hi")
    assert (accepted["type"], accepted["coins"], accepted["balance_coins"], accepted["replay"]) == (
        *("accepted", 3, 997, False),
    )
    shown = await overlay.until_gift(lambda event: event.get("id") == gift_id)
    assert (shown["sender"]["id"], shown["to"], shown["gift"], shown["price_coins"]) == ("ada", "cleo", "rose", 1)
    assert (shown["count"], shown["coins"], shown["message"]) == (3, 3, "hi")
    seen = await bob.until_gift(lambda event: event["gift"] == "rose")
    assert (seen["count"], seen["coins"], "id" in seen) == (3, 3, False)
    # The grant's own balance may still come late, to both.
    await second.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 997)
    assert all(told["balance_coins"] != 997 for told in ada.heard if told["type"] == "balance")


async def test_wallet_is_told_of_holds(gateway: Gateway) -> None:
    """A session hears of the balance when coins are put aside, when some are taken, and when a hold expires."""
    await gateway.grant("ada", 1_000)
    ada, holds, viewer = await gateway.greet("ada"), gateway.services.office.holds, ViewerId("ada")
    order = HoldOrder(parse_id(fresh_id()), viewer, 400, 600_000, "order 7")
    await holds.begin(order)
    await ada.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 600)
    await holds.settle(order.id, viewer, 150)
    await ada.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 850)
    await holds.begin(HoldOrder(parse_id(fresh_id()), viewer, 800, 1, "order 8"))
    partitions = [partition for partition, _ in gateway.services.ledger.keys.all()]
    await gateway.grant("ada", 1)
    while await gateway.services.ledger.balance("ada") < 851:
        await holds.expire(partitions)
        await back_off()
    await ada.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 851)


async def test_wallet_is_told_again_after_what_was_missed(valkey_url: str, database_url: str) -> None:
    """Coins come while the gateway is cut off from the news: the socket stays, and is told once the gateway is back."""
    async with (
        running_gateway(valkey_url, database_url, relay=False) as gateway,
        opened_broker(valkey_url) as broker,
    ):
        relay = Relay(gateway.services.ledger, broker, gateway.services.config.rooms)
        ada, ben = await gateway.greet("ada"), await gateway.greet("ben")
        await gateway.grant("ada", 1_000)
        await relay.catch_up()
        await ada.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 1_000)
        async with no_subscribers(valkey_url):
            await gateway.grant("ada", 500)
            await relay.catch_up()
        await ada.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 1_500)
        assert [told["balance_coins"] for told in ada.heard if told["type"] == "balance"] == [1_000, 1_500]
        await ben.until(lambda told: told["type"] == "balance" and told["balance_coins"] == 0)


async def test_gift_told_twice_is_paid_once(gateway: Gateway) -> None:
    """The same id with the same content is a replay; with other content a conflict."""
    await gateway.grant("ada", 10)
    ada, overlay = await gateway.enter("ada"), await gateway.enter("cleo", "overlay")
    gift_id = fresh_id()
    first = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose")
    again = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose")
    other = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose", count=2)
    assert (first["balance_coins"], again["balance_coins"], again["coins"], again["replay"]) == (9, 9, 1, True)
    assert (other["type"], other["code"]) == ("refused", "id_conflict")
    last = await ada.ask(type="gift", id=fresh_id(), room="demo", gift="heart")
    assert last["balance_coins"] == 8
    await overlay.until_gift(lambda event: event["gift"] == "heart")
    assert [event["gift"] for event in overlay.gifts] == ["rose", "heart"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"gift": "nothing", "room": "demo"}, "unknown_gift"),
        ({"gift": "rose", "room": "nowhere"}, "unknown_room"),
        ({"gift": "rose", "video": "nothing"}, "unknown_room"),
        ({"gift": "rose", "room": "demo", "to": "bob"}, "unknown_receiver"),
        ({"gift": "diamond", "room": "demo"}, "insufficient_coins"),
    ],
)
async def test_gift_that_cannot_be_given_is_refused_with_its_code(gateway: Gateway, wish: Message, code: str) -> None:
    """Nothing is charged, and the code says why."""
    await gateway.grant("ada", 1)
    ada = await gateway.enter("ada")
    refused = await ada.ask(type="gift", id=fresh_id(), **wish)
    assert (refused["type"], refused["code"]) == ("refused", code)
    assert await gateway.services.ledger.balance("ada") == 1
    if code == "insufficient_coins":
        assert refused["balance_coins"] == 1


@pytest.mark.parametrize("role", ["overlay", "creator", "operator"])
async def test_only_viewers_send_gifts(gateway: Gateway, role: str) -> None:
    """A token that can be read off a screen must not spend."""
    await gateway.grant("cleo", 10)
    talker = await gateway.enter("cleo", role)  # type: ignore[arg-type]
    refused = await talker.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
    assert (refused["type"], refused["code"]) == ("refused", "not_allowed")


async def test_agency_has_no_business_here(gateway: Gateway) -> None:
    """An agency of a creator's name must not see that creator's gifts: its token is for HTTP alone."""
    talker = await gateway.connect()
    await talker.say(type="hello", ref="1", token=gateway.token("cleo", "agency"))
    assert await talker.closed() == 4504


async def test_combo_counts_up_and_ends_once(gateway: Gateway, valkey_url: str, database_url: str) -> None:
    """Each gift of a combo counts; its end comes by itself, once, to overlay and viewers."""
    await gateway.grant("ada", 10)
    ada, bob = await gateway.enter("ada"), await gateway.enter("bob")
    overlay = await gateway.enter("cleo", "overlay")
    counts = [
        (await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose", combo=True))["combo"]["count"]
        for _ in range(3)
    ]
    assert counts == [1, 2, 3]
    end = await overlay.until_gift(lambda event: event.get("combo", {}).get("state") == "end")
    assert (end["count"], end["coins"], end["combo"]["count"], end["combo"]["coins"]) == (0, 0, 3, 3)
    assert [event["combo"]["state"] for event in overlay.gifts] == ["start", "update", "update", "end"]
    await bob.until_gift(lambda event: event.get("combo", {}).get("state") == "end")
    assert sum(event["count"] for event in bob.gifts) == 3
    assert sum(event["combo"]["state"] == "end" for event in bob.gifts) == 1


async def test_anonymous_gift_names_nobody(gateway: Gateway) -> None:
    """Neither viewers nor the creator learn who it was."""
    await gateway.grant("ada", 10)
    ada, overlay = await gateway.enter("ada"), await gateway.enter("cleo", "overlay")
    await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose", anonymous=True)
    assert (await overlay.until_gift(lambda event: True))["sender"] is None


async def test_overlay_that_was_away_is_given_what_it_missed(gateway: Gateway) -> None:
    """Resume by (epoch, seq): every gift once, in order, and nothing twice."""
    await gateway.grant("ada", 100)
    ada, overlay = await gateway.enter("ada"), await gateway.enter("cleo", "overlay")
    first = fresh_id()
    await ada.ask(type="gift", id=first, room="demo", gift="rose")
    told = await overlay.until(
        lambda message: message["type"] == "events" and any("id" in e for e in message["events"])
    )
    position = {"epoch": told["epoch"], "seq": told["seq"]}
    await overlay.close()
    missed = [fresh_id() for _ in range(5)]
    for gift_id in missed:
        await ada.ask(type="gift", id=gift_id, room="demo", gift="heart")
    back = await gateway.enter("cleo", "overlay", since=position)
    later = fresh_id()
    await ada.ask(type="gift", id=later, room="demo", gift="rose")
    await back.until_gift(lambda event: event.get("id") == later)
    assert [event["id"] for event in back.gifts] == [*missed, later]
    joined = next(message for message in back.heard if message["type"] == "joined")
    assert joined["recovered"] is True


async def test_session_that_asks_for_a_history_of_another_epoch_is_told_so(gateway: Gateway) -> None:
    """No silent gap: `recovered` is false when the server cannot prove that nothing is missing."""
    await gateway.grant("ada", 100)
    ada = await gateway.enter("ada")
    await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
    overlay = await gateway.greet("cleo", "overlay")
    joined = await overlay.ask(type="join", room="demo", since={"epoch": 999, "seq": 0})
    assert joined["recovered"] is False


async def test_token_for_one_room_opens_no_other(gateway: Gateway) -> None:
    """Neither joining nor giving elsewhere."""
    await gateway.make_room("other")
    talker = await gateway.connect()
    await talker.ask(type="hello", token=gateway.token("ada", room="demo"))
    assert (await talker.ask(type="join", room="other"))["code"] == "not_allowed"
    assert (await talker.ask(type="gift", id=fresh_id(), room="other", gift="rose"))["code"] == "not_allowed"
    assert (await talker.ask(type="join", room="demo"))["type"] == "joined"


async def test_room_that_does_not_exist_is_refused(gateway: Gateway) -> None:
    """And the connection may still enter another."""
    ada = await gateway.greet("ada")
    assert (await ada.ask(type="join", room="nowhere"))["code"] == "unknown_room"
    assert (await ada.ask(type="join", room="demo"))["type"] == "joined"


async def test_session_that_left_hears_no_more(gateway: Gateway) -> None:
    """`left` is the last that is heard of a room."""
    await gateway.grant("ada", 10)
    ada, bob = await gateway.enter("ada"), await gateway.enter("bob")
    assert (await bob.ask(type="leave", room="demo"))["type"] == "left"
    await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
    await ada.until_gift(lambda event: event["gift"] == "rose")
    assert bob.gifts == []


async def test_commands_over_the_rate_are_refused_and_may_be_tried_again(valkey_url: str, database_url: str) -> None:
    """A flood is answered with when to come back, and the connection stays."""
    settings = {"edge": EdgeConfig(commands_per_s_max=1, commands_burst_max=3)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        talker = await gateway.greet("ada")
        answers = [await talker.ask(type="ping") for _ in range(4)]
        assert [answer["type"] for answer in answers] == ["pong", "pong", "pong", "refused"]
        assert answers[-1]["code"] == "rate_limited"
        assert 0 < answers[-1]["retry_after_ms"] <= 1_000


async def test_connections_over_the_bound_are_refused_at_the_handshake(valkey_url: str, database_url: str) -> None:
    """The bound is a number, and one more gets 503."""
    settings = {"edge": EdgeConfig(sessions_max=2)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.connect()
        await gateway.connect()
        with pytest.raises(InvalidStatus) as refused:
            await gateway.connect()
        assert refused.value.response.status_code == 503


async def test_drain_sends_everybody_away_with_a_notice(gateway: Gateway) -> None:
    """4000 says to come back; the notice says why."""
    ada = await gateway.enter("ada")
    await asyncio.wait_for(gateway.app.drain(), 5)
    assert await ada.closed() == 4000
    assert any(told["type"] == "notice" and told["code"] == "drain" for told in ada.heard)


async def test_commands_that_follow_the_hello_at_once_are_carried_out(gateway: Gateway) -> None:
    """A client need not wait for the welcome: what it says meanwhile is answered after it, in order."""
    talker = await gateway.connect()
    await talker.say(type="hello", ref="h", token=gateway.token("ada"))
    await talker.say(type="ping", ref="p")
    await talker.say(type="join", ref="j", room="demo")
    await talker.until(lambda told: told.get("ref") == "j")
    assert [told["type"] for told in talker.heard[:3]] == ["welcome", "pong", "joined"]


async def test_only_the_rooms_own_creator_is_told_every_gift(gateway: Gateway) -> None:
    """Another creator is a viewer here; an overlay of another creator has no business here."""
    await gateway.make_room("other", creator="otto")
    await gateway.grant("ada", 10)
    ada, otto = await gateway.enter("ada"), await gateway.enter("otto", "creator")
    cleo, operator = await gateway.enter("cleo", "creator"), await gateway.enter("op", "operator")
    foreign = await gateway.greet("otto", "overlay")
    assert (await foreign.ask(type="join", room="demo"))["code"] == "not_allowed"
    gift_id = fresh_id()
    await ada.ask(type="gift", id=gift_id, room="demo", gift="rose")
    for talker in (cleo, operator):
        await talker.until_gift(lambda event: event.get("id") == gift_id)
    seen = await otto.until_gift(lambda event: event["gift"] == "rose")
    assert "id" not in seen


async def test_top_list_is_asked_for_until_it_comes(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away for a moment fails no task: the list is wanted still, and is shown when it comes."""
    broker, asked = gateway.services.broker, 0
    read = broker.board

    async def away_at_first(room: str, limit: int | None = None) -> list[TopEntry]:
        nonlocal asked
        asked += 1
        if asked <= 2:
            raise BrokerUnavailable("Redis is away")
        return await read(room, limit)

    watcher, ada = await gateway.enter("wes"), await gateway.enter("ada")
    await gateway.grant("ada", 10)
    monkeypatch.setattr(broker, "board", away_at_first)
    with structlog.testing.capture_logs() as logs:
        gift = {"type": "gift", "id": fresh_id(), "room": "demo", "gift": "rose"}
        assert (await ada.ask(**gift))["type"] == "accepted"
        await watcher.until(
            lambda told: any(
                event["kind"] == "leaderboard" and [entry["user"] for entry in event["entries"]] == ["ada"]
                for event in told.get("events", ())
            )
        )
    assert [log["event"] for log in logs if log["log_level"] in ("warning", "error", "critical")] == [
        *("board_not_read", "board_not_read"),
    ]

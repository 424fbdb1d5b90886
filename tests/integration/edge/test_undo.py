"""A dear gift over a real socket: shown at once, then taken back by its sender, or paid when the time is over."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.edge.config import EdgeConfig
from gateway.room.config import RoomConfig
from ledger.model import ViewerId
from tests.gateways import Gateway, Message, Talker, fresh_id, running_gateway
from tests.servers import Valkey
from tests.waiting import until, until_true

DEAR, DEAR_COINS = "champagne", 299
GRANTED = 1_000
WINDOW_MS = 60_000
SETTLE_S_MAX = 10.0


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with a room where what costs 299 coins can be undone for a minute; Ada has coins."""
    async with running_gateway(valkey_url, database_url, settings=windows(WINDOW_MS)) as running:
        await running.make_room()
        await running.grant("ada", GRANTED)
        yield running


def windows(window_ms: int, coins_min: int = DEAR_COINS) -> dict[str, object]:
    """Settings with which a gift of so many coins can be undone for so long."""
    return {"rooms": RoomConfig(undo_coins_min=coins_min, undo_window_ms=window_ms)}


async def give(ada: Talker, gift: str = DEAR, **more: object) -> Message:
    """A gift in the room, with its answer."""
    return await ada.ask(type="gift", id=fresh_id(), room="demo", gift=gift, **more)


def undone(talker: Talker) -> list[Message]:
    """The `undone` events that somebody was told, in order."""
    return [event for event in events(talker) if event["kind"] == "undone"]


def events(talker: Talker) -> list[Message]:
    """All events that somebody was told, in order."""
    return [event for message in talker.heard if message["type"] == "events" for event in message["events"]]


async def position_of(talker: Talker, gift: str) -> Message:
    """Where somebody stands who was told of such a gift."""
    told = await talker.until(lambda message: any(event.get("gift") == gift for event in message.get("events", ())))
    return {"epoch": told["epoch"], "seq": told["seq"]}


async def until_undone(*talkers: Talker) -> None:
    """Wait until each was told of an undone gift."""
    for talker in talkers:
        await talker.until(lambda told: any(event["kind"] == "undone" for event in told.get("events", ())))


async def settled(gateway: Gateway, gifts: int) -> None:
    """Wait until so many gifts were paid because their time was over."""
    partitions = [partition for partition, _ in gateway.services.ledger.keys.all()]
    found = 0

    async def done() -> bool:
        nonlocal found
        found += await gateway.services.office.undos.settle_due(partitions)
        return found >= gifts

    await until_true(done, SETTLE_S_MAX)


async def earned(gateway: Gateway) -> int:
    """What the room's creator has earned, live."""
    return await gateway.services.ledger.live_earnings("cleo")


async def test_welcome_tells_which_gifts_can_be_undone(gateway: Gateway) -> None:
    """From how many coins on, and for how long."""
    talker = await gateway.connect()
    limits = (await talker.ask(type="hello", token=gateway.token("ada")))["limits"]
    assert (limits["undo_coins_min"], limits["undo_window_ms"]) == (DEAR_COINS, WINDOW_MS)


async def test_welcome_where_no_gift_can_be_undone(valkey_url: str, database_url: str) -> None:
    """Nothing is said of windows, and no gift has one."""
    async with running_gateway(valkey_url, database_url, settings=windows(WINDOW_MS, 0)) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", GRANTED)
        talker = await gateway.connect()
        limits = (await talker.ask(type="hello", token=gateway.token("ada")))["limits"]
        assert limits.keys().isdisjoint({"undo_coins_min", "undo_window_ms"})
        accepted = await give(await gateway.enter("ada"))
        assert "undo_until_ms" not in accepted
        assert await earned(gateway) == DEAR_COINS * 50


async def test_dear_gift_is_shown_at_once_and_taken_back(gateway: Gateway) -> None:
    """Viewers and overlay see it with its id and until when, then that it is undone; the coins are back, the list is
    empty, and nobody has earned anything."""
    overlay, watcher = await gateway.enter("cleo", "overlay"), await gateway.enter("wes")
    ada, other_page = await gateway.enter("ada"), await gateway.greet("ada")
    accepted = await give(ada, message="For you!")
    assert (accepted["coins"], accepted["balance_coins"]) == (DEAR_COINS, GRANTED - DEAR_COINS)
    for talker in (overlay, watcher):
        event = await talker.until_gift(lambda gift: gift["gift"] == DEAR)
        assert (event["id"], event["message"], event["coins"]) == (accepted["id"], "For you!", DEAR_COINS)
        assert event["undo_until_ms"] == accepted["undo_until_ms"] == event["at_ms"] + WINDOW_MS
    await watcher.until(lambda told: any(event["kind"] == "leaderboard" for event in told.get("events", ())))
    assert await earned(gateway) == 0
    back = await ada.ask(type="undo", id=accepted["id"])
    assert (back["type"], back["id"], back["coins"]) == ("undone", accepted["id"], DEAR_COINS)
    assert (back["balance_coins"], back["replay"]) == (GRANTED, False)
    await until_undone(overlay, watcher)
    for talker in (overlay, watcher):
        [event] = undone(talker)
        [given] = [gift for gift in talker.gifts if gift["gift"] == DEAR]
        assert event["seq"] > given["seq"]
        same = ("id", "sender", "to", "gift", "price_coins", "count", "coins")
        assert {name: event[name] for name in same} == {name: given[name] for name in same}
        assert given["at_ms"] <= event["at_ms"] < given["undo_until_ms"]
    await watcher.until(lambda told: {"kind": "leaderboard", "entries": []} in told.get("events", ()))
    for page in (ada, other_page):
        await page.until(lambda told: told["type"] == "balance" and told["balance_coins"] == GRANTED)
    assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED
    assert await earned(gateway) == 0


async def test_undo_again_is_a_replay(gateway: Gateway) -> None:
    """Nothing comes back twice, and the balance is that of now; the gift's own id stays answered as accepted."""
    ada = await gateway.enter("ada")
    accepted = await give(ada)
    await ada.ask(type="undo", id=accepted["id"])
    await give(ada, "rose")
    again = await ada.ask(type="undo", id=accepted["id"])
    assert (again["type"], again["coins"], again["replay"]) == ("undone", DEAR_COINS, True)
    retried = await ada.ask(type="gift", id=accepted["id"], room="demo", gift=DEAR)
    assert (retried["type"], retried["replay"], retried.get("undo_until_ms")) == ("accepted", True, None)
    assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED - 1
    await until_undone(ada)
    assert len(undone(ada)) == 1


async def test_retry_while_it_can_be_undone(gateway: Gateway) -> None:
    """The replay says until when, so that a page that lost the first answer can still offer it."""
    ada = await gateway.enter("ada")
    accepted = await give(ada)
    retried = await ada.ask(type="gift", id=accepted["id"], room="demo", gift=DEAR)
    assert (retried["replay"], retried["undo_until_ms"]) == (True, accepted["undo_until_ms"])


async def test_many_undos_at_once_give_the_coins_back_once(gateway: Gateway) -> None:
    """Of all of them one is no replay."""
    pages = [await gateway.greet("ada") for _ in range(4)]
    accepted = await give(pages[0])
    answers = await asyncio.gather(*(page.ask(type="undo", id=accepted["id"]) for page in pages for _ in range(3)))
    assert [answer["type"] for answer in answers] == ["undone"] * 12
    assert [answer["replay"] for answer in answers].count(False) == 1
    assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED


async def test_gifts_without_a_window_cannot_be_undone(gateway: Gateway) -> None:
    """A cheap one, and a dear one in a combo, are paid at once; an undo comes too late."""
    ada = await gateway.enter("ada")
    for accepted in (await give(ada, "rose"), await give(ada, "rose", count=DEAR_COINS, combo=True)):
        assert (accepted["type"], accepted.get("undo_until_ms")) == ("accepted", None)
        refused = await ada.ask(type="undo", id=accepted["id"])
        assert (refused["type"], refused["code"], refused["retryable"]) == ("refused", "undo_expired", False)
    assert await earned(gateway) == (1 + DEAR_COINS) * 50
    assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED - 1 - DEAR_COINS


async def test_undo_of_what_the_caller_did_not_give(gateway: Gateway) -> None:
    """A gift of somebody else, an id of no gift, and the token of a creator: nothing is undone."""
    ada, bob, cleo = await gateway.enter("ada"), await gateway.enter("bob"), await gateway.enter("cleo", "creator")
    accepted = await give(ada)
    for talker, gift_id, code in (
        (bob, accepted["id"], "not_found"),
        (ada, fresh_id(), "not_found"),
        (cleo, accepted["id"], "not_allowed"),
    ):
        refused = await talker.ask(type="undo", id=gift_id)
        assert (refused["type"], refused["code"], refused["id"]) == ("refused", code, gift_id)
    assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED - DEAR_COINS


async def test_gift_is_paid_when_its_time_is_over(valkey_url: str, database_url: str) -> None:
    """The creator earns then, nobody is told anything, and an undo comes too late."""
    async with running_gateway(valkey_url, database_url, settings=windows(200)) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", GRANTED)
        overlay, ada = await gateway.enter("cleo", "overlay"), await gateway.enter("ada")
        accepted = await give(ada)
        await settled(gateway, 1)
        assert await earned(gateway) == DEAR_COINS * 50
        refused = await ada.ask(type="undo", id=accepted["id"])
        assert (refused["type"], refused["code"]) == ("refused", "undo_expired")
        await give(ada, "rose")
        await overlay.until_gift(lambda gift: gift["gift"] == "rose")
        assert [event["kind"] for event in events(overlay) if event["kind"] in ("gift", "undone")] == ["gift", "gift"]
        retried = await ada.ask(type="gift", id=accepted["id"], room="demo", gift=DEAR)
        assert (retried["replay"], retried.get("undo_until_ms")) == (True, None)
        assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED - DEAR_COINS - 1


async def test_undo_at_a_time_that_is_over_before_anybody_settled(valkey_url: str, database_url: str) -> None:
    """The time decides, not who looks first: such an undo pays the creator."""
    async with running_gateway(valkey_url, database_url, settings=windows(100)) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", GRANTED)
        ada = await gateway.enter("ada")
        accepted = await give(ada)

        async def over() -> bool:
            pong = await ada.ask(type="ping")
            return int(pong["server_time_ms"]) > int(accepted["undo_until_ms"])

        await until_true(over, SETTLE_S_MAX)
        assert (await ada.ask(type="undo", id=accepted["id"]))["code"] == "undo_expired"
        assert await gateway.services.ledger.balance(ViewerId("ada")) == GRANTED - DEAR_COINS
        await settled(gateway, 0)
        assert await earned(gateway) == DEAR_COINS * 50


async def test_overlay_that_comes_back_is_told_what_was_undone_meanwhile(gateway: Gateway) -> None:
    """From its position before the gift it is told both, from one between them only the undoing."""
    overlay, ada = await gateway.enter("cleo", "overlay"), await gateway.enter("ada")
    await give(ada, "rose")
    before = await position_of(overlay, "rose")
    accepted = await give(ada)
    between = await position_of(overlay, DEAR)
    await overlay.close()
    await ada.ask(type="undo", id=accepted["id"])
    await until_undone(ada)
    for since, kinds in ((before, ["gift", "undone"]), (between, ["undone"])):
        for role, user in (("overlay", "cleo"), ("viewer", "wes")):
            back = await gateway.enter(user, role, since=since)  # type: ignore[arg-type]
            await until_undone(back)
            missed = [event for event in events(back) if event["kind"] in ("gift", "undone")]
            assert [event["kind"] for event in missed] == kinds, role
            assert {event["id"] for event in missed} == {accepted["id"]}


async def test_undo_in_flight_is_answered_before_the_gateway_goes(gateway: Gateway, session_valkey: Valkey) -> None:
    """Its sender stays until the ledger has answered; and what is asked for while the gateway goes is done as well."""
    ada = await gateway.enter("ada")
    first, second = await give(ada), await give(ada)
    sessions = [one.session for one in gateway.services.edge.everybody()]
    with session_valkey.frozen():
        await ada.say(type="undo", ref="in-flight", id=first["id"])
        await until(lambda: any(one is not None and one.gifts_in_flight for one in sessions), SETTLE_S_MAX)
        going = asyncio.create_task(gateway.app.drain())
        await until(lambda: all(one is None or one.leaves_for_ms is not None for one in sessions), SETTLE_S_MAX)
        await ada.say(type="undo", ref="late", id=second["id"])
        await until(lambda: any(one is not None and one.gifts_in_flight == 2 for one in sessions), SETTLE_S_MAX)
    for ref in ("in-flight", "late"):
        assert (await ada.until(lambda told, ref=ref: told.get("ref") == ref))["type"] == "undone"  # type: ignore[misc]
    assert await ada.closed() == 4000
    await asyncio.wait_for(going, SETTLE_S_MAX)


async def test_undos_have_their_part_in_the_bound_of_gifts(
    valkey_url: str, database_url: str, session_valkey: Valkey
) -> None:
    """One more than may be in flight, gifts and undos together, is refused and can be asked for again."""
    settings = windows(WINDOW_MS) | {"edge": EdgeConfig(gifts_in_flight_max=2)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", GRANTED)
        ada = await gateway.enter("ada")
        accepted = await give(ada)
        with session_valkey.frozen():
            await ada.say(type="gift", ref="one", id=fresh_id(), room="demo", gift="rose")
            await ada.say(type="undo", ref="two", id=accepted["id"])
            refused = await ada.ask(type="undo", id=accepted["id"])
            assert (refused["code"], refused["retryable"]) == ("overloaded", True)
        assert (await ada.until(lambda told: told.get("ref") == "two"))["type"] == "undone"
        assert (await ada.ask(type="undo", id=accepted["id"]))["replay"] is True


async def test_what_viewers_are_shown_adds_up(gateway: Gateway) -> None:
    """Gifts in a storm, half of the dear ones undone: shown less undone is accepted less undone, for everybody."""
    await gateway.grant("bob", 100_000)
    overlay, watcher, bob = (
        await gateway.enter("cleo", "overlay"),
        await gateway.enter("wes"),
        await gateway.enter("bob"),
    )
    given = await asyncio.gather(*(give(bob, DEAR if number % 3 == 0 else "rose") for number in range(60)))
    held = [accepted for accepted in given if "undo_until_ms" in accepted]
    assert len(held) == 20
    back = await asyncio.gather(*(bob.ask(type="undo", id=accepted["id"]) for accepted in held[::2]))
    await give(bob, "heart")
    due = sum(accepted["coins"] for accepted in given) - sum(answer["coins"] for answer in back) + 1
    last = await overlay.until_gift(lambda gift: gift["gift"] == "heart")
    for talker in (overlay, watcher):
        # A viewer may be shown the heart as a part of a summary only.
        await talker.until(lambda message: message["type"] == "events" and message["seq"] >= last["seq"])
        told = [event for event in events(talker) if event["kind"] in ("gift", "undone", "summary")]
        assert sum(event["coins"] * (-1 if event["kind"] == "undone" else 1) for event in told) == due
        assert sorted(event["id"] for event in undone(talker)) == sorted(answer["id"] for answer in back)
    assert await gateway.services.ledger.balance(ViewerId("bob")) == 100_000 - due

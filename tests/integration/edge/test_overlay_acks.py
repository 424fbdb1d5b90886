"""An overlay whose page forgot where it stopped goes on from what it acknowledged: OBS may lose what pages store."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.room.config import RoomConfig
from gateway.rooms.overlay_acks import OverlayAcks
from gateway.tasks import Tasks
from tests.gateways import Gateway, Message, Talker, fresh_id, running_gateway
from tests.waiting import until_true

WAIT_S_MAX = 10.0


async def _overlay(gateway: Gateway, token: str, since: Message | None = None) -> tuple[Talker, Message]:
    """A page of this token in the room, and how it was received."""
    page = await gateway.connect()
    assert (await page.ask(type="hello", token=token))["type"] == "welcome"
    joined = await page.ask(type="join", room="demo", **({} if since is None else {"since": since}))
    assert joined["type"] == "joined", joined
    return page, joined


def _id_of(token: str, gateway: Gateway) -> str:
    return gateway.services.tokens.verify(token).jti


async def _kept(gateway: Gateway, token: str, seq: int) -> None:
    """Wait until it is saved that the screens of a token have shown everything up to `seq`."""
    broker, name = gateway.services.broker, _id_of(token, gateway)

    async def is_saved() -> bool:
        kept = await broker.kept_ack("demo", name)
        return kept is not None and kept[1] == seq

    await until_true(is_saved, WAIT_S_MAX)


async def _give(gateway: Gateway, count: int) -> list[str]:
    ids = [fresh_id() for _ in range(count)]
    talker = await gateway.enter("ada")
    for gift_id in ids:
        assert (await talker.ask(type="gift", id=gift_id, room="demo", gift="rose"))["type"] == "accepted"
    return ids


def _ids(page: Talker) -> list[str]:
    return [event["id"] for event in page.gifts]


async def _has_shown(page: Talker, gift_id: str) -> Message:
    """Wait for a gift, and acknowledge it; its event."""
    event = await page.until_gift(lambda event: event.get("id") == gift_id)
    await page.say(type="ack", room="demo", seq=event["seq"])
    return event


@pytest.fixture
async def token(gateway: Gateway) -> str:
    """An overlay's token; Ada has coins."""
    await gateway.grant("ada", 1_000)
    return gateway.services.tokens.mint("overlay", "cleo")


async def test_page_without_a_position_is_shown_what_its_token_has_not_acknowledged(
    gateway: Gateway, token: str
) -> None:
    """Every gift after the acknowledged one, once and in order, and then what comes."""
    page, joined = await _overlay(gateway, token)
    assert "resumed_from" not in joined
    first, second, third = await _give(gateway, 3)
    shown = await _has_shown(page, first)
    await page.until_gift(lambda event: event["id"] == third)
    await _kept(gateway, token, shown["seq"])
    await page.close()
    missed = await _give(gateway, 4)
    back, joined = await _overlay(gateway, token)
    assert joined["resumed_from"] == {"epoch": joined["epoch"], "seq": shown["seq"]}
    assert joined["recovered"] is True
    [live] = await _give(gateway, 1)
    await back.until_gift(lambda event: event["id"] == live)
    assert _ids(back) == [second, third, *missed, live]


async def test_what_was_acknowledged_outlives_the_gateway(valkey_url: str, database_url: str) -> None:
    """A gateway that ends in order saves what it was told last."""
    async with running_gateway(valkey_url, database_url) as one:
        await one.make_room()
        await one.grant("ada", 100)
        token = one.services.tokens.mint("overlay", "cleo")
        page, _ = await _overlay(one, token)
        first, second = await _give(one, 2)
        await _has_shown(page, first)
        await page.until_gift(lambda event: event["id"] == second)
        # Replies come in order, so the acknowledgement was heard.
        await page.ask(type="ping")
    async with running_gateway(valkey_url, database_url) as other:
        back, joined = await _overlay(other, token)
        await back.until_gift(lambda event: event["id"] == second)
        assert (_ids(back), joined["recovered"]) == ([second], True)


async def test_page_that_says_where_it_stopped_is_believed(gateway: Gateway, token: str) -> None:
    """What it keeps itself is newer than what it acknowledged."""
    page, _ = await _overlay(gateway, token)
    first, second, third = await _give(gateway, 3)
    shown = await _has_shown(page, first)
    told = await page.until_gift(lambda event: event["id"] == second)
    await _kept(gateway, token, shown["seq"])
    back, joined = await _overlay(gateway, token, since={"epoch": 1, "seq": told["seq"]})
    await back.until_gift(lambda event: event["id"] == third)
    assert _ids(back) == [third]
    assert "resumed_from" not in joined


async def test_overlay_that_never_acknowledged_begins_at_the_present(gateway: Gateway, token: str) -> None:
    """Nobody is shown old gifts who did not ask for it."""
    page, _ = await _overlay(gateway, token)
    [old] = await _give(gateway, 1)
    await page.until_gift(lambda event: event["id"] == old)
    back, joined = await _overlay(gateway, token)
    [live] = await _give(gateway, 1)
    await back.until_gift(lambda event: event["id"] == live)
    assert (_ids(back), "resumed_from" in joined, joined["recovered"]) == ([live], False, False)


async def test_each_token_has_acknowledgements_of_its_own(gateway: Gateway, token: str) -> None:
    """Another overlay of the creator shows everything itself."""
    page, _ = await _overlay(gateway, token)
    [first] = await _give(gateway, 1)
    shown = await _has_shown(page, first)
    await _kept(gateway, token, shown["seq"])
    _, joined = await _overlay(gateway, gateway.services.tokens.mint("overlay", "cleo"))
    assert "resumed_from" not in joined


async def test_acknowledgements_go_forward_only(gateway: Gateway, token: str) -> None:
    """Of two screens with one token the further one counts; a seq that was never told counts for nothing."""
    page, _ = await _overlay(gateway, token)
    first, second = await _give(gateway, 2)
    early = await page.until_gift(lambda event: event["id"] == first)
    shown = await _has_shown(page, second)
    await _kept(gateway, token, shown["seq"])
    for seq in (early["seq"], shown["seq"] + 1_000):
        await page.say(type="ack", room="demo", seq=seq)
    await page.ask(type="ping")
    await gateway.services.rooms.stop()
    kept = await gateway.services.broker.kept_ack("demo", _id_of(token, gateway))
    assert kept == (1, shown["seq"])


async def test_viewers_and_creators_keep_no_acknowledgements(gateway: Gateway, token: str) -> None:
    """Only overlays are asked to show everything, however often their page is opened."""
    for role, user in (("viewer", "bob"), ("creator", "cleo")):
        mine = gateway.services.tokens.mint(role, user)  # type: ignore[arg-type]
        page, _ = await _overlay(gateway, mine)
        [gift_id] = await _give(gateway, 1)
        told = await page.until(lambda message: message["type"] == "events" and _seqs(message) != [])
        await page.say(type="ack", room="demo", seq=max(_seqs(told)))
        await page.ask(type="ping")
        _, joined = await _overlay(gateway, mine)
        assert (gift_id != "", "resumed_from" in joined) == (True, False)


async def test_page_is_shown_no_more_than_the_newest(valkey_url: str, database_url: str) -> None:
    """Beyond the bound of count it is told that something is missing; what it is shown comes a few at a time."""
    settings = {"rooms": RoomConfig(replay_facts_max=5, resume_page_facts=2)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", 100)
        token = gateway.services.tokens.mint("overlay", "cleo")
        page, _ = await _overlay(gateway, token)
        [first] = await _give(gateway, 1)
        shown = await _has_shown(page, first)
        await _kept(gateway, token, shown["seq"])
        missed = await _give(gateway, 8)
        await page.until_gift(lambda event: event["id"] == missed[-1])
        back, joined = await _overlay(gateway, token)
        await back.until_gift(lambda event: event["id"] == missed[-1])
        assert (_ids(back), joined["recovered"]) == (missed[-5:], False)
        assert joined["resumed_from"]["seq"] == joined["seq"] - 5
        pages = [len(message["events"]) for message in back.heard if message["type"] == "events" and _seqs(message)]
        assert pages == [2, 2, 1]


async def test_page_that_missed_too_much_is_shown_the_newest_of_it(valkey_url: str, database_url: str) -> None:
    """It says where it stopped; what it is given comes once, before what is live. A creator begins at the present."""
    settings = {"rooms": RoomConfig(resume_facts_max=6, replay_facts_max=4)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", 100)
        token = gateway.services.tokens.mint("overlay", "cleo")
        page, joined = await _overlay(gateway, token)
        since = {"epoch": 1, "seq": joined["seq"]}
        missed = await _give(gateway, 7)
        await page.until_gift(lambda event: event["id"] == missed[-1])
        back, joined = await _overlay(gateway, token, since)
        assert (joined["recovered"], joined["resumed_from"]) == (False, since | {"seq": joined["seq"] - 4})
        _, creators = await _overlay(gateway, gateway.services.tokens.mint("creator", "cleo"), since)
        assert (creators["recovered"], "resumed_from" in creators) == (False, False)
        [live] = await _give(gateway, 1)
        await back.until_gift(lambda event: event["id"] == live)
        assert _ids(back) == [*missed[-4:], live]
        _, joined = await _overlay(gateway, token, since | {"epoch": 2})
        assert (joined["recovered"], "resumed_from" in joined) == (False, False)
        _, joined = await _overlay(gateway, token)
        # Two of those who came back were not given all; who never was there, or is no overlay, counts for nothing.
        assert 'giftwire_shed_total{reason="missed"} 2.0' in gateway.services.shared_metrics.text().decode()


def _seqs(message: Message) -> list[int]:
    return [event["seq"] for event in message["events"] if event["kind"] == "gift"]


async def test_page_that_is_loaded_again_at_another_gateway_goes_on_where_it_was(
    valkey_url: str, database_url: str
) -> None:
    """What it acknowledged is saved when it goes, and not only when it would have been time to save."""
    settings = {"rooms": RoomConfig(ack_save_ms=3_600_000)}
    async with (
        running_gateway(valkey_url, database_url, settings=settings) as one,
        running_gateway(valkey_url, database_url, relay=False) as other,
    ):
        await one.make_room()
        await one.grant("ada", 100)
        token = one.services.tokens.mint("overlay", "cleo")
        page, _ = await _overlay(one, token)
        [first] = await _give(one, 1)
        shown = await _has_shown(page, first)
        await page.ask(type="ping")
        await page.close()
        await _kept(other, token, shown["seq"])
        _, joined = await _overlay(other, token)
        assert (joined["recovered"], joined["resumed_from"]["seq"]) == (True, shown["seq"])


async def test_acknowledgement_that_is_being_saved_counts_already(
    gateway: Gateway, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who saves at the end waits for it."""
    broker = gateway.services.broker
    keep, begun, may_go_on = broker.keep_acks, asyncio.Event(), asyncio.Event()

    async def keep_late(acks: Sequence[tuple[str, str, tuple[int, int]]]) -> None:
        begun.set()
        await may_go_on.wait()
        await keep(acks)

    monkeypatch.setattr(broker, "keep_acks", keep_late)
    tasks = Tasks("test")
    acks = OverlayAcks(broker, RoomConfig(ack_save_ms=1), tasks.spawn)
    acks.note("demo", "token", (1, 5))
    await begun.wait()
    assert await acks.kept("demo", "token") == (1, 5)
    saving = asyncio.create_task(acks.save())
    await asyncio.sleep(0)
    assert not saving.done()
    may_go_on.set()
    await saving
    await tasks.stop()
    assert await broker.kept_ack("demo", "token") == (1, 5)

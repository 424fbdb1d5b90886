"""A room that is given to another creator: who may see every gift there is judged anew, on every gateway."""

from gateway.room.config import RoomConfig
from gateway.wire.messages import Role
from tests.gateways import Gateway, Talker, fresh_id, running_gateway


async def _complete(gateway: Gateway, user: str, role: Role) -> Talker:
    talker = await gateway.enter(user, role)
    [local] = gateway.services.rooms._rooms.values()
    assert local.audience.complete
    return talker


async def _sees_the_next_gift(gateway: Gateway, *talkers: Talker) -> None:
    ada, gift_id = await gateway.enter("ada"), fresh_id()
    assert (await ada.ask(type="gift", id=gift_id, room="demo", gift="rose"))["type"] == "accepted"
    for talker in talkers:
        await talker.until_gift(lambda event: event.get("id") == gift_id)


async def test_overlay_of_the_former_creator_is_sent_away_and_the_new_ones_see_all(gateway: Gateway) -> None:
    """At once on the gateway that was told of it; operators and viewers stay."""
    await gateway.grant("ada", 100)
    bob, operator = await gateway.enter("bob"), await gateway.enter("olga", "operator")
    former = [await _complete(gateway, "cleo", role) for role in ("overlay", "creator")]
    carl = await gateway.enter("carl", "creator")
    await gateway.make_room("demo", "carl")
    place = await gateway.services.office.directory.place("room:demo")
    assert place is not None
    gateway.services.places.forget("room:demo")
    gateway.services.rooms.place_changed(place)
    assert [await talker.closed() for talker in (*former, carl)] == [4003, 4003, 4003]
    overlay = await gateway.greet("cleo", "overlay")
    assert (await overlay.ask(type="join", room="demo"))["code"] == "not_allowed"
    joined = await (carls := await gateway.greet("carl", "overlay")).ask(type="join", room="demo")
    assert (joined["type"], joined["state"]["creator"]) == ("joined", "carl")
    await _sees_the_next_gift(gateway, carls, operator)
    assert (await bob.ask(type="ping"))["type"] == "pong"


async def test_other_gateways_notice_that_a_room_was_given_away(valkey_url: str, database_url: str) -> None:
    """As soon as they read its place again, be it for a gift or ahead of one."""
    settings = {"rooms": RoomConfig(presence_ms=10)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        overlay = await _complete(gateway, "cleo", "overlay")
        await gateway.make_room("demo", "carl")
        await gateway.services.places.look_ahead(gateway.app._page_of_rooms)
        assert await overlay.closed() == 4003
        assert (await gateway.enter("carl", "overlay")).heard[-1]["state"]["creator"] == "carl"

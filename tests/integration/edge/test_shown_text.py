"""What clients wrote reaches others without what would change how the rest reads."""

from gateway.wire.messages import Role
from tests.gateways import Gateway, Talker, fresh_id

ODD = "hi\x00\x1b[31m \u202eevil\u202c\u2066\n\U0001f468\u200d\U0001f469"
SEEN = "hi[31m evil \U0001f468\u200d\U0001f469"


async def _named(gateway: Gateway, user: str, name: str, role: Role = "viewer") -> Talker:
    talker = await gateway.connect()
    token = gateway.services.tokens.mint(role, user, name=name)
    assert (await talker.ask(type="hello", token=token))["type"] == "welcome"
    assert (await talker.ask(type="join", room="demo"))["type"] == "joined"
    return talker


async def test_name_and_message_of_a_gift(gateway: Gateway) -> None:
    """Viewers and overlays are shown the same harmless text; the gift is paid."""
    await gateway.grant("ada", 10)
    ada, bob = await _named(gateway, "ada", ODD), await gateway.enter("bob")
    overlay = await gateway.enter("cleo", "overlay")
    gift_id = fresh_id()
    for replay in (False, True):
        accepted = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose", message=ODD)
        assert (accepted["type"], accepted["replay"]) == ("accepted", replay)
    for talker in (overlay, bob):
        event = await talker.until_gift(lambda event: event["gift"] == "rose")
        assert (event["sender"]["name"], event["message"]) == (SEEN, SEEN)


async def test_message_that_shows_nothing(gateway: Gateway) -> None:
    """It is as if there were none."""
    await gateway.grant("ada", 10)
    ada, overlay = await gateway.enter("ada"), await gateway.enter("cleo", "overlay")
    await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose", message="\x00\u200b")
    assert "message" not in await overlay.until_gift(lambda event: True)

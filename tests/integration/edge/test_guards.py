"""What forbids a gift, over the WebSocket: the same judgement, in the shape of `refused`."""

from gateway.filters import Filters, PlaceSettings, write_settings
from ledger.model import Limit
from tests.gateways import Gateway, fresh_id


async def test_gift_over_a_limit(gateway: Gateway) -> None:
    """The refusal names the limit, its number, what was counted and when it begins anew; a replay is answered."""
    await gateway.grant("ada", 100)
    talker = await gateway.enter("ada")
    gift = {"type": "gift", "id": fresh_id(), "room": "demo", "gift": "rose", "count": 8}
    assert (await talker.ask(**gift))["type"] == "accepted"
    guards = gateway.services.office.guards
    limits = await guards.set_caps("ada", {Limit.DAY: 10})
    assert (await talker.ask(**gift))["replay"] is True
    assert (await talker.ask(**(gift | {"id": fresh_id()})))["type"] == "accepted"
    refused = await talker.ask(**(gift | {"id": fresh_id(), "count": 3}))
    assert refused == {
        "type": "refused",
        "code": "limit_exceeded",
        "message": "This would pass the limit of coins for a day.",
        "retryable": False,
        "ref": refused["ref"],
        "id": refused["id"],
        "limit": "day",
        "limit_coins": 10,
        "spent_coins": 8,
        "resets_at_ms": limits.caps[Limit.DAY].resets_at_ms,
    }


async def test_gift_of_an_account_that_is_frozen_meanwhile(gateway: Gateway) -> None:
    """The connection stays, gifts are refused with the reason, and after the thaw they are taken."""
    await gateway.grant("ada", 100)
    talker = await gateway.enter("ada")
    guards = gateway.services.office.guards
    await guards.freeze("ada", "Ask us.", by="olga")
    refused = await talker.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
    assert (refused["type"], refused["code"], refused["message"]) == (
        *("refused", "not_allowed"),
        "This account is frozen. Ask us.",
    )
    await guards.thaw("ada", by="olga")
    assert (await talker.ask(type="gift", id=fresh_id(), room="demo", gift="rose"))["type"] == "accepted"


async def test_gift_that_a_room_does_not_take(gateway: Gateway) -> None:
    """A room's filters are told as they are over HTTP."""
    await gateway.grant("ada", 100)
    settings = write_settings(PlaceSettings(Filters(5)))
    await gateway.services.office.directory.put_place("room:strict", creator="cleo", settings=settings)
    talker = await gateway.enter("ada", room="strict")
    refused = await talker.ask(type="gift", id=fresh_id(), room="strict", gift="rose")
    assert (refused["code"], refused["message"]) == ("not_allowed", "Gifts here cost 5 coins or more.")
    assert (await talker.ask(type="gift", id=fresh_id(), room="strict", gift="rose", count=5))["type"] == "accepted"

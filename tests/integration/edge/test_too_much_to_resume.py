"""Who missed more than is resumed is shown the present, and reads what it missed over HTTP, page by page."""

from typing import Final

import httpx
import pytest

from gateway.room.config import RoomConfig
from gateway.wire.messages import Role
from tests.gateways import Gateway, Message, Talker, fresh_id, running_gateway

MISSED: Final = 23
PAGE: Final = 5
RESUMED_MAX: Final = 6


async def _give(gateway: Gateway, talker: Talker, count: int) -> list[str]:
    ids = [fresh_id() for _ in range(count)]
    for gift_id in ids:
        assert (await talker.ask(type="gift", id=gift_id, room="demo", gift="rose"))["type"] == "accepted"
    return ids


async def _read_pages(gateway: Gateway, role: Role, position: Message, until_seq: int) -> tuple[list[Message], int]:
    """All events after a position up to another one, and in how many pages they came."""
    events: list[Message] = []
    after, epoch, pages = position["seq"], position["epoch"], 0
    headers = {"Authorization": f"Bearer {gateway.token('cleo', role)}"}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as client:
        while after < until_seq:
            params = {"after": after, "epoch": epoch, "limit": PAGE}
            page = (await client.get("/v1/rooms/demo/events", params=params)).raise_for_status().json()
            assert page["recovered"] is True
            assert page["next"] > after
            events += page["events"]
            after, epoch, pages = page["next"], page["epoch"], pages + 1
    return [event for event in events if event.get("seq", until_seq) <= until_seq], pages


@pytest.mark.parametrize("role", ["creator", "overlay"])
async def test_present_comes_first_and_what_was_missed_page_by_page(
    valkey_url: str, database_url: str, role: Role
) -> None:
    """Between what the pages tell and what comes live from the joined position on, each gift is there once."""
    settings = {"rooms": RoomConfig(resume_facts_max=RESUMED_MAX, replay_facts_max=1)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", 1_000)
        ada = await gateway.enter("ada")
        other = await gateway.enter("cleo", "operator")
        page = await gateway.greet("cleo", role)
        joined = await page.ask(type="join", room="demo")
        position = {"epoch": joined["epoch"], "seq": joined["seq"]}
        await page.close()
        given = await _give(gateway, ada, MISSED)
        await other.until_gift(lambda event: event["id"] == given[-1])
        back = await gateway.greet("cleo", role)
        joined = await back.ask(type="join", room="demo", since=position)
        assert (joined["recovered"], joined["seq"], joined["state"]["creator"]) == (False, MISSED, "cleo")
        live = await _give(gateway, ada, 2)
        await back.until_gift(lambda event: event["id"] == live[-1])
        read, pages = await _read_pages(gateway, role, position, joined["seq"])
        assert [event["id"] for event in read if event["kind"] == "gift"] == given
        assert pages >= MISSED // PAGE
        shown = [event["id"] for event in back.gifts if event["seq"] > joined["seq"]]
        assert shown == live

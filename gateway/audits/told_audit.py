"""Checks that the rooms were told what was paid: brings the ledger's gifts and the stored rooms together.

It may run beside a working system. What it reads first and what later is what makes that right; see `audit_rooms`.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from redis.exceptions import RedisError

from gateway.audits.room_audit import PaidGift, RoomCheck, audit_rooms
from gateway.places import room_place
from gateway.room.config import RoomConfig
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.guards.directory import Directory
from ledger.live.redis_client import connect
from ledger.lots.paid_gifts import PaidGifts, open_paid_gifts
from ledger.office import open_office
from ledger.service import open_ledger

ROOMS_READ: Final = 500
ROOM_PREFIX: Final = room_place("")


async def audit_told(ledger_config: LedgerConfig, room_config: RoomConfig) -> list[RoomCheck]:
    """Check that the rooms were told each paid gift once, and the end of each combo.

    Raises:
        LedgerUnavailable: a server does not answer.
    """
    ledger = open_ledger(ledger_config, any_server=True)
    redis = connect(ledger_config, any_server=True)
    office = await open_office(ledger_config, ledger)
    try:
        rooms = await every_room(office.directory)
        relayed = {int(partition): position.seq for partition, position in (await ledger.relay_positions()).items()}
        seconds, micros = await redis.time()
        async with open_paid_gifts(ledger, ledger_config) as gifts:
            paid = _Paid(gifts)
            return await audit_rooms(redis, room_config, paid, relayed, seconds * 1000 + micros // 1000, rooms)
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await office.close()
        await redis.aclose()
        await ledger.redis.aclose()


class _Paid:
    """The ledger's gifts in the words of the rooms."""

    def __init__(self, gifts: PaidGifts) -> None:
        self._gifts = gifts

    async def __call__(self, room: str, reach: Mapping[int, int]) -> AsyncIterator[PaidGift]:
        for gift in await self._gifts.at(room_place(room)):
            if gift.seq >= reach.get(gift.partition, 0):
                yield PaidGift(gift.partition, gift.seq, gift.id, gift.viewer, gift.count, gift.coins, gift.undone)


async def every_room(directory: Directory) -> list[str]:
    """Names of all rooms that the directory knows."""
    rooms: list[str] = []
    after = ""
    while True:
        page = await directory.places(prefix=ROOM_PREFIX, after=after, limit=ROOMS_READ)
        rooms += [place.place.removeprefix(ROOM_PREFIX) for place in page]
        if not page:
            return rooms
        after = page[-1].place

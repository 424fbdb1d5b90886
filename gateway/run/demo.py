"""What the demo brings: one creator with one room, and tokens for looking at both. Guests are the gateway's matter."""

from typing import Final

from msgspec import Struct

from gateway.auth import Tokens
from gateway.places import room_place
from gateway.run.settings.config import Config
from ledger.model import CreatorId
from ledger.office import open_office
from ledger.service import open_ledger

DEMO_ROOM: Final = "demo"
DEMO_CREATOR: Final = CreatorId("demo-creator")
DEMO_CREATOR_NAME: Final = "Demo Creator"
DEMO_TITLE: Final = "The demo room"
TOKENS_S: Final = 7 * 86_400


class DemoTokens(Struct, frozen=True):
    """For the overlay of the demo room, and for its creator's studio."""

    overlay: str
    studio: str


async def seed_demo(config: Config) -> None:
    """Make the demo's creator and room where they are missing; what somebody has changed since stays as it is.

    Args:
        config: with both servers named.

    Raises:
        LedgerUnavailable: PostgreSQL does not answer.
    """
    ledger = open_ledger(config.ledger)
    office = await open_office(config.ledger, ledger)
    try:
        if await office.directory.creator(DEMO_CREATOR) is None:
            await office.directory.put_creator(DEMO_CREATOR, name=DEMO_CREATOR_NAME)
        if await office.directory.place(room_place(DEMO_ROOM)) is None:
            await office.directory.put_place(room_place(DEMO_ROOM), creator=DEMO_CREATOR, title=DEMO_TITLE)
    finally:
        await office.close()
        await ledger.redis.aclose()


def demo_tokens(config: Config) -> DemoTokens:
    """Tokens that are good for a week.

    Args:
        config: with the signing key.
    """
    tokens = Tokens(config.signing_key or "")
    return DemoTokens(
        overlay=tokens.mint("overlay", DEMO_CREATOR, name=DEMO_CREATOR_NAME, room=DEMO_ROOM, ttl_s=TOKENS_S),
        studio=tokens.mint("creator", DEMO_CREATOR, name=DEMO_CREATOR_NAME, ttl_s=TOKENS_S),
    )

"""Tokens for overlays: made by the creator, shown once, taken back at will."""

import time
from typing import Annotated, Final

from msgspec import Meta

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.http.public.rooms import check_owner, find_room
from gateway.revocations import MadeToken
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.creator import OverlayToken, OverlayTokenBody, OverlayTokenMade, OverlayTokens

DAY_S: Final = 86_400
Jti = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", description="Names a token.")]


async def make_overlay_token(services: Services, caller: Identity, body: OverlayTokenBody) -> OverlayTokenMade:
    """Make a token for an overlay. It is told once."""
    config = services.config.http
    if body.room is not None:
        check_owner(caller, body.room, await find_room(services, body.room))
    ttl_s = (body.days or config.overlay_token_days) * DAY_S
    token = services.tokens.mint("overlay", caller.user, name=caller.name, room=body.room, ttl_s=ttl_s)
    identity = services.tokens.verify(token)
    made = MadeToken(identity.jti, body.room, body.label, int(time.time() * 1000), identity.expires_ms)
    if not await services.revocations.remember(caller.user, made):
        raise Problem(Code.LIMIT_REACHED, f"You have {config.overlay_tokens_max} overlay tokens; take one back first.")
    # Browsers keep what stands behind `#` to themselves: it is in no request and in no log.
    overlay_path = None if body.room is None else f"/overlay/{body.room}#token={token}"
    return OverlayTokenMade(made.jti, token, made.room, made.label, made.expires_ms, overlay_path)


async def list_overlay_tokens(services: Services, caller: Identity) -> OverlayTokens:
    """List the tokens that are good now, the newest first, without the tokens themselves."""
    made = await services.revocations.made_by(caller.user)
    return OverlayTokens(
        [OverlayToken(token.jti, token.room, token.label, token.created_ms, token.expires_ms) for token in made]
    )


async def revoke_overlay_token(services: Services, caller: Identity, jti: Jti) -> None:
    """Take a token back: no overlay can begin with it any more."""
    if not await services.revocations.revoke(caller.user, jti):
        raise Problem(Code.NOT_FOUND, "You have no such overlay token.")


OPERATIONS = (
    declare("GET", "/v1/creators/me/overlay-tokens", list_overlay_tokens, tag="overlays", roles=("creator",)),
    declare(
        "POST",
        "/v1/creators/me/overlay-tokens",
        make_overlay_token,
        tag="overlays",
        roles=("creator",),
        refuses=(Code.UNKNOWN_ROOM, Code.LIMIT_REACHED),
    ),
    declare(
        "DELETE",
        "/v1/creators/me/overlay-tokens/{jti}",
        revoke_overlay_token,
        tag="overlays",
        roles=("creator",),
        refuses=(Code.NOT_FOUND,),
    ),
)

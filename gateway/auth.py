"""Tokens: who a request or a connection is from. JWTs signed with the deployment's one key; the algorithm is pinned.

A token is verified once, at `hello` or at the start of a request. Claims: `sub` the user, `role`, `name` to be shown,
`level`, `room` where the token is for one room only, `country` of a buyer where the platform knows it better than the
buyer says, `jti` to take it back, `iat`, `exp`.
"""

import secrets
import time
from typing import Annotated, Final

import jwt
import msgspec
from msgspec import Meta, Struct

from gateway.shown import shown
from gateway.wire.http.words import Country
from gateway.wire.messages import NAME_WORDS, Name, Role

ALGORITHM: Final = "HS256"
TTL_S_MAX: Final = 366 * 86_400
LEEWAY_S: Final = 5
NAME_LENGTH_MAX: Final = 40
LEVEL_MAX: Final = 1_000


class BadToken(Exception):
    """Not a token of ours."""


class TokenExpired(BadToken):
    """It was one, and its time is over."""


class Identity(Struct, frozen=True):
    """Who speaks.

    Attributes:
        user: viewer, creator (also of an overlay's token) or operator.
        name: to be shown; the user's id where the token names none.
        level: the gifter's level that the platform vouches for.
        room: the only room the token is good for; None for any.
        expires_ms: end of the token's time.
        country: of the buyer (ISO 3166-1 alpha-2), which then counts and not what the client says; None if not known.
        jti: names the token, so that it can be taken back; empty when it has none.
    """

    user: str
    role: Role
    name: str
    level: int = 0
    room: str | None = None
    expires_ms: int = 0
    jti: str = ""
    country: str | None = None


Jti = Annotated[str, Meta(pattern="^[ -~]*$")]


class _Claims(Struct):
    sub: Name
    role: Role
    exp: int
    name: str = ""
    level: int = 0
    room: Name | None = None
    country: Country | None = None
    jti: Jti = ""


class Tokens:
    """Signs and verifies with one key of at least 32 characters."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def mint(
        self,
        role: Role,
        user: str,
        *,
        name: str | None = None,
        room: str | None = None,
        level: int = 0,
        country: str | None = None,
        ttl_s: int = 3600,
    ) -> str:
        """A token that is good for `ttl_s` seconds (1 to TTL_S_MAX).

        Raises:
            ValueError: the user's or room's name, the level, the country or the time is out of range.
        """
        if not 1 <= ttl_s <= TTL_S_MAX:
            raise ValueError(f"a token lasts 1 to {TTL_S_MAX} seconds, not {ttl_s}")
        now_s = int(time.time())
        claims: dict[str, str | int] = {
            "sub": user,
            "role": role,
            "name": (name or user)[:NAME_LENGTH_MAX],
            "level": level,
            "iat": now_s,
            "exp": now_s + ttl_s,
            "jti": secrets.token_urlsafe(12),
        }
        if room is not None:
            claims["room"] = room
        if country is not None:
            claims["country"] = country
        try:
            msgspec.convert(claims, _Claims)
        except msgspec.ValidationError as exc:
            raise ValueError(_fault(exc, user, room, country)) from exc
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: str) -> Identity:
        """Who a token is.

        Raises:
            TokenExpired: its time is over.
            BadToken: it is not signed by us, or its claims are wrong.
        """
        try:
            raw = jwt.decode(
                token, self._key, algorithms=[ALGORITHM], leeway=LEEWAY_S, options={"require": ["sub", "exp"]}
            )
            claims = msgspec.convert(raw, _Claims)
        except jwt.ExpiredSignatureError as exc:
            raise TokenExpired("the token has expired") from exc
        except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeEncodeError) as exc:
            raise BadToken(f"the token is not valid: {exc}") from exc
        return Identity(
            user=claims.sub,
            role=claims.role,
            name=shown(claims.name, NAME_LENGTH_MAX) or claims.sub[:NAME_LENGTH_MAX],
            level=min(max(claims.level, 0), LEVEL_MAX),
            room=claims.room,
            expires_ms=claims.exp * 1000,
            jti=claims.jti[:64],
            country=claims.country,
        )


def _fault(exc: msgspec.ValidationError, user: str, room: str | None, country: str | None) -> str:
    """Which of the claims cannot be, in words for whoever asked for the token."""
    for claim, what in (("sub", f"the user {user!r}"), ("room", f"the room {room!r}")):
        if f"`$.{claim}`" in str(exc):
            return f"{what} is no name: {NAME_WORDS}"
    if "`$.country`" in str(exc):
        return f"the country {country!r} is no code of ISO 3166-1 alpha-2, such as GB"
    return str(exc)

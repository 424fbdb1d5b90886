"""Overlay tokens that were made, and those that were taken back, in Valkey: every gateway must know at once.

A token carries its own proof and is stored nowhere; here stands only its `jti`. A creator's list says which are good, a
key of its own says that one was revoked, and both end with the token's time, so that nothing here grows for ever.
"""

import time
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.redis_client import connect

CONNECTIONS_MAX: Final = 4
ASKED_MAX: Final = 500
"""Tokens that one round trip asks about."""
_REVOKED: Final = "gateway:revoked:"
_MADE: Final = "gateway:overlay_tokens:"


class MadeToken(Struct, frozen=True, array_like=True):
    """An overlay's token, without the token itself.

    Attributes:
        room: the only room that it is good for; None for all of the creator's.
        label: the creator's own words.
    """

    jti: str
    room: str | None
    label: str
    created_ms: int
    expires_ms: int


_decoder = msgspec.msgpack.Decoder(MadeToken)


class Revocations:
    """The overlay tokens of all creators. Every method but `close` may raise `LedgerUnavailable`.

    Args:
        redis: ours alone; closed by `close`.
        tokens_max: tokens of one creator that are good at a time.
    """

    def __init__(self, redis: Redis, tokens_max: int) -> None:
        self._redis = redis
        self._tokens_max = tokens_max

    async def remember(self, creator: str, token: MadeToken) -> bool:
        """List a new token. False when the creator has as many as it may: nothing was listed then.

        Two gateways that are asked at once may let one more pass: the bound is against growth, not a promise.
        """
        if len(await self.made_by(creator)) >= self._tokens_max:
            return False
        key = _MADE + creator
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(key, token.jti, msgspec.msgpack.encode(token))
        # GT: never sooner than an older token ends; NX: a key that is new has no end yet.
        pipeline.pexpireat(key, token.expires_ms, nx=True)
        pipeline.pexpireat(key, token.expires_ms, gt=True)
        await _answered(pipeline.execute())
        return True

    async def made_by(self, creator: str) -> list[MadeToken]:
        """A creator's tokens that are good now, the newest first; those whose time is over are dropped."""
        key = _MADE + creator
        stored: dict[bytes, bytes] = await _answered(self._redis.hgetall(key))
        now_ms = int(time.time() * 1000)
        tokens = [_decoder.decode(packed) for packed in stored.values()]
        over = [token.jti for token in tokens if token.expires_ms <= now_ms]
        if over:
            await _answered(self._redis.hdel(key, *over))
        good = (token for token in tokens if token.expires_ms > now_ms)
        return sorted(good, key=lambda token: token.created_ms, reverse=True)

    async def revoke(self, creator: str, jti: str) -> bool:
        """Take a token back, for all gateways from now on. False when the creator has no such token."""
        packed: bytes | None = await _answered(self._redis.hget(_MADE + creator, jti))
        if packed is None:
            return False
        expires_ms = _decoder.decode(packed).expires_ms
        # The mark first: were we to die between the two, the token is dead and still listed, not the other way round.
        await _answered(self._redis.set(_REVOKED + jti, b"", pxat=expires_ms + 60_000))
        await _answered(self._redis.hdel(_MADE + creator, jti))
        return True

    async def is_revoked(self, jti: str) -> bool:
        """Whether a token was taken back. A token without a name cannot be."""
        return bool(jti) and bool(await _answered(self._redis.exists(_REVOKED + jti)))

    async def revoked_among(self, jtis: Sequence[str]) -> set[str]:
        """Those of these tokens that were taken back. One round trip for each `ASKED_MAX` of them."""
        found: set[str] = set()
        for start in range(0, len(jtis), ASKED_MAX):
            part = jtis[start : start + ASKED_MAX]
            pipeline = self._redis.pipeline(transaction=False)
            for jti in part:
                pipeline.exists(_REVOKED + jti)
            answers = await _answered(pipeline.execute())
            found.update(jti for jti, there in zip(part, answers, strict=True) if there)
        return found

    async def close(self) -> None:
        """Let go of the server."""
        await self._redis.aclose()


def open_revocations(config: LedgerConfig, tokens_max: int) -> Revocations:
    """Over the ledger's server; connects on first use. Call `close` at the end."""
    return Revocations(connect(config, connections_max=CONNECTIONS_MAX), tokens_max)


async def _answered(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc

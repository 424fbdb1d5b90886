"""Notices that the live ledger's server was a replica and was promoted: it may lack what its primary had accepted.

A server names the history that it writes by a replication id, and a promoted one also that of the primary it followed.
The deployment's hash keeps the id under which the ledger ran last, and is replicated with everything else: where it is
the id of the primary that this server followed, the server was promoted since. A restart alone leaves no such id.
"""

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ledger.errors import LedgerError
from ledger.keys import DEPLOYMENT, SERVER

PROMOTED: Final = (
    "the server was a replica of the one that the ledger ran on, and was promoted: it may lack records that were"
    " accepted"
)


class ServerPromoted(LedgerError):
    """The server was promoted since the ledger last ran: orders need a new epoch, which a repair begins."""


async def was_promoted(redis: Redis) -> bool:
    """Whether the server was promoted since it was last noted. A server that does not tell of replication was not.

    Raises:
        redis.RedisError, OSError: the server does not answer.
    """
    return _is_promoted(*await _ids(redis))


async def note_server(redis: Redis) -> None:
    """Note on which server the ledger runs. Done again and again: an id changes with the first replica that comes.

    Raises:
        ServerPromoted: it was promoted; the note stays as it was.
        redis.RedisError, OSError: the server does not answer.
    """
    noted, own, followed = await _ids(redis)
    if _is_promoted(noted, own, followed):
        raise ServerPromoted(f"{PROMOTED}; `giftwire reconcile --repair` begins a new epoch")
    await _note(redis, noted, own)


async def accept_server(redis: Redis) -> None:
    """Note on which server the ledger runs from now on, promoted or not."""
    noted, own, _ = await _ids(redis)
    await _note(redis, noted, own)


def _is_promoted(noted: bytes | None, own: bytes | None, followed: bytes | None) -> bool:
    return noted is not None and own not in (None, noted) and noted == followed


async def _note(redis: Redis, noted: bytes | None, own: bytes | None) -> None:
    if own not in (None, noted):
        deployment: Any = DEPLOYMENT
        await redis.hset(deployment, SERVER, own)


async def _ids(redis: Redis) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The id that was noted, the server's own one, and the one that it followed before; None where it does not tell."""
    told: Any
    deployment: Any = DEPLOYMENT
    noted: Any = await redis.hget(deployment, SERVER)
    try:
        told = await redis.info("replication")
    except ResponseError:
        # Managed servers may forbid it.
        return noted, None, None
    own, followed = (str(told.get(name, "")).encode() or None for name in ("master_replid", "master_replid2"))
    return noted, own, followed

"""Notices that the live ledger's server was a replica and was promoted: it may lack what its primary had accepted.

A server names the history that it writes by a replication id, and a promoted one also that of the primary it followed.
The deployment's hash keeps the id under which the ledger ran last, and is replicated with everything else: where that
is another one and the server has followed a primary, it was promoted since. Whatever else changes a server's id (a
restart, the first replica that comes) forgets whom it followed.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError

from ledger.live.keys import DEPLOYMENT, SERVER

PROMOTED: Final = (
    "the server was a replica of the one that the ledger ran on, and was promoted: it may lack records that were"
    " accepted"
)


class ServerPromoted(ConnectionError):
    """The server was promoted since the ledger last ran: orders need a new epoch, which a repair begins.

    A kind of lost connection, but that nothing was carried out: the same again is safe, and is done in the new epoch.
    """


class ServerIsReplica(ConnectionError):
    """The server follows another, and may be promoted while a connection to it is open. Nothing was carried out."""


class ServerHistory(Struct, frozen=True):
    """What a server says of the history that it writes, and what is noted in it.

    Attributes:
        noted: id under which the ledger ran last; None before it ever did.
        own: of the history that it writes now; None where the server does not tell.
        followed: of the primary that it followed until it was promoted; None when it never was.
        is_replica: it follows a primary now.
    """

    noted: bytes | None
    own: bytes | None
    followed: bytes | None
    is_replica: bool

    @property
    def promoted(self) -> bool:
        """Whether the server was promoted since it was noted. One that does not tell was not."""
        # Not only where it followed the noted one: a first replica changes a primary's id, which may not be noted yet.
        return None not in (self.noted, self.own, self.followed) and self.own != self.noted


def history_of(noted: bytes | None, told: Mapping[str, Any]) -> ServerHistory:
    """Read what `INFO replication` says; an empty answer stands for a server that does not tell."""
    own, followed = (_id(told, name) for name in ("master_replid", "master_replid2"))
    return ServerHistory(noted, own, followed, told.get("role") == "slave")


async def read_history(redis: Redis) -> ServerHistory:
    """Ask a server.

    Raises:
        redis.RedisError, OSError: the server does not answer.
    """
    told: Any
    deployment: Any = DEPLOYMENT
    noted: Any = await redis.hget(deployment, SERVER)
    try:
        told = await redis.info("replication")
    except ResponseError:
        # Managed servers may forbid it.
        told = {}
    return history_of(noted, told)


async def note_server(redis: Redis) -> None:
    """Note on which server the ledger runs. Done again and again: an id changes with the first replica that comes.

    Raises:
        ServerPromoted: it was promoted; the note stays as it was.
        redis.RedisError, OSError: the server does not answer.
    """
    history = await read_history(redis)
    refuse_promoted(history)
    if history.own not in (None, history.noted):
        deployment: Any = DEPLOYMENT
        await redis.hset(deployment, SERVER, history.own)


def refuse_promoted(history: ServerHistory) -> None:
    """Take no server that was promoted and has no new epoch yet.

    Raises:
        ServerPromoted: it is such a one.
    """
    if history.promoted:
        raise ServerPromoted(f"{PROMOTED}; a repair begins a new epoch")


def refuse_replica(history: ServerHistory) -> None:
    """Take no server that follows another.

    Raises:
        ServerIsReplica: it does.
    """
    if history.is_replica:
        raise ServerIsReplica("the server is a replica of another one")


def _id(told: Mapping[str, Any], name: str) -> bytes | None:
    word = str(told.get(name, ""))
    # A server that has followed nobody says so by zeros.
    return word.encode() if word.strip("0") else None

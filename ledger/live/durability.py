"""What an `accepted` promises: which mode the deployment runs in, and whether its server keeps that promise.

| mode | before the answer | lost when the server is killed | lost with its machine |
|---|---|---|---|
| durable | the record is on the server's disk | nothing | nothing, once the disk is back |
| replicated | it is on the server's disk and on that of one replica | nothing | nothing |
| fast | the server has it in memory | up to two seconds | up to two seconds |
"""

from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError

from ledger.config import Durability
from ledger.errors import LedgerError, LedgerUnavailable

_REPLICATED_VERSION: Final = (7, 2)
"""The first Redis with WAITAOF; every Valkey has it."""
_log = structlog.get_logger()


class NotDurable(LedgerError):
    """The server is set up so that it cannot keep what the configured mode promises."""


class NotReplicated(ConnectionError):
    """The record is on the server's disk, and no replica has said in time that it is on its own as well.

    A kind of lost connection: whether the promise was kept is not known, and the same id told again tells.
    """


async def check_server(redis: Redis, durability: Durability) -> None:
    """See that the server's settings are those that the mode needs. A server that does not tell them is trusted.

    Raises:
        NotDurable: they are not; the message names the setting.
        LedgerUnavailable: no replica is connected now, and the mode needs one.
        redis.RedisError, OSError: the server does not answer.
    """
    settings: Any
    try:
        settings = await redis.config_get("append*", "maxmemory-policy")
    except ResponseError as exc:
        # Managed servers forbid CONFIG; what they promise is written in their contract.
        _log.warning("durability_not_checked", error=str(exc))
        settings = {}
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise NotDurable(f"the server's maxmemory-policy is {policy}: it would forget wallets; set it to noeviction")
    if durability is not Durability.FAST:
        for name, needed in (("appendonly", "yes"), ("appendfsync", "always")):
            found = settings.get(name, needed)
            if found != needed:
                raise NotDurable(
                    f"the server's {name} is {found}, and `{durability.value}` needs {needed}: set it, or say"
                    ' `ledger.durability = "fast"` and lose up to two seconds of accepted gifts when it is killed'
                )
    if durability is Durability.REPLICATED:
        await _check_replica(redis)


async def _check_replica(redis: Redis) -> None:
    server: Any = await redis.info("server")
    version = str(server.get("redis_version", "0"))
    if "valkey_version" not in server and tuple(map(int, version.split(".")[:2])) < _REPLICATED_VERSION:
        raise NotDurable(f"the server is Redis {version}: `replicated` needs Redis 7.2, or Valkey")
    replication: Any = await redis.info("replication")
    if not int(replication.get("connected_slaves", 0)):
        raise LedgerUnavailable("no replica is connected: `replicated` needs one, with appendonly on")

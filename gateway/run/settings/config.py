"""Everything an operator may set, as one frozen value, with the place that each setting comes from.

The sections belong to the parts that use them; this file puts them together and turns on what the demo needs. How
values are gathered from flags, environment and file is the matter of `sources`.
"""

import os
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from gateway.admission.config import AdmissionConfig
from gateway.edge.config import EdgeConfig
from gateway.http.config import HttpConfig
from gateway.room.config import RoomConfig
from ledger.config import Endpoints, LedgerConfig
from ledger.rails.config import StripeConfig

_Url = Annotated[str, Meta(min_length=1, max_length=4096)]

SECRETS: Final = frozenset({"signing_key", "redis_url", "database_url", "secret_key", "webhook_secret"})
"""Settings that are never shown as they are."""


class EmbeddedConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the embedded servers and of those who watch the processes.

    Attributes:
        valkey_memory_bytes_max: memory that Valkey may hold before it refuses writes; 0 for half of the machine's.
        postgres_shared_buffers_mb: PostgreSQL's own cache.
        postgres_connections_max: connections that PostgreSQL accepts.
        start_ms_max: how long a process may take until it is ready.
        stop_ms_max: how long a process may take to stop before it is killed.
        quick_death_ms: a process that dies sooner than this after its start died quickly.
        quick_deaths_max: so many quick deaths one after another end `serve`.
        restart_pause_ms_max: the longest pause before a dead process is started again.
        log_bytes_max: size at which a process's log file is put aside; one older file is kept.
    """

    valkey_memory_bytes_max: Annotated[int, Meta(ge=0, le=2**50)] = 0
    postgres_shared_buffers_mb: Annotated[int, Meta(ge=1, le=2**20)] = 128
    postgres_connections_max: Annotated[int, Meta(ge=10, le=1000)] = 60
    start_ms_max: Annotated[int, Meta(ge=1000, le=600_000)] = 60_000
    stop_ms_max: Annotated[int, Meta(ge=100, le=600_000)] = 10_000
    quick_death_ms: Annotated[int, Meta(ge=1, le=600_000)] = 3_000
    quick_deaths_max: Annotated[int, Meta(ge=1, le=100)] = 6
    restart_pause_ms_max: Annotated[int, Meta(ge=1, le=60_000)] = 3_000
    log_bytes_max: Annotated[int, Meta(ge=65_536, le=2**40)] = 16 * 2**20


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of a process.

    Attributes:
        data_dir: where everything that must outlive a restart is kept.
        host, port: where the gateways answer; port 0 lets `serve` choose a free one.
        workers: gateway processes that share the port; 0 for one for every two processors.
        demo: the demo room, its guests and the sandbox rail; never on a public address.
        redis_url, database_url: servers of your own; where one is not given, `serve` brings an embedded one and the
            other commands ask the data folder.
        signing_key: the key of all tokens, at least 32 characters; without it the data folder keeps one.
        public_url: how browsers reach us, where it is not `http://host:port`.
        catalog_file: a catalogue in the place of the one that comes along.
        log_level: what is logged.
        drain_ms_max: how long a gateway may take to send its clients elsewhere when it stops, and to answer requests.
    """

    data_dir: Path = Path("var")
    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    workers: Annotated[int, Meta(ge=0, le=128)] = 0
    demo: bool = False
    redis_url: _Url | None = None
    database_url: _Url | None = None
    signing_key: Annotated[str, Meta(min_length=32, max_length=1024)] | None = None
    public_url: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$", max_length=255)] | None = None
    catalog_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_ms_max: Annotated[int, Meta(ge=0, le=600_000)] = 3_000
    embedded: EmbeddedConfig = EmbeddedConfig()
    ledger: LedgerConfig = LedgerConfig()
    rooms: RoomConfig = RoomConfig()
    edge: EdgeConfig = EdgeConfig()
    http: HttpConfig = HttpConfig()
    admission: AdmissionConfig = AdmissionConfig()
    stripe: StripeConfig = StripeConfig()

    @property
    def gateways(self) -> int:
        """How many gateway processes to run."""
        return self.workers or max(1, (os.cpu_count() or 1) // 2)

    @property
    def http_url(self) -> str:
        """How browsers reach us, without a slash at the end."""
        return self.public_url or self.local_url

    @property
    def local_url(self) -> str:
        """How this machine reaches us, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"


_SCHEMES: Final = {"redis_url": ("redis", "rediss", "unix"), "database_url": ("postgresql", "postgres")}


def unusable_url(config: Config) -> str | None:
    """What is wrong with the URL of a server of the operator's; None when nothing is. The URL itself is not told."""
    for name, schemes in _SCHEMES.items():
        url = getattr(config, name)
        if url is None:
            continue
        scheme, found, _ = url.partition("://")
        if not found or scheme not in schemes:
            return f"{name}: begins with none of {', '.join(f'{one}://' for one in schemes)}"
        try:
            parts = urlsplit(url)
            if "," not in parts.netloc:  # PostgreSQL takes several hosts
                _ = parts.port
        except ValueError as exc:
            return f"{name}: {exc}"
    return None


DEMO_DEFAULTS: Final = {("ledger", "maturing_days"): 0, ("ledger", "maturing_interval_ms"): 1_000}
"""What the demo sets unless somebody says otherwise: earnings can be withdrawn at once."""


def located(config: Config, endpoints: Endpoints | None) -> Config:
    """The configuration with both servers named: by the operator, else by the `serve` of the data folder.

    Raises:
        LookupError: one is named by neither.
    """
    redis_url = config.redis_url or (endpoints.redis_url if endpoints else "")
    database_url = config.database_url or (endpoints.database_url if endpoints else "")
    missing = [flag for flag, url in (("--redis-url", redis_url), ("--database-url", database_url)) if not url]
    if missing:
        raise LookupError(f"nothing serves from {config.data_dir}, and no {' and no '.join(missing)} is given")
    ledger = msgspec.structs.replace(config.ledger, redis_url=redis_url, database_url=database_url)
    return msgspec.structs.replace(config, redis_url=redis_url, database_url=database_url, ledger=ledger)

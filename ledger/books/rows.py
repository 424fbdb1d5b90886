"""What the office's tables share: how ids and times stand in them, how long a list is, and what they refuse to hold."""

import contextlib
import datetime
import uuid
from collections.abc import Iterator

from asyncpg import exceptions as pg

from ledger.errors import ValueRefused


def uuid_of(id_bytes: bytes) -> uuid.UUID:
    """An id as PostgreSQL takes it.

    Raises:
        ValueError: not 16 bytes.
    """
    return uuid.UUID(bytes=id_bytes)


def ms_of(at: datetime.datetime) -> int:
    """A time of PostgreSQL in ms since the Unix epoch."""
    return round(at.timestamp() * 1000)


def at_ms(ms: int) -> datetime.datetime:
    """The time of PostgreSQL that is so many ms since the Unix epoch."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


def bounded(limit: int, rows_max: int) -> int:
    """How many rows a list may have that was asked for `limit`."""
    return max(0, min(limit, rows_max))


@contextlib.contextmanager
def refused_values() -> Iterator[None]:
    """Around a statement whose values come from outside: says which value a table cannot hold.

    Raises:
        ValueRefused: a CHECK or a type of PostgreSQL refused one.
    """
    try:
        yield
    except pg.CheckViolationError as exc:
        # Without PostgreSQL's detail, and so without the cause: it shows the whole row, which may not be for logs.
        raise ValueRefused(str(exc.constraint_name), str(exc.args[0])) from None
    except pg.DataError as exc:
        raise ValueRefused("", str(exc.args[0])) from None

"""Databases with the schema and nothing in it, one for each test, without copying the schema's 400 files each time.

What the last test left is emptied and gets another name, so that nobody who still knows the old one reaches it. A
database whose schema or settings a test has changed, or that has grown, makes way for a fresh copy.
"""

import subprocess
from typing import Final

from tests.servers import Postgres, postgres_binaries

GROWN_BYTES: Final = 8 * 2**20
"""Emptying leaves dead rows behind; with so many of them a copy is better."""
# Rows of catalogs say by their xmin that they were written anew; a copy keeps them as they are in its template.
_LOOK: Final = """
SELECT pg_database_size(current_database()), md5(string_agg(concat_ws(' ', kind, id, number, written), ',' ORDER BY
    kind, id, number)) FROM (
    SELECT 'class', oid::text, 0, xmin FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT 'attribute', attrelid::text, attnum, xmin FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT 'default', oid::text, 0, xmin FROM pg_attrdef WHERE oid >= 16384
    UNION ALL SELECT 'constraint', oid::text, 0, xmin FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT 'trigger', oid::text, 0, xmin FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT 'function', oid::text, 0, xmin FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'setting', setconfig::text, setrole::integer, xmin FROM pg_db_role_setting
) AS found (kind, id, number, written);
"""
# Triggers and foreign keys do not count meanwhile.
_ALONE: Final = r"""
\o /dev/null
SET session_replication_role = replica;
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
"""
_TABLES: Final = """
SELECT string_agg(format('DELETE FROM %s;', oid::regclass), ' ') FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace;
"""


class Databases:
    """Gives away one clean database after the other.

    Args:
        template: name of a database with the schema.
    """

    def __init__(self, postgres: Postgres, template: str) -> None:
        self._postgres = postgres
        self._template = template
        self._last: str | None = None
        dump = [str(postgres_binaries() / "pg_dump"), "--data-only", "-d", postgres.url(template)]
        seed = subprocess.run(dump, check=True, capture_output=True, text=True, timeout=60).stdout
        deletes = postgres.run_script(_TABLES, template)
        self._empty = f"{_ALONE}\n{deletes}\n{seed}\n\\o\n{_LOOK}"
        self._size_bytes, self._schema = _look(postgres.run_script(_LOOK, template))

    def clean(self) -> str:
        """Name of a database that holds what the template holds; the one of before is gone."""
        old, self._last = self._last, None
        if old is not None:
            self._last = self._emptied(old)
            if self._last is None:
                self._postgres.drop_database(old)
        if self._last is None:
            self._last = self._postgres.create_database(self._template)
        return self._last

    def _emptied(self, name: str) -> str | None:
        try:
            size_bytes, schema = _look(self._postgres.run_script(self._empty, name))
        except subprocess.CalledProcessError:
            # Such as a table that is gone.
            return None
        if schema != self._schema or size_bytes > self._size_bytes + GROWN_BYTES:
            return None
        return self._postgres.rename_database(name)


def _look(said: str) -> tuple[int, str]:
    size_bytes, schema = said.strip().split("|")
    return int(size_bytes), schema

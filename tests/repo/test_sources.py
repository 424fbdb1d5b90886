"""Sources are small, say why they exist, and hide nothing unfinished."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.repo.sources import PACKAGES, ROOT, Module, files, modules

LINES_MAX = 600
FUNCTION_LINES_MAX = 70
LUA_LINES_MAX = 250
FOLDER_FILES_MAX = 16
VAGUE_NAMES = {"utils", "util", "helpers", "common", "manager", "data", "info", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
ALL = modules()
LUA = [path for package in PACKAGES for path in files(package, "*.lua")]
PARTS = [path for path in LUA if path.parent.name == "parts"]
SCRIPTS = [path for path in LUA if path not in PARTS]


@pytest.mark.parametrize("module", [*ALL, *modules("tests")], ids=lambda module: module.name)
def test_module(module: Module) -> None:
    """It has a docstring and a telling name, and neither it nor a function of it is too long."""
    assert ast.get_docstring(module.tree), "no docstring says why this file exists"
    assert module.name.rpartition(".")[2] not in VAGUE_NAMES
    text = module.path.read_text(encoding="utf-8")
    assert text.count("\n") <= LINES_MAX
    if module.path != Path(__file__):
        assert UNFINISHED.findall(text) == []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_of_a_package(package: str) -> None:
    """None has so many files that nobody knows what is in it: then some of them get a room of their own."""
    held = Counter(module.path.parent for module in modules(package) if module.path.name != "__init__.py")
    assert {str(folder): count for folder, count in held.items() if count > FOLDER_FILES_MAX} == {}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script(path: Path) -> None:
    """Its header says what it does, its KEYS and ARGV in this order, and what it returns; it spells no key itself."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))])
    assert len(lines) <= LUA_LINES_MAX
    assert re.match(r"-- [A-Z].*\n(-- .*\n)*--\n-- KEYS ", header), "no sentence, or no KEYS after it"
    assert re.search(r"\n-- ARGV[ \[](.*\n)+-- returns ", header + "\n"), "no ARGV with what it returns after it"
    body = "\n".join(lines[header.count("\n") + 1 :])
    assert "KEYS" in body
    assert re.findall(r"call\('[A-Z ]+', '[^']*[{:]", body) == []
    assert UNFINISHED.findall("\n".join(lines)) == []


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_part_of_a_script(path: Path) -> None:
    """What stands in front of a script says what it is for; it has no KEYS or ARGV of its own, and spells no key."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LUA_LINES_MAX
    assert re.match(r"-- [A-Z].*\n(-- .*\n)*\nlocal ", text)
    assert re.findall(r"\b(KEYS|ARGV)\b|call\('[A-Z ]+', '[^']*[{:]", text) == []
    assert UNFINISHED.findall(text) == []


def test_docstrings_of_tests() -> None:
    """Every test says in a sentence what is true."""
    silent = [
        f"{module.name}.{node.name}"
        for module in modules("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_lock_files() -> None:
    """Every requirement has a hash, and no line names a registry."""
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert not re.search(
            r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)", text, re.MULTILINE
        )
        pinned = re.findall(r"^[A-Za-z0-9_.-]+(\[[a-z,]+\])?==.*\n(?!\s+--hash=sha256:)", text, re.MULTILINE)
        assert pinned == [], f"{path.name} has requirements without a hash"

"""Every planted bug is noticed by its check, and a product without it passes all of them."""

import compileall
import contextlib
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planted.bugs import BUGS
from tests.planted.checks import CHECKS
from tests.planted.planting import Bug
from tests.repo.sources import PACKAGES, ROOT

SECONDS_MAX = 240
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "web", "static", "e2e", "golden")


@pytest.fixture(scope="module")
def copied() -> Iterator[Path]:
    """A copy of the packages and their tests, compiled so that a text that is changed counts at once."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        for package in (*PACKAGES, "tests"):
            shutil.copytree(ROOT / package, Path(folder) / package, ignore=_LEFT_OUT)
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        yield Path(folder)


@contextlib.contextmanager
def planted(copy: Path, bug: Bug) -> Iterator[None]:
    """The bug is in the copy meanwhile."""
    before = {edit.path: (copy / edit.path).read_text(encoding="utf-8") for edit in bug.edits}
    after = dict(before)
    for edit in bug.edits:
        assert after[edit.path].count(edit.old) == 1, f"{edit.path} has changed: the bug must be planted anew"
        after[edit.path] = after[edit.path].replace(edit.old, edit.new)
    try:
        for path, text in after.items():
            (copy / path).write_text(text, encoding="utf-8")
        yield
    finally:
        for path, text in before.items():
            (copy / path).write_text(text, encoding="utf-8")


def run_check(copy: Path, database_url: str, check: str) -> subprocess.CompletedProcess[str]:
    """The check, on this copy and nothing else of ours, with servers in a folder whose path is short enough."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="gw-") as servers:
        command = [sys.executable, "-m", "tests.planted.checks", servers, database_url, check]
        return subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )


@pytest.mark.parametrize("check", CHECKS)
def test_product_without_a_bug(copied: Path, database_url: str, check: str) -> None:
    """No check finds anything in the copy as it is."""
    done = run_check(copied, database_url, check)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_is_noticed(copied: Path, database_url: str, bug: Bug) -> None:
    """The check that must notice it says what is wrong."""
    with planted(copied, bug):
        done = run_check(copied, database_url, bug.check)
    assert done.returncode == 1, f"{bug.check} noticed nothing: {done.stdout}{done.stderr}"
    assert done.stdout.startswith(f"{bug.check}: ") and bug.says in done.stdout, done.stdout + done.stderr

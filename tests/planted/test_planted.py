"""Every planted bug is noticed by its check, and a product without it passes all of them."""

import os
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
from tests.servers import Postgres

SECONDS_MAX = 60
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "web", "static", "e2e", "golden")


@pytest.fixture
def copied() -> Iterator[Path]:
    """A copy of the packages and their tests, in a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        copy = Path(folder) / "copy"
        for package in (*PACKAGES, "tests"):
            shutil.copytree(ROOT / package, copy / package, ignore=_LEFT_OUT)
        yield copy


@pytest.fixture
def books_url(session_postgres: Postgres, migrated_database: str) -> Iterator[str]:
    """A database with the schema and nothing in it."""
    name = session_postgres.create_database(migrated_database)
    yield session_postgres.url(name)
    session_postgres.drop_database(name)


def run_checks(copy: Path, books_url: str, *checks: str) -> subprocess.CompletedProcess[str]:
    """The checks, on this copy and nothing else of ours."""
    servers = copy.parent / "s"
    servers.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.planted.checks", str(servers), books_url, *checks]
    return subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )


@pytest.mark.parametrize("check", CHECKS)
def test_product_without_a_bug(copied: Path, books_url: str, check: str) -> None:
    """No check finds anything in the copy as it is."""
    done = run_checks(copied, books_url, check)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_is_noticed(copied: Path, books_url: str, bug: Bug) -> None:
    """The check that must notice it says what is wrong."""
    for edit in bug.edits:
        path = copied / edit.path
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.old) == 1, f"{edit.path} has changed: the bug must be planted anew"
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    done = run_checks(copied, books_url, bug.check)
    assert done.returncode == 1, f"{bug.check} noticed nothing: {done.stdout}{done.stderr}"
    assert done.stdout.startswith(f"{bug.check}: ") and bug.says in done.stdout, done.stdout + done.stderr

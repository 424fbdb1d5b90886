"""What is in the repository speaks of the project alone: nothing of the machine on which it was written."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.sources import ROOT

HOSTS = {
    *("127.0.0.1", "localhost", "host", "gateway"),
    *("example.org", "example.com", "gifts.example"),
    *("www.w3.org", "www.apache.org", "www.postgresql.org", "www.standardwebhooks.com"),
    *("api.stripe.com", "checkout.stripe.com"),
    *("github.com", "opencollective.com", "tidelift.com"),
}
"""Hosts that files may name: this machine, examples, standards, and the homes of what we use. No registry is one."""
SYSTEM_FOLDERS = ("home", "root", "Users", "work")
_URL = re.compile(r"\b(?:https?|git\+https|git\+ssh|ssh)://(?:[^@\s/\"']*@)?([A-Za-z0-9.-]+[A-Za-z0-9])")
_TRACKER = re.compile(r"\b(?:issue|ticket|task|pull request|PR|bug)s? ?#?\d+\b|(?<![\w&#/\"'])#\d+\b(?![-;])", re.I)


@functools.cache
def tracked() -> list[Path]:
    """Every file of the repository that is text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone: nobody knows what is tracked")


def test_paths_of_a_machine() -> None:
    """No file names a folder of somebody's machine: not this one's, nor where people's homes are."""
    ours = {str(ROOT), str(Path.home()), sys.prefix}
    homes = re.compile(rf"(?<![\w./~-])/(?:{'|'.join(SYSTEM_FOLDERS)})/[\w.-]+")
    told = []
    for path in tracked():
        text = path.read_text(encoding="utf-8")
        found = homes.findall(text) + [name for name in ours if name.count("/") > 1 and name in text]
        if found:
            told.append((path.relative_to(ROOT), found[:3]))
    assert told == []


def test_hosts_that_are_named() -> None:
    """Every address leads to a host that is expected, so none leads to a registry or into somebody's network."""
    strange = {
        (str(path.relative_to(ROOT)), host)
        for path in tracked()
        for host in _URL.findall(path.read_text(encoding="utf-8"))
        if host.lower() not in HOSTS and not host.startswith("10.")
    }
    assert strange == set()


def test_numbers_of_a_tracker() -> None:
    """Pages and comments say why by themselves; none sends the reader to a number in somebody's tracker."""
    told = [
        (str(path.relative_to(ROOT)), _TRACKER.findall(path.read_text(encoding="utf-8"))[:3])
        for path in tracked()
        if path.suffix in {".md", ".py", ".lua", ".sql", ".ts", ".toml"}
        and _TRACKER.search(path.read_text(encoding="utf-8"))
    ]
    assert told == []

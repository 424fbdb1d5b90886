"""The pages of the project lead where they say."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.repo.sources import ROOT

README_LINES_MAX = 150
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """What can be linked to in a page: its headings, as forges spell them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page(page: Path) -> None:
    """Every link inside of the project leads to a file, and behind `#` to a heading of it."""
    broken = []
    for link in _LINK.findall(prose_of(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_length_of_the_readme() -> None:
    """It can be read in a few minutes."""
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= README_LINES_MAX


def test_pages_that_the_index_names() -> None:
    """docs/README.md leads to every page of docs."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    named = {unquote(link).partition("#")[0] for link in _LINK.findall(index)}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - named == {"README.md"}


def test_targets_of_make() -> None:
    """Every `make` that a page tells somebody to run is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^    )make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"run", "test"} <= told
    assert told <= targets

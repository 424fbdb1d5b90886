"""Fixtures of the pages' tests: one browser and one demo for each file, so that no event loop outlives its file."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Windows, chromium
from tests.serving import Serve, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A running demo."""
    with serving(tmp_path_factory.mktemp("demo") / "var", "--demo") as serve:
        yield serve


@pytest.fixture
def windows(browser: Browser, demo: Serve) -> Iterator[Windows]:
    """Windows onto the demo. A test in which one of them misbehaves fails."""
    windows = Windows(browser, demo)
    yield windows
    faults = windows.close()
    assert faults == []

"""Fixtures of the pages' tests: one demo for all of them, and a browser for each file."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import RESUMED_MAX, Windows, chromium
from tests.serving import Serve, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium. Its driver keeps an event loop, which must not be there for the tests of other files."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A running demo, shared by tests of which each brings guests of its own.

    Every gift is paid at once: one that is settled seconds later would come into another test's sums. And fewer facts
    than by default are too many to be given to who comes back.
    """
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIFTWIRE_ROOMS_UNDO_COINS_MIN", "0")
            patch.setenv("GIFTWIRE_ROOMS_RESUME_FACTS_MAX", str(RESUMED_MAX))
            serve = stack.enter_context(serving(tmp_path_factory.mktemp("demo") / "var", "--demo"))
        yield serve


@pytest.fixture
def windows(browser: Browser, demo: Serve) -> Iterator[Windows]:
    """Windows onto the demo. A test in which one of them misbehaves fails."""
    windows = Windows(browser, demo)
    yield windows
    faults = windows.close()
    assert faults == []

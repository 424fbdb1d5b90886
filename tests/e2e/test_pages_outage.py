"""The pages while the server dies or stops: they come back by themselves, and every gift is taken and shown once."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Windows, has_alerts, is_open
from tests.serving import Serve, serving

GUEST_COINS = 1_000
STOP_S_MAX = 15.0
BACK_MS_MAX = 60_000


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A demo that may be killed."""
    with serving(tmp_path / "var", "--demo", "--workers", "1") as running:
        yield running


@pytest.fixture
def windows(browser: Browser, serve: Serve) -> Iterator[Windows]:
    """Windows onto it. They may log that the network is gone, and nothing else."""
    windows = Windows(browser, serve)
    yield windows
    faults = windows.close()
    assert faults == []


def test_pages_over_a_killed_gateway(windows: Windows, serve: Serve) -> None:
    """Both pages reconnect after kill -9. Gifts before, during and after are paid once and shown once, in order."""
    overlay, guest = windows.overlay(), windows.room()
    overlay.outage = guest.window.outage = True
    guest.choose("Star")
    guest.send("before")
    expect(guest.lines("before")).to_have_count(1)
    gateway = serve.processes()["gateway-1"]
    os.kill(gateway, signal.SIGSTOP)  # so that the next gift is surely on its way when it dies
    guest.choose("Doughnut")
    guest.send("during")
    expect(guest.window.see(".send")).to_have_text("Sending…")
    os.kill(gateway, signal.SIGKILL)
    expect(guest.window.see(".state")).to_have_text("Reconnecting…", timeout=BACK_MS_MAX)
    expect(guest.window.see(".state")).to_have_text("", timeout=BACK_MS_MAX)
    expect(guest.lines("during")).to_have_count(1, timeout=BACK_MS_MAX)
    guest.choose("Balloon")
    guest.send("after")
    expect(guest.lines("after")).to_have_count(1)
    for message in ("before", "during", "after"):
        expect(guest.lines(message)).to_have_count(1)
    guest.shows(GUEST_COINS - 10 - 25 - 30)
    guest.has_paid(30, 25, 10)
    has_alerts(overlay, "before", "during", "after")
    expect(overlay.see(".light")).to_be_hidden()


def test_pages_over_a_restart(windows: Windows, serve: Serve, tmp_path: Path) -> None:
    """Ctrl-C with pages open ends in seconds; after the next start they go on by themselves, with the same balance."""
    overlay, guest, studio = windows.overlay(), windows.room(), windows.studio()
    overlay.outage = guest.window.outage = studio.outage = True
    guest.choose("Perfume")
    guest.send("on the first day")
    guest.shows(GUEST_COINS - 79)
    has_alerts(overlay, "on the first day")
    began_s = time.monotonic()
    assert serve.stop(signal.SIGINT) == 0
    assert time.monotonic() - began_s < STOP_S_MAX
    expect(guest.window.see(".state")).to_have_text("Reconnecting…")
    expect(guest.window.see(".send")).to_be_disabled()
    expect(guest.window.see(".wallet.old")).to_be_visible()
    # Amounts that may have changed since are not called the present ones.
    expect(studio.see(".notice")).to_contain_text("The server cannot be reached.", timeout=BACK_MS_MAX)
    expect(overlay.see(".light.on")).to_be_visible()
    with serving(serve.data_dir, "--demo", "--workers", "1", "--port", str(serve.port)):
        expect(guest.window.see(".state")).to_have_text("", timeout=BACK_MS_MAX)
        is_open(guest.window)
        guest.shows(GUEST_COINS - 79)
        expect(guest.window.see(".wallet.old")).to_have_count(0)
        # Another gift: the same one would go on with the first day's combo when the restart took less than its window.
        guest.choose("Doughnut")
        guest.send("on the second day")
        expect(guest.lines("on the second day")).to_have_count(1)
        guest.shows(GUEST_COINS - 79 - 25)
        has_alerts(overlay, "on the first day", "on the second day")
        expect(studio.see(".tile.first strong")).to_have_text(re.compile("^5,200$"), timeout=BACK_MS_MAX)
        expect(studio.see(".notice")).to_be_hidden(timeout=BACK_MS_MAX)
        guest.has_paid(25, 79)
        # The server must not go before its windows: they would log that it is gone.
        assert windows.close() == []

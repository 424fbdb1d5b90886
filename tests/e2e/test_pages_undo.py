"""A dear gift is taken back in a real browser: by a press in time, everywhere, and not when its time is over."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import NARROW, SHOWN_MS_MAX, SHOWN_S_MAX, WIDE, Guest, Windows, has_alerts
from tests.e2e.test_pages_quiet import CUT, width_of
from tests.serving import Serve, serving
from tests.waiting import wait_until

CAR_COINS: Final = 5_000
CAR_DIAMONDS: Final = CAR_COINS * 50
"""Half of a gift's hundred diamonds a coin."""
GUEST_COINS: Final = 1_000
COINS: Final = GUEST_COINS + CAR_COINS
LONG_MS: Final = 60_000
SHORT_MS: Final = 1_500
ENDED_MS_MAX: Final = 20_000
# A page whose clock goes a hundred times slower goes on to offer what the server has settled.
SLOW_CLOCK: Final = "{ const now = performance.now.bind(performance); performance.now = () => now() / 100; }"


def serve_with(folder: Path, window_ms: int) -> Iterator[Serve]:
    """A demo in which gifts of 5,000 coins can be undone for so long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIFTWIRE_ROOMS_UNDO_COINS_MIN", str(CAR_COINS))
        patch.setenv("GIFTWIRE_ROOMS_UNDO_WINDOW_MS", str(window_ms))
        patch.setenv("GIFTWIRE_LEDGER_UNDO_PAUSE_MS", "0")
        with serving(folder / "var", "--demo", "--workers", "1") as running:
            yield running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A demo with time enough for whatever a test does."""
    yield from serve_with(tmp_path_factory.mktemp("long"), LONG_MS)


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A demo in which the time is soon over."""
    yield from serve_with(tmp_path_factory.mktemp("short"), SHORT_MS)


@pytest.fixture
def hurried_windows(browser: Browser, hurried: Serve) -> Iterator[Windows]:
    """Windows onto it. A test in which one of them misbehaves fails."""
    windows = Windows(browser, hurried)
    yield windows
    assert windows.close() == []


def sender_of_a_car(windows: Windows, message: str = "brm", size: tuple[int, int] = WIDE) -> Guest:
    """A guest with 6,000 coins who has just sent a car."""
    guest = windows.room(size)
    guest.is_granted(CAR_COINS)
    guest.choose("Sports Car", "Treasures")
    guest.send(message)
    guest.shows(GUEST_COINS)
    return guest


def live_diamonds(serve: Serve) -> int:
    """What the demo's creator has earned up to now."""
    with serve.client("demo-creator", "creator") as creator:
        return int(creator.get("/v1/creators/me/earnings").raise_for_status().json()["live_diamonds"])


def is_earned(serve: Serve, diamonds: int) -> None:
    """Wait until the demo's creator has earned so much."""
    wait_until(lambda: live_diamonds(serve) >= diamonds, SHOWN_S_MAX, lambda: f"{live_diamonds(serve)} are earned")
    assert live_diamonds(serve) == diamonds


def test_gift_taken_back(windows: Windows, demo: Serve) -> None:
    """The coins are back, the gift is struck out in every window and off the top list; the creator earned nothing."""
    other, earned = windows.room(), live_diamonds(demo)
    guest = sender_of_a_car(windows)
    name = f"Guest {guest.user[-4:]}"
    expect(other.window.see(".top li").filter(has_text=name)).to_contain_text("5,000", timeout=SHOWN_MS_MAX)
    offer = guest.window.see(".toast.undo")
    expect(offer).to_contain_text("Sports Car")
    expect(offer.locator("button .number")).to_have_text(re.compile(r"\((60|5\d) s\)"))
    offer.locator("button").click()
    expect(guest.window.see(".toast.good")).to_contain_text("5,000 coins are in your wallet", timeout=SHOWN_MS_MAX)
    guest.shows(COINS)
    expect(offer).to_have_count(0)
    for window in (guest.window, other.window):
        line = window.see(".feed .line.undone").filter(has_text=name)
        expect(line).to_contain_text("taken back", timeout=SHOWN_MS_MAX)
        expect(line.locator("s")).to_have_text("Sports Car")
        expect(window.see(".show.screen")).to_have_count(0)
        expect(window.see(".top li").filter(has_text=name)).to_have_count(0, timeout=SHOWN_MS_MAX)
    assert guest.coins() == COINS
    assert live_diamonds(demo) == earned


def test_gift_taken_back_by_the_keyboard(windows: Windows) -> None:
    """Tab leads from Send to the undoing and the focus comes back; Control and Z do it too, but not while one types."""
    guest = sender_of_a_car(windows)
    page = guest.window.page
    guest.window.see(".send").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Undo: take Sports Car back")).to_be_focused()
    page.keyboard.press("Enter")
    guest.shows(COINS)
    expect(guest.window.see(".send")).to_be_focused()
    guest.send()
    guest.shows(GUEST_COINS)
    expect(guest.window.see(".toast.undo")).to_have_count(1)
    guest.window.see(".sendbar > input").focus()
    page.keyboard.press("Control+z")
    expect(guest.window.see(".toast.undo button")).to_have_attribute("aria-disabled", "false")
    guest.window.see(".send").focus()
    page.keyboard.press("Control+z")
    guest.shows(COINS)
    assert guest.coins() == COINS


def test_overlay_lets_go_of_what_was_taken_back(windows: Windows) -> None:
    """It goes from the screen where it is shown, and is never shown where it waits; what comes after is shown."""
    overlay = windows.overlay(clock=True)
    shown = sender_of_a_car(windows, "shown")
    expect(overlay.see(".alert.on .message")).to_have_text("shown", timeout=SHOWN_MS_MAX)
    overlay.stop_clock()
    waiting = sender_of_a_car(windows, "waiting")
    expect(shown.lines("waiting")).to_have_count(1, timeout=SHOWN_MS_MAX)
    waiting.window.see(".toast.undo button").click()
    waiting.shows(COINS)
    shown.window.see(".toast.undo button").click()
    shown.shows(COINS)
    expect(overlay.see(".alert.leaving")).to_have_count(1, timeout=SHOWN_MS_MAX)
    overlay.page.clock.resume()
    expect(overlay.see(".alert.on")).to_have_count(0, timeout=SHOWN_MS_MAX)
    shown.choose("Rose")
    shown.send("after")
    has_alerts(overlay, "shown", "after")


def test_overlay_reloaded_after_a_taking_back(windows: Windows) -> None:
    """A page that comes back shows what waited, and not what was taken back while it was away."""
    overlay = windows.overlay(clock=True)
    guest = sender_of_a_car(windows, "first")
    expect(overlay.see(".alert.on .message")).to_have_text("first", timeout=SHOWN_MS_MAX)
    overlay.stop_clock()
    guest.is_granted(CAR_COINS)
    guest.send("regretted")
    guest.shows(GUEST_COINS)
    guest.choose("Balloon")
    guest.send("kept")
    expect(guest.lines("kept")).to_have_count(1, timeout=SHOWN_MS_MAX)
    address = overlay.page.url
    overlay.page.goto("about:blank")
    guest.window.see(".toast.undo button").last.click()
    expect(guest.window.see(".line.undone")).to_have_count(1, timeout=SHOWN_MS_MAX)
    overlay.page.clock.resume()
    overlay.page.goto(address)
    has_alerts(overlay, "first", "kept")


def test_undoing_while_the_shop_is_open(windows: Windows) -> None:
    """The offer is in reach over an open dialog, stays when that closes, and fits a small screen."""
    guest = sender_of_a_car(windows, size=NARROW)
    guest.window.see(".wallet").click()
    expect(guest.window.see(".pack").first).to_be_visible(timeout=SHOWN_MS_MAX)
    expect(guest.window.see("dialog[open] .toast.undo")).to_be_visible(timeout=SHOWN_MS_MAX)
    assert guest.window.page.evaluate(CUT) == []
    assert width_of(guest.window) == NARROW[0]
    guest.window.page.keyboard.press("Escape")
    expect(guest.window.see("body > .toasts .toast.undo")).to_be_visible(timeout=SHOWN_MS_MAX)
    guest.window.see(".toast.undo button").click()
    guest.shows(COINS)


def test_undoing_in_another_window_of_the_same_viewer(windows: Windows, demo: Serve) -> None:
    """The offer goes, and the balance follows, without a word."""
    guest = sender_of_a_car(windows)
    expect(guest.lines("brm")).to_have_count(1, timeout=SHOWN_MS_MAX)
    with demo.client("demo-creator", "creator") as creator:
        told = creator.get("/v1/rooms/demo/events").raise_for_status().json()["events"]
    (gift,) = [event["id"] for event in told if event["sender"]["id"] == guest.user]
    with demo.client(guest.user, "viewer") as viewer:
        viewer.post(f"/v1/gifts/{gift}/undo").raise_for_status()
    expect(guest.window.see(".toast.undo")).to_have_count(0, timeout=SHOWN_MS_MAX)
    guest.shows(COINS)
    expect(guest.window.see(".toast")).to_have_count(0)


def test_offer_ends_with_its_time(hurried_windows: Windows, hurried: Serve) -> None:
    """Nobody presses: the offer goes by the server's clock, the gift stays and is paid."""
    earned = live_diamonds(hurried)
    guest = sender_of_a_car(hurried_windows)
    expect(guest.window.see(".toast.undo")).to_have_count(0, timeout=ENDED_MS_MAX)
    is_earned(hurried, earned + CAR_DIAMONDS)
    assert guest.coins() == GUEST_COINS
    expect(guest.lines("brm")).to_have_count(1)
    assert guest.window.see(".line.undone").count() == 0


def test_undoing_too_late(hurried_windows: Windows, hurried: Serve) -> None:
    """A page with a wrong clock is told in words that the gift can no longer be taken back, and nothing moves."""
    earned = live_diamonds(hurried)
    window = hurried_windows.open("/rooms/demo")
    window.page.add_init_script(SLOW_CLOCK)
    window.page.reload()
    expect(window.see(".send")).to_be_enabled(timeout=SHOWN_MS_MAX)
    guest = Guest(window, hurried)
    guest.is_granted(CAR_COINS)
    guest.choose("Sports Car", "Treasures")
    guest.send()
    guest.shows(GUEST_COINS)
    expect(window.see(".toast.undo")).to_be_visible()
    is_earned(hurried, earned + CAR_DIAMONDS)
    window.see(".toast.undo button").click()
    expect(window.see(".toast.bad")).to_contain_text("can no longer be taken back", timeout=SHOWN_MS_MAX)
    expect(window.see(".toast.undo")).to_have_count(0)
    assert guest.coins() == GUEST_COINS

"""The viewer's page of spending limits in a real browser: what is spent, cuts, raises, and refusals that lead there."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import NARROW, SHOWN_MS_MAX, WIDE, Guest, Window, Windows, is_open, new_order
from tests.e2e.test_pages_quiet import CUT, width_of
from tests.serving import Serve

GUEST_COINS = 1_000
A_DAY_FROM_NOW = re.compile(r"from tomorrow at \d\d:\d\d; 100 until then")


def limit(window: Window, name: str) -> Locator:
    """Where one of the limits stands."""
    return window.see(f'.limit[aria-label="{name}"]')


def open_limits(window: Window) -> None:
    """Open the page of limits from the head of the room's."""
    window.see('button[aria-label="Your spending limits"]').click()
    expect(window.see(".limits")).to_be_visible(timeout=SHOWN_MS_MAX)


def wish(window: Window, name: str, coins: str) -> None:
    """Type a limit of one's own and save it."""
    limit(window, name).locator("input").fill(coins)
    window.see(".limits .primary").click()


def told_limit(guest: Guest, name: str) -> dict[str, object]:
    """A limit as the server tells it."""
    found: dict[str, object] = guest.told("/v1/me/limits")[name]
    return found


def test_limit_lowered_and_raised(windows: Windows) -> None:
    """A first limit holds at once; a higher one is shown with the time from which it holds, and can be taken back."""
    guest = windows.room()
    open_limits(guest.window)
    day = limit(guest.window, "A day")
    expect(guest.window.see(".limits .primary")).to_be_disabled()
    day.locator("input").fill("100")
    expect(day.locator(".effect")).to_have_text("Holds as soon as you save.")
    guest.window.see(".limits .primary").click()
    expect(day).to_contain_text("0 of 100 coins spent", timeout=SHOWN_MS_MAX)
    day.locator("input").fill("500")
    expect(day.locator(".effect")).to_have_text("Waits before it holds. Until then: 100.")
    guest.window.see(".limits .primary").click()
    expect(day.locator(".pending")).to_contain_text(A_DAY_FROM_NOW, timeout=SHOWN_MS_MAX)
    expect(day).to_contain_text("0 of 100 coins spent")
    assert told_limit(guest, "day")["own_coins"] == 100
    day.locator(".pending button").click()
    expect(day.locator(".pending")).to_be_empty(timeout=SHOWN_MS_MAX)
    expect(day.locator("input")).to_have_value("100")
    assert told_limit(guest, "day")["pending"] is None


def test_limit_of_a_gift_is_passed(windows: Windows) -> None:
    """A gift beyond a limit takes nothing, says the numbers, and leads to the limits and to what was spent."""
    guest = windows.room()
    open_limits(guest.window)
    wish(guest.window, "A day", "30")
    expect(limit(guest.window, "A day")).to_contain_text("0 of 30", timeout=SHOWN_MS_MAX)
    guest.window.page.keyboard.press("Escape")
    guest.choose("Doughnut")
    guest.send()
    guest.shows(GUEST_COINS - 25)
    guest.choose("Star")
    guest.send()
    toast = guest.window.see(".toast.bad")
    expect(toast).to_contain_text("You may spend 30 coins in a day, and 25 are spent.", timeout=SHOWN_MS_MAX)
    expect(toast).to_contain_text("Counting starts anew")
    toast.locator("button").click()
    expect(limit(guest.window, "A day")).to_contain_text("25 of 30 coins spent", timeout=SHOWN_MS_MAX)
    assert guest.coins() == GUEST_COINS - 25


@pytest.mark.parametrize("typed", ["1.5", "-1", "9007199254740992"])
def test_limit_that_is_no_number_of_coins(windows: Windows, typed: str) -> None:
    """It is pointed at, and nothing is changed."""
    guest = windows.room()
    open_limits(guest.window)
    limit(guest.window, "One gift").locator("input").fill("7")
    wish(guest.window, "A month", typed)
    expect(limit(guest.window, "A month").locator("input")).to_be_focused()
    assert told_limit(guest, "gift")["own_coins"] is None


def test_own_limits_are_needed_first(windows: Windows, demo: Serve) -> None:
    """Where a country asks for own limits, the refusal leads to them, names those that lack, and the gift goes then."""
    window = viewer_of(windows, demo, {"age_at_least": 30, "country": "CN"})
    window.see(".send").click()
    toast = window.see(".toast.bad")
    expect(toast).to_contain_text("Set a limit of your own for a gift and a day", timeout=SHOWN_MS_MAX)
    toast.locator("button").click()
    expect(window.see(".notice")).to_contain_text("for a gift and a day", timeout=SHOWN_MS_MAX)
    expect(limit(window, "One gift").locator("input")).to_be_focused()
    limit(window, "One gift").locator("input").fill("50")
    wish(window, "A day", "100")
    expect(window.see(".notice")).to_be_hidden(timeout=SHOWN_MS_MAX)
    window.page.keyboard.press("Escape")
    window.see(".send").click()
    expect(window.see(".wallet .number")).to_have_text("499", timeout=SHOWN_MS_MAX)


@pytest.mark.parametrize(
    ("age", "words"),
    [(6, "You must be 8 or older for this."), (12, "Until you are 17, a guardian must consent to this first.")],
)
def test_gift_that_age_forbids(windows: Windows, demo: Serve, age: int, words: str) -> None:
    """It is said in words with the age, in the room and on the page of limits."""
    window = viewer_of(windows, demo, {"age_at_least": age, "country": "CN"})
    window.see(".send").click()
    expect(window.see(".toast.bad")).to_have_text(words, timeout=SHOWN_MS_MAX)
    open_limits(window)
    expect(window.see(".notice")).to_have_text(words)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_limits_fit(windows: Windows, size: tuple[int, int]) -> None:
    """Nothing of them is cut off, with a raise that waits too, and the keyboard reaches each field and the end."""
    guest = windows.room(size)
    open_limits(guest.window)
    wish(guest.window, "A week", "100")
    expect(limit(guest.window, "A week")).to_contain_text("0 of 100", timeout=SHOWN_MS_MAX)
    wish(guest.window, "A week", "")
    expect(limit(guest.window, "A week")).to_contain_text("No limit from tomorrow", timeout=SHOWN_MS_MAX)
    assert guest.window.page.evaluate(CUT) == []
    assert width_of(guest.window) == size[0]
    guest.window.see(".limitsbox .close").focus()
    for name in ("One gift", "A day", "A week"):
        guest.window.page.keyboard.press("Tab")
        expect(limit(guest.window, name).locator("input")).to_be_focused()
    guest.window.page.keyboard.press("Escape")
    expect(guest.window.see('button[aria-label="Your spending limits"]')).to_be_focused()


def viewer_of(windows: Windows, demo: Serve, known: dict[str, object]) -> Window:
    """The room's page of a viewer of whom an operator told this, with 500 coins."""
    viewer = f"aged-{new_order()}"
    with demo.client("op", "operator") as operator:
        grant = {"id": new_order(), "user": viewer, "coins": 500, "reason": "test"}
        operator.post("/v1/admin/grants", json=grant).raise_for_status()
        operator.put(f"/v1/admin/users/{viewer}/age", json=known).raise_for_status()
    window = windows.open(f"/rooms/demo#token={demo.signer.token(viewer, 'viewer')}")
    is_open(window)
    expect(window.see(".wallet .number")).to_have_text("500", timeout=SHOWN_MS_MAX)
    return window

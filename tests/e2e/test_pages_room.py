"""The room's page in a real browser: coins are bought and given, and everybody in the room sees it."""

import re

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.e2e.browser import NARROW, SHOWN_MS_MAX, SHOWN_S_MAX, Window, Windows, grant, is_open, new_order, number
from tests.serving import Serve
from tests.waiting import wait_until

GUEST_COINS = 1_000
PRESSES = 5


def checkout_of(window: Window) -> int:
    """Take the smallest package as far as its checkout; coins and bonus that it promises."""
    window.see(".wallet").click()
    window.see(".pack").first.click()
    expect(window.see(".checkout .order")).to_be_visible(timeout=SHOWN_MS_MAX)
    return sum(number(amount) for amount in window.see(".checkout .order .coins").all())


def test_package_paid(windows: Windows) -> None:
    """Paying at the sandbox's card raises the wallet by exactly the coins and the bonus that the checkout named."""
    guest = windows.room()
    promised = checkout_of(guest.window)
    assert promised > 0
    guest.window.see(".checkout .primary").click()
    guest.shows(GUEST_COINS + promised)
    expect(guest.window.see(".toast.good")).to_contain_text(f"{promised} coins are in your wallet")
    expect(guest.window.see("dialog[open]")).to_have_count(0)
    assert guest.coins() == GUEST_COINS + promised


def test_package_declined(windows: Windows) -> None:
    """A declined card leaves the wallet as it is, and says so."""
    guest = windows.room()
    checkout_of(guest.window)
    guest.window.see('.checkout button:text-is("Decline")').click()
    expect(guest.window.see(".toast.bad")).to_contain_text("declined", timeout=SHOWN_MS_MAX)
    guest.shows(GUEST_COINS)
    assert guest.coins() == GUEST_COINS


def test_amount_of_ones_own(windows: Windows) -> None:
    """An amount of one's own is sold to the coin."""
    guest = windows.room()
    guest.window.see(".wallet").click()
    guest.window.see(".custom input").fill("777")
    guest.window.see(".custom button").click()
    guest.window.see(".checkout .primary").click()
    guest.shows(GUEST_COINS + 777)
    assert guest.coins() == GUEST_COINS + 777


def test_gift_with_a_message(windows: Windows) -> None:
    """A rose takes its price from the wallet, and stands in the feed with its message and in the top list."""
    guest = windows.room()
    guest.choose("Rose")
    guest.send("for you & <b>you</b>")
    guest.shows(GUEST_COINS - 1)
    line = guest.lines("for you & <b>you</b>")
    expect(line).to_have_count(1, timeout=SHOWN_MS_MAX)
    expect(line).to_contain_text("Rose")
    expect(line).to_have_class(re.compile(r"\bmine\b"))
    expect(guest.window.see(".top .mine .coins")).to_have_text("1", timeout=SHOWN_MS_MAX)
    assert guest.coins() == GUEST_COINS - 1
    guest.has_paid(1)


def test_gift_in_another_window(windows: Windows) -> None:
    """Somebody else in the room sees who gave what, and pays nothing."""
    sender, other = windows.room(), windows.room()
    sender.choose("Star")
    sender.send("hello from the left")
    line = other.lines("hello from the left")
    expect(line).to_have_count(1, timeout=SHOWN_MS_MAX)
    expect(line).to_contain_text(f"Guest {sender.user[-4:]}")
    expect(line).to_contain_text("Star")
    expect(line).not_to_have_class(re.compile(r"\bmine\b"))
    expect(other.window.see(".top li").filter(has_text=f"Guest {sender.user[-4:]}")).to_contain_text("10")
    assert (sender.coins(), other.coins()) == (GUEST_COINS - 10, GUEST_COINS)


def test_wallet_that_was_asked_for_before_coins_came(windows: Windows) -> None:
    """An answer over HTTP that is slower than the news does not put the old balance in the place of the new one."""
    guest = windows.room()
    page, held = guest.window.page, list[tuple[Route, APIResponse]]()
    page.route("**/v1/wallet", lambda route: held.append((route, route.fetch())))
    page.reload()
    wait_until(lambda: bool(page.evaluate("1")) and bool(held), SHOWN_S_MAX)
    guest.is_granted(50)
    with page.expect_response("**/v1/wallet"):
        for route, answer in held:
            assert answer.json()["balance_coins"] == GUEST_COINS
            route.fulfill(response=answer)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    guest.shows(GUEST_COINS + 50)


def test_top_list_follows_the_last_gift(windows: Windows) -> None:
    """A gift that comes right after the top list was shown is counted in it too, although nothing follows it."""
    guest = windows.room()
    mine = guest.window.see(".top .mine .coins")
    guest.choose("Headphones", "Delights")
    guest.send()
    expect(mine).to_have_text("349", timeout=SHOWN_MS_MAX)
    guest.send()
    expect(mine).to_have_text("698", timeout=SHOWN_MS_MAX)


def test_anonymous_gift(windows: Windows) -> None:
    """Nobody is told who gave an anonymous gift."""
    sender, other = windows.room(), windows.room()
    sender.choose("Coffee")
    sender.window.see('.check input[type="checkbox"]').check()
    sender.send("guess who")
    line = other.lines("guess who")
    expect(line).to_contain_text("Someone", timeout=SHOWN_MS_MAX)
    expect(line).not_to_contain_text(sender.user[-4:])
    sender.shows(GUEST_COINS - 5)


def test_combo_counts_up_and_ends(windows: Windows) -> None:
    """Presses in a row are one line that counts up and then ends; the wallet falls by each press, in the books too."""
    guest = windows.room()
    guest.choose("Doughnut")
    guest.send("once")
    for count in range(2, PRESSES + 1):
        expect(guest.window.see(".combo:not(.hidden)")).to_be_visible(timeout=SHOWN_MS_MAX)
        guest.send()
        expect(guest.window.see(".tally")).to_have_text(f"×{count}", timeout=SHOWN_MS_MAX)
    line = guest.window.see(".feed .line.mine")
    expect(line).to_have_count(1)
    expect(line.locator(".times")).to_have_text(f"×{PRESSES}", timeout=SHOWN_MS_MAX)
    expect(line).not_to_have_class(re.compile(r"\bopen\b"), timeout=SHOWN_MS_MAX)
    expect(guest.window.see(".combo")).to_be_hidden()
    guest.shows(GUEST_COINS - PRESSES * 25)
    assert guest.coins() == GUEST_COINS - PRESSES * 25
    guest.has_paid(*[25] * PRESSES)


def test_several_at_once(windows: Windows) -> None:
    """Fifty hearts by one press cost fifty hearts."""
    guest = windows.room()
    guest.choose("Heart")
    guest.window.see(".sends select").select_option("50")
    expect(guest.window.see(".send")).to_have_text("Send · 50")
    guest.send()
    expect(guest.window.see(".feed .line.mine .times")).to_have_text("×50", timeout=SHOWN_MS_MAX)
    guest.shows(GUEST_COINS - 50)
    guest.has_paid(50)


def test_dear_gift_fills_the_stage(windows: Windows) -> None:
    """A gift that fills the screen is drawn over the whole stage, with who sent it, in every window."""
    guest, other = windows.room(), windows.room()
    guest.is_granted(5_000)
    guest.choose("Sports Car", "Treasures")
    guest.send()
    for window in (guest.window, other.window):
        expect(window.see(".show.screen .art svg path").first).to_be_attached(timeout=SHOWN_MS_MAX)
        expect(window.see(".show.screen .caption")).to_contain_text("sent Sports Car")
        art, stage = (window.see(place).bounding_box() for place in (".show.screen .art svg", ".effects"))
        assert art is not None
        assert art == stage
    guest.shows(GUEST_COINS)


def test_gift_beyond_the_wallet(windows: Windows) -> None:
    """A gift that the coins do not suffice for takes nothing, and leads to the shop, which says how many lack."""
    guest = windows.room()
    guest.choose("Sports Car", "Treasures")
    guest.send()
    toast = guest.window.see(".toast.bad")
    expect(toast).to_contain_text("enough coins", timeout=SHOWN_MS_MAX)
    toast.locator("button").click()
    expect(guest.window.see(".shop[open] .hint")).to_have_text("You need 4,000 more coins for this gift.")
    expect(guest.window.see(".pack.fits .coins").first).to_have_text("5,000", timeout=SHOWN_MS_MAX)
    assert guest.coins() == GUEST_COINS
    assert guest.gifts() == []


def test_reload_keeps_the_guest(windows: Windows) -> None:
    """After a reload it is the same guest with the same coins."""
    guest = windows.room()
    guest.choose("Rose")
    guest.send()
    guest.shows(GUEST_COINS - 1)
    guest.window.page.reload()
    guest.shows(GUEST_COINS - 1)
    assert guest.window.stored("giftwire.guest")["user"] == guest.user


@pytest.mark.parametrize("size", [NARROW, (360, 640)])
def test_send_is_seen_on_a_phone(windows: Windows, size: tuple[int, int]) -> None:
    """Where the page opens the whole button is seen, on a small phone too, and the first gifts with it."""
    window = windows.room(size).window
    for place in (".send", ".gift >> nth=0"):
        expect(window.see(place)).to_be_in_viewport(ratio=1)


def test_reload_keeps_the_bearer_of_a_token(windows: Windows, demo: Serve) -> None:
    """Whoever came with a token is the same viewer after a reload, with the same wallet, and no guest of the demo."""
    viewer = f"token-{new_order()}"
    grant(demo, viewer, 77)
    window = windows.open(f"/rooms/demo#token={demo.signer.token(viewer, 'viewer')}")
    for _ in range(2):
        is_open(window)
        expect(window.see(".wallet .number")).to_have_text("77")
        assert "token" not in window.page.url
        window.page.reload()

"""The studio in a real browser: a creator sees what a gift brought, and has it paid out."""

from typing import Any

from playwright.sync_api import expect

from tests.e2e.browser import SHOWN_MS_MAX, Guest, Window, Windows, number
from tests.serving import Serve
from tests.waiting import wait_until

GIFT_COINS = 2_500
DIAMONDS = GIFT_COINS * 50
"""Half of a gift's hundred diamonds a coin."""
WITHDRAWN = 100_000
MATURES_S_MAX = 30.0
REFRESHED_MS_MAX = 20_000
TILES = ("Earned, live", "Pending", "Available", "Withdrawn")


def tiles(studio: Window) -> dict[str, int]:
    """The amounts at the top of the studio."""
    found = studio.see(".tiles .tile strong").all()
    return dict(zip(TILES, map(number, found), strict=True))


def tile(studio: Window, name: str) -> Any:
    """Where one of them stands."""
    return studio.see(".tile").filter(has=studio.page.locator(f'h3:text-is("{name}")')).locator("strong")


def give_swan(windows: Windows) -> Guest:
    """A guest who gives a swan."""
    guest = windows.room()
    guest.is_granted(GIFT_COINS)
    guest.choose("Swan", "Treasures")
    guest.send()
    guest.has_paid(GIFT_COINS)
    return guest


def test_earnings_after_commission(windows: Windows, demo: Serve) -> None:
    """Of a gift half comes to the creator, and the studio says so while it is open."""
    studio = windows.studio()
    before = _when_matured(demo, studio)
    expect(studio.see(".split")).to_contain_text("You 50%")
    give_swan(windows)
    for name in ("Earned, live", "Available"):
        expect(tile(studio, name)).to_have_text(f"{before[name] + DIAMONDS:,}", timeout=REFRESHED_MS_MAX)
    # The page promises no cent that is not there whole.
    cents = (before[TILES[0]] + DIAMONDS) // 100
    expect(studio.see(".tile.first .amount span.muted")).to_have_text(f"${cents / 100:,.2f}")
    expect(studio.see(".chart .bar")).not_to_have_count(0)


def test_withdrawal_from_request_to_paid(windows: Windows, demo: Serve) -> None:
    """A withdrawal takes its diamonds out of what is available at once, and the page follows it until it is paid."""
    give_swan(windows)
    studio = windows.studio()
    before = _when_matured(demo, studio)
    _add_method(studio)
    studio.see('.withdraw input[type="number"]').fill(str(WITHDRAWN))
    expect(studio.see(".withdraw .row")).to_contain_text("Pays $10.00")
    studio.see(".withdraw .primary").click()
    entry = studio.see(".withdrawals li").first
    expect(entry.locator(".badge")).to_have_text("Requested", timeout=SHOWN_MS_MAX)
    expect(entry).to_contain_text("$10.00")
    expect(entry).to_contain_text("100,000 diamonds")
    expect(tile(studio, "Available")).to_have_text(f"{before['Available'] - WITHDRAWN:,}", timeout=REFRESHED_MS_MAX)
    expect(tile(studio, "Withdrawn")).to_have_text(f"{before['Withdrawn']:,}")
    _walk(demo, "review", "approve", "send", "pay")
    expect(entry.locator(".badge")).to_have_text("Paid", timeout=REFRESHED_MS_MAX)
    expect(tile(studio, "Withdrawn")).to_have_text(f"{before['Withdrawn'] + WITHDRAWN:,}", timeout=REFRESHED_MS_MAX)
    assert tiles(studio)["Available"] == before["Available"] - WITHDRAWN


def test_withdrawal_of_too_little(windows: Windows) -> None:
    """Less than the smallest payout is refused in words, and nothing is listed."""
    give_swan(windows)
    studio = windows.studio()
    _add_method(studio)
    listed = studio.see(".withdrawals li").count()
    studio.see('.withdraw input[type="number"]').fill("100")
    studio.outage = True  # a refusal is an error in the browser's log
    studio.see(".withdraw .primary").click()
    words = "This is less than the smallest withdrawal. It would pay 0.01 USD; the smallest pays 10.00 USD."
    expect(studio.see(".toast.bad")).to_contain_text(words, timeout=SHOWN_MS_MAX)
    expect(studio.see(".withdrawals li")).to_have_count(listed)


def test_overlay_link(windows: Windows) -> None:
    """A link made in the studio opens the overlay, and stands in the list of those that can be taken back."""
    studio = windows.studio()
    studio.see('button:text-is("Make a new link")').click()
    field = studio.see('input[aria-label="Overlay link"]')
    expect(field).not_to_have_value("", timeout=SHOWN_MS_MAX)
    expect(studio.see(".tokens li")).not_to_have_count(0, timeout=SHOWN_MS_MAX)
    link = field.input_value()
    assert link.startswith(f"{windows.serve.url}/overlay/demo#token=")
    overlay = windows.open(link.removeprefix(windows.serve.url))
    guest = windows.room()
    guest.choose("Rose")
    guest.send("over the new link")
    expect(overlay.see(".alert.on .message")).to_have_text("over the new link", timeout=SHOWN_MS_MAX)


def _when_matured(demo: Serve, studio: Window) -> dict[str, int]:
    """The studio's tiles once nothing is pending any more: what follows is not moved by a gift."""
    with demo.client("demo-creator", "creator") as creator:

        def pending() -> int:
            told = creator.get("/v1/creators/me/earnings").raise_for_status().json()
            settled = ("available_diamonds", "on_hold_diamonds", "paid_out_diamonds")
            return int(told["live_diamonds"]) - sum(int(told[name]) for name in settled)

        wait_until(lambda: pending() == 0, MATURES_S_MAX, lambda: f"{pending()} diamonds are pending")
    studio.page.reload()
    expect(studio.see(".tiles")).to_be_visible(timeout=SHOWN_MS_MAX)
    return tiles(studio)


def _add_method(studio: Window) -> None:
    studio.see('.withdraw button:text-is("Add…")').click()
    studio.see('.method input[placeholder="My bank"]').fill("My bank")
    studio.see('.method input[autocomplete="off"]').fill("DE02120300000000202051")
    studio.see(".method .primary").click()
    expect(studio.see(".method[open]")).to_have_count(0, timeout=SHOWN_MS_MAX)
    expect(studio.see(".withdraw .primary")).to_be_enabled()


def _walk(demo: Serve, *steps: str) -> None:
    with demo.client("op", "operator") as operator:
        listed = operator.get("/v1/admin/withdrawals?state=requested").raise_for_status().json()["withdrawals"]
        assert len(listed) == 1
        for step in steps:
            operator.post(f"/v1/admin/withdrawals/{listed[0]['id']}/{step}", json={}).raise_for_status()

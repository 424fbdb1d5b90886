"""The overlay in a real browser: every gift is shown, one after another, each once."""

import time

from playwright.sync_api import expect

from ledger.ids import format_id, new_id
from tests.e2e.browser import RESUMED_MAX, SHOWN_MS_MAX, Windows, has_alerts

PRESSES = 4
PICTURE_PX_MIN = 100
ALERT_MS_MAX = 20_000


def test_overlay_shows_who_sent_what(windows: Windows) -> None:
    """An alert has the sender, the gift, what it cost and the message, and its drawing plays."""
    overlay, guest = windows.overlay(), windows.room()
    guest.choose("Balloon")
    guest.send("up, up <i>and</i> away")
    card = overlay.see(".alert.on .card")
    expect(card).to_contain_text(f"Guest {guest.user[-4:]}", timeout=SHOWN_MS_MAX)
    expect(card).to_contain_text("sent Balloon")
    expect(card.locator(".amount")).to_have_text("30")
    expect(card.locator(".message")).to_have_text("up, up <i>and</i> away")
    expect(overlay.see(".alert.on .art svg path").first).to_be_attached(timeout=SHOWN_MS_MAX)
    expect(overlay.see(".light")).to_be_hidden()
    has_alerts(overlay, "sent Balloon")


def test_overlay_counts_a_combo_up(windows: Windows) -> None:
    """A combo is one alert that counts up in its place, however many presses it had; then it goes."""
    overlay, guest = windows.overlay(), windows.room()
    guest.choose("Ice Cream")
    guest.send()
    card = overlay.see(".alert.on .card")
    expect(card).to_contain_text("sent Ice Cream", timeout=SHOWN_MS_MAX)
    for count in range(2, PRESSES + 1):
        guest.send()
        expect(card.locator(".times")).to_have_text(f"×{count}", timeout=SHOWN_MS_MAX)
    expect(card.locator(".amount")).to_have_text(str(PRESSES * 5))
    expect(card).to_have_count(0, timeout=ALERT_MS_MAX)
    has_alerts(overlay, "sent Ice Cream")


def test_overlay_shows_what_it_missed(windows: Windows) -> None:
    """What is given while the page is away is shown once when it comes back; what was shown is not shown again."""
    overlay, guest = windows.overlay(), windows.room()
    guest.choose("Confetti", "Delights")
    guest.send("first")
    has_alerts(overlay, "first")
    address = overlay.page.url
    overlay.page.goto("about:blank")
    guest.choose("Champagne", "Delights")
    guest.send("second")
    expect(guest.lines("second")).to_have_count(1, timeout=SHOWN_MS_MAX)
    overlay.page.goto(address)
    has_alerts(overlay, "first", "second")
    guest.choose("Sunglasses", "Delights")
    guest.send("third")
    has_alerts(overlay, "first", "second", "third")


def test_overlay_that_missed_too_much(windows: Windows) -> None:
    """It shows the newest of what it missed: of a long combo its alert with the whole count, and nothing twice."""
    overlay, guest = windows.overlay(), windows.room()
    guest.choose("Confetti", "Delights")
    guest.send("before")
    has_alerts(overlay, "before")
    address = overlay.page.url
    overlay.page.goto("about:blank")
    with windows.serve.client(guest.user, "viewer") as viewer:
        for _ in range(RESUMED_MAX + 5):
            body = {"id": format_id(new_id(time.time_ns() // 1_000_000)), "room": "demo", "gift": "rose", "combo": True}
            viewer.post("/v1/gifts", json=body).raise_for_status()
    overlay.page.goto(address)
    expect(overlay.see(".alert.on .times")).to_have_text(f"×{RESUMED_MAX + 5}", timeout=SHOWN_MS_MAX)
    guest.choose("Sunglasses", "Delights")
    guest.send("afterwards")
    has_alerts(overlay, "before", "sent Rose", "afterwards")
    # The streamer is told in OBS's log, which is the page's console.
    told = "warning: giftwire: 5 older events of demo are not shown: too long ago, or too many"
    assert overlay.faults == [told]
    overlay.faults.clear()


def test_overlay_whose_page_forgot_everything(windows: Windows) -> None:
    """Another page with the same link, which stored nothing, shows what no page of that link has shown."""
    with windows.serve.client("demo-creator", "creator") as creator:
        made = creator.post("/v1/creators/me/overlay-tokens", json={"room": "demo"}).raise_for_status().json()
    overlay, guest = windows.overlay(path=made["overlay_path"]), windows.room()
    guest.choose("Confetti", "Delights")
    guest.send("shown by the first page")
    has_alerts(overlay, "shown by the first page")
    overlay.page.goto("about:blank")
    guest.choose("Champagne", "Delights")
    guest.send("missed by it")
    expect(guest.lines("missed by it")).to_have_count(1, timeout=SHOWN_MS_MAX)
    has_alerts(windows.open(made["overlay_path"]), "missed by it")


def test_overlay_reloaded_with_gifts_that_wait(windows: Windows) -> None:
    """A reload while alerts wait for their turn loses none of them and shows none twice."""
    overlay, guest = windows.overlay(clock=True), windows.room()
    for tier, gift, message in (("Tokens", "Star", "a"), ("Delights", "Bouquet", "b"), ("Tokens", "Perfume", "c")):
        guest.choose(gift, tier)
        guest.send(f"wait {message}")
        expect(guest.lines(f"wait {message}")).to_have_count(1, timeout=SHOWN_MS_MAX)
        if message == "a":
            expect(overlay.see(".alert.on")).to_be_visible(timeout=SHOWN_MS_MAX)
            overlay.stop_clock()
    has_alerts(overlay, "wait a")
    overlay.page.clock.resume()
    overlay.page.reload()
    has_alerts(overlay, "wait a", "wait b", "wait c")


def test_overlay_where_motion_is_unwelcome(windows: Windows) -> None:
    """The gift's picture stands still in the middle, large enough to be seen, on the overlay and on the stage."""
    overlay, guest = windows.overlay(), windows.room()
    overlay.page.emulate_media(reduced_motion="reduce")
    guest.window.page.emulate_media(reduced_motion="reduce")
    guest.choose("Confetti", "Delights")
    guest.send()
    for icon, stage in (
        (overlay.see(".alert.on .art > .icon"), overlay.see(".alert.on")),
        (guest.window.see(".show .art > .icon"), guest.window.see(".effects")),
    ):
        expect(icon).to_be_visible(timeout=SHOWN_MS_MAX)
        picture, place = icon.bounding_box(), stage.bounding_box()
        assert picture is not None
        assert place is not None
        assert picture["width"] > PICTURE_PX_MIN
        assert abs(picture["x"] + picture["width"] / 2 - place["x"] - place["width"] / 2) < 1


def test_overlay_shows_a_trial(windows: Windows) -> None:
    """The studio's test gift is shown, marked as one, and costs and earns nothing."""
    overlay, studio = windows.overlay(), windows.studio()
    earned = studio.see(".tile.first strong").inner_text()
    studio.see('select[aria-label="Gift to try"]').select_option(label="Lion")
    studio.see('button:text-is("Send test gift")').click()
    expect(studio.see(".toast.good")).to_contain_text("counts nowhere", timeout=SHOWN_MS_MAX)
    card = overlay.see(".alert.on .card")
    expect(card).to_contain_text("sent Lion", timeout=SHOWN_MS_MAX)
    expect(card.locator(".test")).to_have_text("TEST")
    studio.page.reload()
    expect(studio.see(".tile.first strong")).to_have_text(earned, timeout=SHOWN_MS_MAX)


def test_overlay_without_a_token(windows: Windows) -> None:
    """An address without its token says what is wrong with it."""
    overlay = windows.open("/overlay/demo")
    expect(overlay.see(".light")).to_contain_text("copy it anew from the studio", timeout=SHOWN_MS_MAX)

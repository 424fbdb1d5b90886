"""The studio in a real browser with an agency's token: what it was given, and how it is paid."""

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import NARROW, SHOWN_MS_MAX, WIDE, Window, Windows, new_order
from tests.e2e.test_pages_quiet import CUT, width_of
from tests.serving import Serve

GIFT_COINS = 2_500
GIVEN = GIFT_COINS * 40
"""A part of 4,000 basis points of a hundred diamonds a coin."""
REFRESHED_MS_MAX = 30_000
CREATORS = 43
CREATORS_SHOWN = 40


def tile(studio: Window, name: str) -> Locator:
    """Where one of the amounts at the top stands."""
    return studio.see(".tile").filter(has=studio.page.locator(f'h3:text-is("{name}")')).locator("strong")


def open_studio(windows: Windows, agency: str, size: tuple[int, int] = WIDE) -> Window:
    """The studio with the token of an agency."""
    studio = windows.open(f"/studio#token={windows.serve.signer.token(agency, 'agency')}", size)
    expect(studio.see(".tiles")).to_be_visible(timeout=SHOWN_MS_MAX)
    return studio


def make_agency(operator: httpx.Client, *creators: str) -> str:
    """A new agency that looks after these creators; the first of them has a room of its name."""
    agency = f"agency-{new_order()}"
    operator.put(f"/v1/admin/agencies/{agency}", json={"name": "North"}).raise_for_status()
    plan = {"commission_bp": 5_000, "agency_bp": 4_000}
    operator.put("/v1/admin/plans/represented", json=plan).raise_for_status()
    for creator in creators:
        body = {"name": creator, "plan": "represented", "agency": agency}
        operator.put(f"/v1/admin/creators/{creator}", json=body).raise_for_status()
    room = {"creator": creators[0], "title": "Represented"}
    operator.put(f"/v1/admin/rooms/{creators[0]}", json=room).raise_for_status()
    return agency


def give_swan(demo: Serve, operator: httpx.Client, room: str) -> None:
    """Somebody gives a swan in a room."""
    viewer = f"viewer-{new_order()}"
    grant = {"id": new_order(), "user": viewer, "coins": GIFT_COINS, "reason": "test"}
    operator.post("/v1/admin/grants", json=grant).raise_for_status()
    with demo.client(viewer, "viewer") as client:
        client.post("/v1/gifts", json={"id": new_order(), "room": room, "gift": "swan"}).raise_for_status()


def test_agency_is_given_and_paid(windows: Windows, demo: Serve) -> None:
    """Its part of a gift shows while the page is open, can be withdrawn by a method of its own, and is paid."""
    creator = f"ada-{new_order()}"
    with demo.client("op", "operator") as operator:
        agency = make_agency(operator, creator)
        studio = open_studio(windows, agency)
        expect(tile(studio, "Given")).to_have_text("0")
        expect(studio.see(".creators li")).to_have_text([creator], timeout=SHOWN_MS_MAX)
        expect(studio.see("main")).not_to_contain_text("Overlay")
        give_swan(demo, operator, creator)
        for name in ("Given", "Available"):
            expect(tile(studio, name)).to_have_text(f"{GIVEN:,}", timeout=REFRESHED_MS_MAX)
        expect(studio.see(".chart svg")).to_have_attribute("aria-label", f"Earned in 30 days: {GIVEN:,} diamonds")
        studio.see('.withdraw button:text-is("Add…")').click()
        studio.see('.method input[placeholder="My bank"]').fill("Agency's bank")
        studio.see('.method input[autocomplete="off"]').fill("DE02120300000000202051")
        studio.see(".method .primary").click()
        expect(studio.see(".withdraw select")).to_contain_text("Agency's bank", timeout=SHOWN_MS_MAX)
        studio.see('.withdraw button:text-is("All")').click()
        studio.see(".withdraw .primary").click()
        entry = studio.see(".withdrawals li").first
        expect(entry).to_contain_text("$10.00", timeout=SHOWN_MS_MAX)
        expect(tile(studio, "Available")).to_have_text("0", timeout=REFRESHED_MS_MAX)
        walk(operator, agency, "review", "approve", "send", "pay")
        expect(entry.locator(".badge")).to_have_text("Paid", timeout=REFRESHED_MS_MAX)
        expect(tile(studio, "Withdrawn")).to_have_text(f"{GIVEN:,}", timeout=REFRESHED_MS_MAX)
        earnings = operator.get(f"/v1/admin/agencies/{agency}/earnings").raise_for_status().json()
        assert (earnings["paid_out_diamonds"], earnings["available_diamonds"]) == (GIVEN, 0)


def test_agency_and_creator_of_one_name(windows: Windows, demo: Serve) -> None:
    """The token's role decides whose studio it is, although both have the same id."""
    with demo.client("op", "operator") as operator:
        creator = f"both-{new_order()}"
        make_agency(operator, creator)
        operator.put(f"/v1/admin/agencies/{creator}", json={"name": "Both"}).raise_for_status()
    expect(tile(open_studio(windows, creator), "Given")).to_have_text("0")
    own = windows.open(f"/studio#token={demo.signer.token(creator, 'creator')}")
    expect(tile(own, "Earned, live")).to_have_text("0", timeout=SHOWN_MS_MAX)
    expect(own.see("main")).to_contain_text("Overlay")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_agency_with_many_creators(windows: Windows, demo: Serve, size: tuple[int, int]) -> None:
    """Creators are listed as far as one asks for them, by the keyboard too, and nothing is cut off."""
    order = new_order()
    with demo.client("op", "operator") as operator:
        agency = make_agency(operator, *(f"one-of-many-{order}-{number:02}" for number in range(CREATORS)))
    studio = open_studio(windows, agency, size)
    expect(studio.see(".creators li")).to_have_count(CREATORS_SHOWN, timeout=SHOWN_MS_MAX)
    studio.see('button:text-is("Show more")').focus()
    studio.page.keyboard.press("Enter")
    expect(studio.see(".creators li")).to_have_count(CREATORS, timeout=SHOWN_MS_MAX)
    expect(studio.see('button:text-is("Show more")')).to_be_hidden()
    assert studio.page.evaluate(CUT) == []
    assert width_of(studio) == size[0]


def test_studio_with_a_token_of_another_role(windows: Windows, demo: Serve) -> None:
    """A viewer's token is told so in words, and is not kept."""
    studio = windows.open(f"/studio#token={demo.signer.token('vera', 'viewer')}")
    expect(studio.see(".cover")).to_contain_text("for creators and agencies", timeout=SHOWN_MS_MAX)
    assert studio.page.evaluate("sessionStorage.length") == 0


def walk(operator: httpx.Client, agency: str, *steps: str) -> None:
    """Take the agency's one withdrawal through these steps."""
    listed = operator.get("/v1/admin/withdrawals?state=requested").raise_for_status().json()["withdrawals"]
    (own,) = [one for one in listed if one["agency"] == agency]
    for step in steps:
        operator.post(f"/v1/admin/withdrawals/{own['id']}/{step}", json={}).raise_for_status()

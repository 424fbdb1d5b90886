"""What holds for every page: nothing is logged as an error, nobody else is asked, and it fits a small screen."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from gateway.wire.codes import Code
from tests.e2e.browser import NARROW, SHOWN_MS_MAX, WIDE, Window, Windows
from tests.serving import Serve

PAGES = {"/": ".wallet", "/rooms/demo": ".wallet", "/overlay/demo": ".light", "/studio": ".tiles", "/docs": "main"}
SIZES = {"wide": WIDE, "narrow": NARROW}
# What is cut off: elements beyond the window's sides where nothing lets one scroll there, and words that are wider than
# what they stand in.
CUT = """() => {
    const scrolls = (element) => element !== null
        && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const beyond = (element) => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element);
    const wider = (element) => {
        if (element.children.length > 0 || element.innerText?.trim() === "") return false;
        if (/absolute|fixed/.test(getComputedStyle(element).position)) return false;
        const [own, outer] = [element, element.parentElement].map((each) => each.getBoundingClientRect());
        return element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
            || own.right > outer.right + 1 || own.left < outer.left - 1;
    };
    return [...document.body.querySelectorAll("*")]
        .filter((element) => element.checkVisibility() && !element.closest("svg, .sr, select, details"))
        .filter((element) => beyond(element) || wider(element))
        .map((element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`);
}"""


FAULTS = """() => {
    new Image().src = "http://localhost:9/picture.png";
    new WebSocket("ws://localhost:9/");
    document.body.insertAdjacentHTML("beforeend", "<p style='color: red'></p>");
    setTimeout(() => { throw new Error("on purpose"); });
    setTimeout(() => document.body.insertAdjacentHTML("beforeend", "<p id='late'></p>"), 200);
}"""


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("size", SIZES)
def test_page_is_quiet_and_fits(windows: Windows, path: str, size: str) -> None:
    """It is shown without an error and without asking another host, and nothing of it is cut off."""
    window = windows.open(path, SIZES[size])
    expect(window.see(PAGES[path]).first).to_be_visible(timeout=SHOWN_MS_MAX)
    window.page.wait_for_load_state("networkidle")
    assert width_of(window) == SIZES[size][0]
    assert window.page.evaluate(CUT) == []


def test_faults_are_noticed(windows: Windows) -> None:
    """What the tests of pages rely on: another host, a forbidden picture or style, and a throw are noted."""
    window = windows.open("/studio")
    expect(window.see(".tiles")).to_be_visible(timeout=SHOWN_MS_MAX)
    window.page.evaluate(FAULTS)
    expect(window.see("#late")).to_be_attached()
    for word in ("another host: ws://localhost:9/", "POLICY img-src", "POLICY style-src", "threw: on purpose"):
        assert any(word in fault for fault in window.faults), window.faults
    window.faults.clear()


def test_gifts_and_shop_fit(windows: Windows) -> None:
    """All shelves of gifts, the shop and its checkout fit a small screen too."""
    guest = windows.room(NARROW)
    for tier in ("Tokens", "Delights", "Treasures", "Legends"):
        guest.window.see(f'.tab:has-text("{tier}")').click()
        assert guest.window.page.evaluate(CUT) == []
    guest.window.see(".wallet").click()
    expect(guest.window.see(".pack").first).to_be_visible(timeout=SHOWN_MS_MAX)
    assert guest.window.page.evaluate(CUT) == []
    guest.window.see(".pack").last.click()
    expect(guest.window.see(".checkout .order")).to_be_visible(timeout=SHOWN_MS_MAX)
    assert guest.window.page.evaluate(CUT) == []
    assert width_of(guest.window) == NARROW[0]


def test_docs(windows: Windows, demo: Serve) -> None:
    """The page of the API shows every operation of the OpenAPI document and every code, in its own style."""
    window = windows.open("/docs")
    document = httpx.get(f"{demo.url}/openapi.json", timeout=10, trust_env=False).json()
    operations = sum(len(methods) for methods in document["paths"].values())
    expect(window.see("h1")).to_contain_text("Giftwire API")
    assert window.see("details").count() == operations > 30
    for code in Code:
        expect(window.see(f"#problem-{code}")).to_have_count(1)
    window.see(
        "details summary",
    ).filter(has_text=re.compile(r"POST\s+/v1/gifts\s+Send")).click()
    expect(window.see("details[open] pre").first).to_be_visible()
    assert "sans-serif" in window.page.evaluate("getComputedStyle(document.body).fontFamily")


def test_room_that_does_not_exist(windows: Windows) -> None:
    """It is said in words."""
    window = windows.open("/rooms/nowhere")
    expect(window.see(".cover")).to_have_text("This room does not exist.", timeout=SHOWN_MS_MAX)


def width_of(window: Window) -> int:
    """How wide the page is, whatever one could scroll to."""
    return int(window.page.evaluate("document.documentElement.scrollWidth"))

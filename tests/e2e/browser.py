"""A real Chromium for tests of the pages, and windows that note whatever a page should not do.

Every window is a browser context of its own, so two windows are two people. A page that logs an error, breaks the
content policy, asks another host or throws fails its test, whatever else the test looks at.
"""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from gateway.http.pages import STATIC
from ledger.ids import format_id, new_id
from tests.serving import Serve
from tests.waiting import wait_until

CHROMIUM: Final = Path("/usr/bin/chromium")
WIDE: Final = (1440, 900)
NARROW: Final = (390, 844)
SHOWN_S_MAX: Final = 15.0
"""How long a page may take with what it does at once: the machine of a test may be busy."""
SHOWN_MS_MAX: Final = SHOWN_S_MAX * 1000
BOOKED_S_MAX: Final = 20.0
ALERTS_S_MAX: Final = 90.0
RESUMED_MAX: Final = 40
"""So many facts may be missed in the demo's room and still all be given."""
_NUMBER: Final = re.compile(r"^[\d,]+$")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Several windows are looked at by turns; none of them may fall asleep meanwhile.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)
# Runs before the page's own scripts, put in by the browser's debugger: no policy of the page applies to it.
_WATCH: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error("POLICY", event.violatedDirective, event.blockedURI));
new MutationObserver(() => {
    const card = document.querySelector(".alert.on .card");
    if (card !== null && card !== globalThis.lastCard) console.debug("ALERT", card.innerText);
    globalThis.lastCard = card;
}).observe(document, { childList: true, subtree: true, attributes: true });
"""
_NO_NETWORK: Final = re.compile(r"ERR_CONNECTION_|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket|Failed to load resource")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's browser, without a screen.

    Raises:
        AssertionError: it, or what it is to show, is missing.
    """
    if not CHROMIUM.exists():
        raise AssertionError(f"{CHROMIUM} is missing: apt-get install chromium")
    if not (STATIC / "viewer.html").exists():
        raise AssertionError(f"the pages are not built, {STATIC} has no viewer.html: make web")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One person's window.

    Attributes:
        page: what it shows.
        alerts: every alert that an overlay in it has shown, as its text, the oldest first; also over reloads.
        faults: what it should not have done.
        outage: the server is away on purpose, so that the network's own errors are no faults.
    """

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.alerts: list[str] = []
        self.faults: list[str] = []
        self.outage = False
        self._host = urlsplit(origin).netloc
        context.add_init_script(_WATCH)
        context.on("request", lambda request: self._asked(request.url))
        self.page: Page = context.new_page()
        self.page.set_default_timeout(SHOWN_MS_MAX)
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.faults.append(f"threw: {error}"))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def see(self, selector: str) -> Locator:
        """What is found there on the page."""
        return self.page.locator(selector)

    def stop_clock(self) -> None:
        """Let the page's time stand still, so that an alert stays as long as a test needs, however slow the machine is.

        `page.clock.resume()` ends it, and must be called before the page is loaded again.
        """
        self.page.clock.pause_at(self.page.evaluate("Date.now()") + 100)

    def stored(self, key: str) -> dict[str, Any]:
        """What the page keeps for this window under a key."""
        found: dict[str, Any] = json.loads(self.page.evaluate("key => sessionStorage.getItem(key)", key))
        return found

    def _logged(self, message: ConsoleMessage) -> None:
        if message.text.startswith("ALERT "):
            self.alerts.append(message.text.removeprefix("ALERT "))
        elif message.type in ("error", "warning") and not (self.outage and _NO_NETWORK.search(message.text)):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.netloc != self._host and parts.scheme not in ("data", "blob"):
            self.faults.append(f"asked another host: {url}")


class Guest:
    """A guest of the demo in the room's page.

    Attributes:
        window: where the room is shown.
        user: who the guest is.
    """

    def __init__(self, window: Window, serve: Serve) -> None:
        self.window = window
        self.user = str(window.stored("giftwire.guest")["user"])
        self._serve = serve

    def shows(self, coins: int) -> None:
        """Wait until the page shows this balance."""
        expect(self.window.see(".wallet .number")).to_have_text(f"{coins:,}", timeout=SHOWN_MS_MAX)

    def shown_coins(self) -> int:
        """The balance that the page shows."""
        return number(self.window.see(".wallet .number"))

    def choose(self, gift: str, tier: str = "Tokens") -> None:
        """Choose a gift by its name."""
        self.window.see(f'.tab:has-text("{tier}")').click()
        self.window.see(f'.gift:has(.name:text-is("{gift}"))').click()

    def send(self, message: str = "") -> None:
        """Press Send, or the combo's button in its place."""
        if message:
            self.window.see(".sendbar > input").fill(message)
        self.window.see(".send:not(.hidden), .combo:not(.hidden)").click()

    def lines(self, text: str) -> Locator:
        """Lines of the feed that hold a text."""
        return self.window.see(".feed .line").filter(has_text=text)

    def coins(self) -> int:
        """The balance that the server tells."""
        return int(self.told("/v1/wallet")["balance_coins"])

    def gifts(self) -> list[int]:
        """What each gift of the guest took, the newest first, once the books have so many that all is in them."""
        return [entry["coins"] for entry in self.told("/v1/wallet/entries")["entries"] if entry["cause"] == "gift"]

    def has_paid(self, *coins: int) -> None:
        """Wait until the books have exactly these gifts of the guest, the newest first."""
        wait_until(lambda: len(self.gifts()) >= len(coins), BOOKED_S_MAX, lambda: f"the books have {self.gifts()}")
        assert self.gifts() == [-paid for paid in coins]

    def is_granted(self, coins: int) -> None:
        """Get coins from the operator, and wait until the page shows them."""
        before = self.coins()
        grant(self._serve, self.user, coins)
        self.shows(before + coins)

    def told(self, path: str) -> dict[str, Any]:
        """What the server answers to the guest there."""
        with self._serve.client(self.user, "viewer") as client:
            found: dict[str, Any] = client.get(path).raise_for_status().json()
        return found


class Windows:
    """Windows of one browser onto one server."""

    def __init__(self, browser: Browser, serve: Serve) -> None:
        self.serve = serve
        self._browser = browser
        self._all: list[Window] = []

    def open(self, path: str, size: tuple[int, int] = WIDE) -> Window:
        """A new person's window at a path."""
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-US")
        window = Window(context, self.serve.url)
        self._all.append(window)
        window.page.goto(self.serve.url + path)
        return window

    def room(self, size: tuple[int, int] = WIDE) -> Guest:
        """A new guest in the demo room, with the coins that guests are given."""
        window = self.open("/rooms/demo", size)
        is_open(window)
        return Guest(window, self.serve)

    def overlay(self, size: tuple[int, int] = (1280, 720), path: str | None = None, *, clock: bool = False) -> Window:
        """The demo room's overlay, as OBS would open it: with a token of its own, or by a link that was made.

        Args:
            clock: its time can be stopped.
        """
        token = self.serve.signer.token("demo-creator", "overlay", room="demo")
        window = self.open(path or f"/overlay/demo#token={token}", size)
        # Once it is in the room it has noted the place from which it goes on.
        noted = "localStorage.getItem('giftwire.overlay.demo') !== null"
        wait_until(lambda: bool(window.page.evaluate(noted)), SHOWN_S_MAX, lambda: "the overlay is not in the room")
        if clock:
            window.page.clock.install()
            window.page.reload()
        return window

    def studio(self, size: tuple[int, int] = WIDE) -> Window:
        """The studio of the demo's creator."""
        window = self.open("/studio", size)
        expect(window.see(".tiles")).to_be_visible(timeout=SHOWN_MS_MAX)
        return window

    def close(self) -> list[str]:
        """Close all of them; what they should not have done."""
        for window in self._all:
            window.page.context.close()
        return [fault for window in self._all for fault in window.faults]


def is_open(window: Window) -> None:
    """Wait until a room's page is connected and knows its wallet."""
    expect(window.see(".send")).to_be_enabled(timeout=SHOWN_MS_MAX)
    expect(window.see(".wallet .number")).to_have_text(_NUMBER, timeout=SHOWN_MS_MAX)


def number(place: Locator) -> int:
    """The number that stands there."""
    return int(place.inner_text().replace(",", ""))


def grant(serve: Serve, user: str, coins: int) -> None:
    """Coins from the operator."""
    body = {"id": new_order(), "user": user, "coins": coins, "reason": "test"}
    with serve.client("op", "operator") as operator:
        operator.post("/v1/admin/grants", json=body).raise_for_status()


def new_order() -> str:
    """An id for something with money in it."""
    return format_id(new_id(int(time.time() * 1000)))


def has_alerts(window: Window, *texts: str) -> None:
    """Wait until an overlay has shown exactly these, in this order; each text is a part of its alert."""

    def shown() -> bool:
        # Asking the page lets what it has logged come in.
        window.page.evaluate("0")
        return len(window.alerts) >= len(texts)

    wait_until(shown, ALERTS_S_MAX, lambda: f"the overlay has shown {window.alerts}")
    assert len(window.alerts) == len(texts), window.alerts
    for text, alert in zip(texts, window.alerts, strict=True):
        assert text in alert, window.alerts

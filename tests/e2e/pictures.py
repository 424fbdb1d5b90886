"""Takes the pictures of the README anew, from a running demo: `python -m tests.e2e.pictures`."""

import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.browser import WIDE, Windows, chromium, is_open, new_order
from tests.serving import Serve, serving

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
OVERLAY: Final = (1280, 720)
COINS: Final = 50_000
COLOURS: Final = 256
EFFECT_MS: Final = 2_600
"""When the drawings are at their best."""
# Stands in for the game or the camera that an overlay lies upon.
SCENE: Final = "linear-gradient(160deg, #23406b, #10162a 55%, #0d1220)"


def take_pictures() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, serving(Path(folder) / "var", "--demo") as serve:
        for viewer in ("Mira", "Noah", "Aiko", "Jules", "Sam"):
            _grant(serve, viewer)
        with chromium() as browser:
            windows = Windows(browser, serve)
            _room(windows)
            _overlay(windows)
            faults = windows.close()
            if faults:
                raise AssertionError(faults)


def _room(windows: Windows) -> None:
    serve = windows.serve
    window = windows.open(f"/rooms/demo#token={serve.signer.token('Mira', 'viewer')}", WIDE)
    is_open(window)
    for _ in range(3):
        windows.room()
    _give(serve, "Sam", "coffee", 1, "stay awake!")
    _give(serve, "Jules", "star", 5)
    _give(serve, "Noah", "champagne", 1, "to the new record")
    _give(serve, "Aiko", "heart", 50, "best stream of the week")
    expect(window.see(".feed .line")).to_have_count(4)
    window.page.wait_for_timeout(3_200)  # the champagne has its time on the stage
    window.see('.gift:has(.name:text-is("Rose"))').click()
    for _ in range(7):
        window.see(".send:not(.hidden), .combo:not(.hidden)").click()
    _give(serve, "Noah", "lion", 1)
    expect(window.see(".show.screen .art svg")).to_be_attached()
    window.page.wait_for_timeout(1_000)
    window.see(".combo:not(.hidden)").click()
    window.page.wait_for_timeout(EFFECT_MS - 1_000)
    _save(window.page, "room.png")


def _overlay(windows: Windows) -> None:
    window = windows.overlay(OVERLAY)
    window.page.evaluate("scene => { document.documentElement.style.background = scene; }", SCENE)
    _give(windows.serve, "Aiko", "diamond", 1, "You made my day. Thank you for the music!")
    expect(window.see(".alert.on .art svg")).to_be_attached()
    window.page.wait_for_timeout(EFFECT_MS)
    _save(window.page, "overlay.png")


def _grant(serve: Serve, viewer: str) -> None:
    body = {"id": new_order(), "user": viewer, "coins": COINS, "reason": "for the picture"}
    with serve.client("op", "operator") as operator:
        operator.post("/v1/admin/grants", json=body).raise_for_status()


def _give(serve: Serve, viewer: str, gift: str, count: int, message: str = "") -> None:
    order = {"id": new_order(), "room": "demo", "gift": gift, "count": count, "combo": count > 1}
    with serve.client(viewer, "viewer") as client:
        client.post("/v1/gifts", json=order | ({"message": message} if message else {})).raise_for_status()


def _save(page: Page, name: str) -> None:
    """A palette keeps the file small, and its dots keep the gradients smooth."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    palette = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    take_pictures()

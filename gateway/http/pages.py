"""The pages that come along: a viewer's room, an overlay, the studio. Built ahead into gateway/static, served as files.

A page is one HTML file whose script reads the room from the address, so nothing is put into it here. Scripts and styles
come from us alone (CSP); what has a hash in its name is kept by browsers for ever.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.run.demo import DEMO_ROOM

STATIC: Final = Path(__file__).parent.parent / "static"
DOCS_PATH: Final = "/docs"
CSP: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {framed_by}"
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Giftwire</title></head>
<body><h1>The pages are not built</h1>
<p>Run <code>make web</code> in the source folder, then load this page again. The API works without them:
<a href="/docs">its documentation</a>.</p></body></html>
"""


def page_routes(static: Path, *, demo: bool) -> list[BaseRoute]:
    """The routes of all pages and of their files.

    Args:
        static: the folder that the front-end was built into; it may be missing.
    """

    async def front(_: Request) -> Response:
        return RedirectResponse(f"/rooms/{DEMO_ROOM}" if demo else DOCS_PATH)

    return [
        Route("/", front),
        Route("/rooms/{room}", _page(static, "viewer.html", framed_by="'self'")),
        # OBS shows it as a page of its own; the studio may show it inside of its own.
        Route("/overlay/{room}", _page(static, "overlay.html", framed_by="'self'")),
        Route("/studio", _page(static, "studio.html", framed_by="'none'")),
        Mount("/static", _Files(directory=static, check_dir=False)),
    ]


def page_headers(*, framed_by: str) -> dict[str, str]:
    """The headers of a page; `framed_by` is a CSP source list."""
    return {
        "Content-Security-Policy": CSP.format(framed_by=framed_by),
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _page(static: Path, file: str, *, framed_by: str) -> Callable[[Request], Awaitable[Response]]:
    headers = page_headers(framed_by=framed_by)

    async def endpoint(_: Request) -> Response:
        path = static / file
        if not path.is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503, headers=headers)
        return FileResponse(path, headers=headers, media_type="text/html")

    return endpoint


class _Files(StaticFiles):
    """The built files. Those under assets/ have a hash of their content in the name; others are asked for again."""

    async def check_config(self) -> None:
        """The folder may be missing: then nothing is found in it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _FOR_EVER if path.startswith("assets/") else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

"""Pages, their headers and the demo's way in."""

from pathlib import Path

import httpx
import pytest

from gateway.http.routes import build_http
from tests.integration.http.api import Api, Refusal, refusal


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder as the front-end's build leaves it."""
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    for name in ("viewer", "overlay", "studio"):
        (built / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>")
    (built / "assets" / "viewer-1a2b3c4d.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    return built


def browser(api: Api, static: Path) -> httpx.AsyncClient:
    """A browser that looks at the pages of this folder."""
    transport = httpx.ASGITransport(app=build_http(api.services, static))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def test_pages_come_with_strict_headers(api: Api, static: Path) -> None:
    """No script but ours, no inline style, no frame of others around them; asked for again each time."""
    async with browser(api, static) as client:
        for path, title in (("/rooms/demo", "viewer"), ("/overlay/demo", "overlay"), ("/studio", "studio")):
            response = await client.get(path)
            assert response.status_code == 200
            assert title in response.text
            policy = response.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy
            assert response.headers["cache-control"] == "no-cache"
            assert response.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in (await client.get("/studio")).headers["content-security-policy"]


async def test_front_leads_into_the_demo(api: Api, static: Path) -> None:
    """In the demo the first page is the demo's room."""
    async with browser(api, static) as client:
        response = await client.get("/")
        assert (response.status_code, response.headers["location"]) == (307, "/rooms/demo")


async def test_hashed_files_are_kept_for_ever(api: Api, static: Path) -> None:
    """What has a hash in its name never changes; a file outside of the folder is never found."""
    async with browser(api, static) as client:
        response = await client.get("/static/assets/viewer-1a2b3c4d.js")
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"].startswith("text/javascript")
        assert (await client.get("/static/viewer.html")).headers["cache-control"] == "no-cache"
        for path in ("/static/assets/none.js", "/static/..%2fsecret.txt", "/static/%2e%2e/secret.txt"):
            assert refusal(await client.get(path)) == Refusal(404, "not_found")


async def test_pages_that_are_not_built(api: Api, tmp_path: Path) -> None:
    """Without a build the pages say how to make one, and the API works."""
    async with browser(api, tmp_path / "nothing") as client:
        response = await client.get("/rooms/demo")
        assert response.status_code == 503
        assert "make web" in response.text
        assert refusal(await client.get("/static/assets/x.js")) == Refusal(404, "not_found")
        assert (await client.get("/v1/catalog")).status_code == 200


async def test_guest_can_give(api: Api) -> None:
    """A guest of the demo has a token, coins and a room to give them in."""
    guest = (await api.call("POST", "/v1/demo/guest")).json()
    wallet = (await api.call("GET", "/v1/wallet", token=guest["token"])).json()
    assert (wallet["user"], wallet["balance_coins"]) == (guest["user"], 1_000)
    assert guest["room"] == "demo"
    other = (await api.call("POST", "/v1/demo/guest")).json()
    assert other["user"] != guest["user"]


async def test_studio_of_the_demo(api: Api) -> None:
    """The studio's token is its creator's."""
    studio = (await api.call("POST", "/v1/demo/studio")).json()
    earnings = await api.call("GET", "/v1/creators/me/earnings", token=studio["token"])
    assert earnings.json()["creator"] == studio["creator"]


async def test_documents_are_served(api: Api) -> None:
    """Both documents and the page are there for anyone, and are true to this gateway."""
    document = await api.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert "/v1/demo/guest" in document["paths"]
    assert (await api.get("/asyncapi.json"))["asyncapi"].startswith("3.0")
    page = await api.call("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert " a higher one or none after <code>ledger.cap_raise_ms</code></span>" in page.text
    assert page.text.count("<p>Movements of a wallet, the newest first.</p>") == 0
    assert page.text.count("Movements of a wallet, the newest first.") == 1
    assert (await api.call("GET", "/docs/style.css")).headers["content-type"].startswith("text/css")

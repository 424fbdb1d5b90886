"""The retry of a gift that was paid is answered with its replay, whatever forbids such a gift by now."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.load import load_catalog
from tests.integration.http.api import CREATOR, ROOM, Api, Refusal, fresh_id, refusal

GIFTS = """
[[tier]]
tier = 1
name = "Tokens"
price_coins_max = 99
"""
ROSE = """
[[gift]]
id = "{id}"
name = "Rose"
price_coins = {price}
tier = 1
icon = "rose"
colour = "#e0315c"
animation = "rose_fall"
effect = "float"
duration_ms = 1600
combo = {combo}
level_min = {level}
fans_only = {fans}
on_video = {video}
"""
Change = Callable[[Api, Path], None]
BODY = {"room": ROOM, "gift": "rose", "count": 2}


def sells(
    api: Api, folder: Path, *, id: str = "rose", price: int = 1, level: int = 0, combo: bool = True, fans: bool = False
) -> None:
    """The catalogue is another one, as after a restart of the gateway."""
    words = {"combo": str(combo).lower(), "fans": str(fans).lower(), "video": "false"}
    (folder / "gifts.toml").write_text(GIFTS + ROSE.format(id=id, price=price, level=level, **words))
    api.services.desk.catalog = load_catalog(folder)


def everything_on_videos(api: Api, folder: Path) -> None:
    """Also what was for rooms only."""
    sells(api, folder)
    text = (folder / "gifts.toml").read_text()
    (folder / "gifts.toml").write_text(text.replace("on_video = false", "on_video = true"))
    api.services.desk.catalog = load_catalog(folder)


TABLE = """
# case                  | what the gift says more | refused with
gone from the catalogue |                         | 404 unknown_gift The catalogue has no such gift.
level raised            |                         | 409 gift_not_available This gift needs level 9.
for fans only now       |                         | 409 gift_not_available This gift is for members of the fan club.
makes no combo any more | combo=1                 | 409 gift_not_available This gift cannot be sent in a combo.
not for videos any more | video=v1                | 409 gift_not_available This gift cannot be sent on a video.
of another creator now  | to=cleo                 | 404 unknown_receiver The receiver does not earn in this room.
token of another room   |                         | 403 not_allowed The token is for another room.
"""
CHANGES: dict[str, Change] = {
    "gone from the catalogue": lambda api, folder: sells(api, folder, id="tulip"),
    "level raised": lambda api, folder: sells(api, folder, level=9),
    "for fans only now": lambda api, folder: sells(api, folder, fans=True),
    "makes no combo any more": lambda api, folder: sells(api, folder, combo=False),
    "not for videos any more": lambda api, folder: sells(api, folder),
}


def lines() -> Iterator[Any]:
    """The table, line by line."""
    for line in TABLE.strip().splitlines()[1:]:
        case, more, refused = (part.strip() for part in line.split("|"))
        words = dict(word.split("=") for word in more.split())
        yield pytest.param(case, words, refused, id=case)


@pytest.mark.parametrize(("case", "more", "refused"), list(lines()))
async def test_retry_of_a_gift_that_is_forbidden_by_now(
    api: Api, tmp_path: Path, case: str, more: dict[str, str], refused: str
) -> None:
    """The same id is told what was paid, other content under it is a conflict, and a new gift is refused as ever."""
    await api.grant("vera", 10)
    body: dict[str, Any] = {"id": fresh_id(), **BODY, **more}
    if "combo" in more:
        body["combo"] = True
    if "video" in more:
        del body["room"]
        await api.put("/v1/admin/videos/v1", {"creator": CREATOR})
        everything_on_videos(api, tmp_path)
    paid = await api.post("/v1/gifts", body, "vera")
    token = api.token("vera", "viewer", room="elsewhere") if case.startswith("token") else api.token("vera", "viewer")
    if case in CHANGES:
        CHANGES[case](api, tmp_path)
    elif "to" in more:
        await api.put("/v1/admin/creators/cora", {"name": "Cora"})
        await api.put(f"/v1/admin/rooms/{ROOM}", {"creator": "cora"})
    again = await api.call("POST", "/v1/gifts", token=token, json=body)
    assert (again.status_code, again.json()["replay"], again.json()["coins"]) == (200, True, paid["coins"])
    other = await api.call("POST", "/v1/gifts", token=token, json=body | {"count": 3})
    assert refusal(other) == Refusal(409, "id_conflict")
    fresh = await api.call("POST", "/v1/gifts", token=token, json=body | {"id": fresh_id()})
    status, code, title = refused.split(maxsplit=2)
    assert refusal(fresh) == Refusal(int(status), code)
    assert fresh.json().get("detail", fresh.json()["title"]) == title
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 10 - paid["coins"]


async def test_retry_of_a_gift_whose_price_changed(api: Api, tmp_path: Path) -> None:
    """It was paid at the old price, and that is what its id is answered with; a new one costs the new price."""
    await api.grant("vera", 20)
    body = {"id": fresh_id(), **BODY}
    assert (await api.post("/v1/gifts", body, "vera"))["coins"] == 2
    sells(api, tmp_path, price=7)
    assert (await api.post("/v1/gifts", body, "vera"))["coins"] == 2
    assert (await api.post("/v1/gifts", body | {"id": fresh_id()}, "vera"))["coins"] == 14
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 4

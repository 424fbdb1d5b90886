"""Buying coins: the catalogue's price, the sandbox's signed word, and the coins once."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import catalog
from gateway.app import build
from gateway.run.settings.config import Config
from ledger.purchases.purchases import RailOutcome
from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, fresh_id, refusal

PACKAGED = Path(catalog.__file__).parent / "data"


def body(**change: Any) -> dict[str, Any]:
    """A purchase of the smallest package on the web."""
    return {"id": fresh_id(), "package": "coins_100", "platform": "web", "country": "US"} | change


async def test_purchase_that_is_paid(api: Api) -> None:
    """The coins and the bonus of a first purchase come in once the provider says so; the second one has no bonus."""
    first = await api.post("/v1/purchases", body(), "vera")
    assert (first["state"], first["coins"], first["bonus_coins"]) == ("pending", 100, 20)
    assert (first["price_minor"], first["currency"], first["promotion"]) == (96, "USD", "first_purchase")
    paid = await api.post(f"/v1/demo/purchases/{first['id']}/pay", {"outcome": "paid"}, "vera")
    assert (paid["state"], paid["balance_coins"]) == ("credited", 120)
    second = await api.post("/v1/purchases", body(), "vera")
    assert (second["bonus_coins"], second["promotion"]) == (0, None)
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 120
    listed = await api.get("/v1/purchases", "vera")
    assert [purchase["id"] for purchase in listed["purchases"]] == [second["id"], first["id"]]


async def test_purchase_told_twice(api: Api) -> None:
    """The same id answers with the purchase as it stands, though a first purchase would cost otherwise now."""
    asked = body()
    first = await api.post("/v1/purchases", asked, "vera")
    assert await api.post("/v1/purchases", asked, "vera") == first
    paid = await api.post(f"/v1/demo/purchases/{first['id']}/pay", {"outcome": "paid"}, "vera")
    assert await api.post("/v1/purchases", asked, "vera") == paid
    for change in ({"package": "coins_500"}, {"country": "GB"}, {"platform": "ios"}):
        assert refusal(await api.call("POST", "/v1/purchases", "vera", json=asked | change)) == Refusal(
            409, "id_conflict"
        )
    assert refusal(await api.call("POST", "/v1/purchases", "otto", json=asked)) == Refusal(409, "id_conflict")


async def test_country_that_the_platform_vouches_for(api: Api) -> None:
    """The token's country decides the price, whatever the buyer says; without one the buyer is believed."""
    token = api.services.tokens.mint("viewer", "vera", country="GB")
    for query in ({"country": "US"}, {}):
        packages = (await api.call("GET", "/v1/packages", token=token, params=query)).json()
        assert (packages["country"], packages["packages"][0]["currency"]) == ("GB", "GBP")
    assert (await api.get("/v1/packages", country="US"))["packages"][0]["currency"] == "USD"
    asked = body(country="US")
    bought = (await api.call("POST", "/v1/purchases", token=token, json=asked)).json()
    assert (bought["country"], bought["currency"]) == ("GB", "GBP")
    assert (await api.call("POST", "/v1/purchases", token=token, json=asked | {"country": "DE"})).json() == bought
    assert refusal(await api.call("GET", "/v1/packages", token="nonsense")) == Refusal(401, "unauthorized")


async def test_purchase_begun_at_once_by_two(api: Api) -> None:
    """Two requests with one id that cross make one purchase."""
    asked = body()
    answers = await asyncio.gather(*(api.post("/v1/purchases", asked, "vera") for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)


async def test_amount_of_ones_own(api: Api) -> None:
    """A custom amount is sold on the web within its bounds; `coins` goes with it and with nothing else."""
    own = await api.post("/v1/purchases", body(package="custom", coins=150), "vera")
    assert (own["coins"], own["package"]) == (150, "custom")
    for change, expected in (
        ({"package": "custom"}, Refusal(422, "unprocessable", "$.coins")),
        ({"coins": 100}, Refusal(422, "unprocessable", "$.coins")),
        ({"package": "custom", "coins": 49}, Refusal(404, "unknown_package", "$.coins")),
        ({"package": "custom", "coins": 150, "platform": "ios"}, Refusal(404, "unknown_package", "$.coins")),
        ({"package": "coins_7"}, Refusal(404, "unknown_package", "$.package")),
        ({"rail": "elsewhere"}, Refusal(404, "unknown_provider")),
    ):
        assert refusal(await api.call("POST", "/v1/purchases", "vera", json=body(**change))) == expected, change


async def test_purchase_of_somebody_else(api: Api) -> None:
    """Nobody sees or pays another's purchase."""
    first = await api.post("/v1/purchases", body(), "vera")
    assert refusal(await api.call("GET", f"/v1/purchases/{first['id']}", "otto")) == Refusal(404, "not_found")
    paying = await api.call("POST", f"/v1/demo/purchases/{first['id']}/pay", "otto", json={"outcome": "paid"})
    assert refusal(paying) == Refusal(404, "not_found")


async def test_purchase_that_is_declined(api: Api) -> None:
    """A declined payment brings nothing."""
    first = await api.post("/v1/purchases", body(), "vera")
    declined = await api.post(f"/v1/demo/purchases/{first['id']}/pay", {"outcome": "declined"}, "vera")
    assert (declined["state"], declined["balance_coins"]) == ("declined", None)
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 0


async def test_webhook_heard_twice_and_forged(api: Api) -> None:
    """A webhook counts once; one byte changed and it is believed in nothing."""
    first = await api.post("/v1/purchases", body(), "vera")
    stored = await api.services.office.purchases.get(bytes.fromhex(first["id"].replace("-", "")))
    assert stored is not None and api.services.rails.sandbox is not None
    headers, raw = api.services.rails.sandbox.pay(stored, RailOutcome.PAID)
    forged = await api.call("POST", "/v1/webhooks/sandbox", headers=headers, content=raw.replace(b"96", b"95"))
    assert refusal(forged) == Refusal(401, "bad_signature")
    heard = [await api.call("POST", "/v1/webhooks/sandbox", headers=headers, content=raw) for _ in range(2)]
    assert [answer.json() for answer in heard] == [{"duplicate": False}, {"duplicate": True}]
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 120
    unknown = await api.call("POST", "/v1/webhooks/nobody", headers=headers, content=raw)
    assert refusal(unknown) == Refusal(404, "unknown_provider")


async def test_prices_by_country_and_platform(api: Api) -> None:
    """The web is cheaper than the stores, and each country pays in its own currency."""
    web = await api.get("/v1/packages", country="JP", platform="web")
    ios = await api.get("/v1/packages", country="JP", platform="ios")
    assert {offer["currency"] for offer in web["packages"]} == {"JPY"}
    assert web["packages"][0]["price_minor"] == 150 < ios["packages"][0]["price_minor"] == 200
    assert (web["custom"], ios["custom"]) == ({"coins_min": 50, "coins_max": 1_000_000}, None)
    assert refusal(await api.call("GET", "/v1/packages", params={"platform": "fax"})) == Refusal(
        422, "unprocessable", "platform"
    )


@pytest.fixture
async def serious(config: Config) -> Any:
    """A gateway that is no demo."""
    app = await build(msgspec.structs.replace(config, demo=False, data_dir=Path(config.data_dir)))
    await app.start()
    calls = Api(app)
    yield calls
    await calls.client.aclose()
    await app.stop()


async def test_money_for_nothing_is_only_in_the_demo(serious: Api) -> None:
    """Outside of the demo there is no guest, no studio, no sandbox and no word from it."""
    responses: list[httpx.Response] = [
        await serious.call("POST", "/v1/demo/guest"),
        await serious.call("POST", "/v1/demo/studio"),
        await serious.call("POST", f"/v1/demo/purchases/{fresh_id()}/pay", "vera", json={"outcome": "paid"}),
    ]
    assert {refusal(response) for response in responses} == {Refusal(404, "not_found")}
    for path, sent in (("/v1/purchases", body()), ("/v1/webhooks/sandbox", {})):
        assert refusal(await serious.call("POST", path, "vera", json=sent)) == Refusal(404, "unknown_provider")
    assert "/v1/demo/guest" not in (await serious.get("/openapi.json"))["paths"]


@pytest.fixture
async def promoting(config: Config, tmp_path: Path) -> Any:
    """A gateway whose promotion of a first purchase says that its coins on top are worth a tenth to creators."""
    copy = shutil.copytree(PACKAGED, tmp_path / "catalogue")
    text = (copy / "promotions.toml").read_text()
    (copy / "promotions.toml").write_text(text.replace("bonus_bp = 2000", "bonus_bp = 2000\nbonus_worth_bp = 1000"))
    app = await build(msgspec.structs.replace(config, catalog_file=copy))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


async def test_promotion_says_what_its_coins_are_worth(promoting: Api) -> None:
    """The value goes from the catalogue to the coins, and from there to what the creator gets."""
    asked = body()
    for _ in range(2):
        bought = await promoting.post("/v1/purchases", asked, "vera")
    await promoting.post(f"/v1/demo/purchases/{bought['id']}/pay", {"outcome": "paid"}, "vera")
    lots = (await promoting.get("/v1/admin/users/vera/lots", OPERATOR, "operator"))["lots"]
    assert lots == []
    await promoting.give("vera", count=110)
    await promoting.flush()
    lots = (await promoting.get("/v1/admin/users/vera/lots", OPERATOR, "operator"))["lots"]
    assert [(lot["kind"], lot["left_coins"], lot["worth_bp"]) for lot in lots] == [
        ("paid", 0, 10_000),
        ("bonus", 10, 1_000),
    ]
    told = await promoting.get("/v1/creators/me/earnings", CREATOR, "creator")
    assert (told["pending_diamonds"], told["discounted_diamonds"]) == (100 * 50 + 10 * 5, 10 * 45)

"""Whether a gateway says truly how it is, and counts what it did."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.app import build
from gateway.run.duties import DutyCondition, DutyState, write_duties
from gateway.run.keeping.folder import RUN
from gateway.run.settings.config import Config
from ledger.config import LedgerConfig
from tests.integration.http.api import Api, Refusal, refusal


async def test_ready_when_both_servers_answer(api: Api) -> None:
    """A process that runs is healthy; one that reaches its servers is ready."""
    assert await api.get("/healthz") == {"status": "ok"}
    assert await api.get("/readyz") == {"status": "ready"}


async def test_not_ready_when_a_duty_has_stopped(api: Api, config: Config) -> None:
    """The worker of the same folder counts: what it does not do is named."""
    run = Path(config.data_dir) / RUN
    write_duties(run, [DutyState("relay", DutyCondition.RUNNING), DutyState("flush", DutyCondition.STOPPED, 1, "I1")])
    response = await api.call("GET", "/readyz")
    assert refusal(response) == Refusal(503, "unavailable")
    assert response.json()["missing"] == {"worker.flush": "stopped"}
    (run / "duties.json").write_text("{")
    assert (await api.call("GET", "/readyz")).json()["missing"] == {"worker": "its duties cannot be read"}


async def test_not_ready_while_an_invariant_is_violated(api: Api, config: Config) -> None:
    """The invariant that the worker's audit saw violated is named, and neither whose money it is nor how much."""
    run = Path(config.data_dir) / RUN
    numbers = {"violations_I1": 0, "violations_I9": 2}
    write_duties(run, [DutyState("audit", DutyCondition.RUNNING, numbers=numbers)])
    response = await api.call("GET", "/readyz")
    assert refusal(response) == Refusal(503, "unavailable")
    assert response.json()["missing"] == {"invariants": "I9 violated"}
    write_duties(run, [DutyState("audit", DutyCondition.RUNNING, numbers={"violations_I9": 0})])
    assert await api.get("/readyz") == {"status": "ready"}


@pytest.fixture
async def alone(config: Config, tmp_path: Path) -> Any:
    """A gateway whose servers are not there."""
    nowhere = LedgerConfig(
        redis_url=f"unix://{tmp_path}/none.sock", database_url=f"postgresql://x@/x?host={tmp_path}", partitions=2
    )
    app = await build(msgspec.structs.replace(config, ledger=nowhere))
    calls = Api(app)
    yield calls
    await calls.client.aclose()
    await app.services.revocations.close()
    await app.services.office.close()
    await app.services.ledger.redis.aclose()


async def test_not_ready_without_servers(alone: Api) -> None:
    """Each server that does not answer is named; the process is healthy all the same."""
    response = await alone.call("GET", "/readyz")
    assert refusal(response) == Refusal(503, "unavailable")
    assert set(response.json()["missing"]) == {"valkey", "postgres"}
    assert await alone.get("/healthz") == {"status": "ok"}


async def test_money_without_servers(alone: Api) -> None:
    """What needs a server that is away is a 503 that says when to come back; the catalogue needs none."""
    for path in ("/v1/wallet", "/v1/wallet/entries", "/v1/purchases"):
        response = await alone.call("GET", path, "vera")
        assert refusal(response) == Refusal(503, "unavailable")
        assert response.json()["retry_after_ms"] > 0
        assert response.headers["retry-after"] == "1"
    assert (await alone.get("/v1/catalog"))["gifts"]


async def test_overlay_token_that_cannot_be_checked(alone: Api) -> None:
    """While nobody can say whether a token was revoked it is not believed, and the overlay comes back."""
    assert refusal(await alone.call("GET", "/v1/rooms/demo/events", "cleo", "overlay")) == Refusal(503, "unavailable")


async def test_requests_and_gifts_are_counted(api: Api) -> None:
    """Requests by route and class of status, gifts by outcome; what a client puts into a path makes no new series."""
    await api.grant("vera", 1)
    await api.give("vera")
    await api.call("POST", "/v1/gifts", "vera", json={"id": "x"})
    for room in ("a", "b", "c"):
        await api.call("GET", f"/v1/rooms/{room}")
    text = (await api.call("GET", "/metrics")).text
    assert 'giftwire_gifts_total{outcome="accepted",way="http"} 1.0' in text
    assert 'giftwire_http_requests_total{method="GET",route="/v1/rooms/{room}",status="4xx"} 3.0' in text
    assert 'giftwire_http_requests_total{method="POST",route="/v1/gifts",status="4xx"} 1.0' in text


async def test_catalogue(api: Api) -> None:
    """Every gift with its price, and packages a viewer can buy."""
    catalog = await api.get("/v1/catalog")
    rose = next(gift for gift in catalog["gifts"] if gift["id"] == "rose")
    assert (rose["price_coins"], rose["combo"], rose["tier"]) == (1, True, 1)
    assert catalog["packages"][0] | {} == (await api.get("/v1/packages"))["packages"][0]
    admin = await api.get("/v1/admin/catalog", "olga", "operator")
    assert admin["catalog"]["version"] == catalog["version"]
    assert {promotion["id"] for promotion in admin["promotions"]} >= {"first_purchase", "web_volume"}


async def test_audit(api: Api) -> None:
    """The audit looks at every invariant that stored data can prove, and all hold after gifts and grants."""
    await api.grant("vera", 10)
    await api.give("vera", count=3)
    await api.flush()
    report = await api.get("/v1/admin/audit", "olga", "operator")
    looked_at = {found["id"]: found for found in report["invariants"]}
    assert {"I1", "I2", "I3", "I4", "I9", "I10"} <= set(looked_at)
    assert [found for found in report["invariants"] if found["id"] != "I5" and not found["ok"]] == []
    assert sum(found["checked"] for found in report["invariants"]) > 0
    assert set(report["units"]) >= {"coins", "diamonds"}


async def test_audits_asked_for_at_once(api: Api) -> None:
    """One runs; the others are told when to come back, and then it is their turn."""
    answers = await asyncio.gather(*(api.call("GET", "/v1/admin/audit", "olga", "operator") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refusal(refused) == Refusal(429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await api.call("GET", "/v1/admin/audit", "olga", "operator")).status_code == 200

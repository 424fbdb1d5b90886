"""The live ledger holds its connections open and does not answer: nobody waits for ever, and nothing is paid twice."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from gateway.app import build
from gateway.run.settings.config import Config
from tests.integration.http.api import Api, Refusal, fresh_id, refusal
from tests.servers import Valkey, running_valkey

ANSWER_S_MAX: Final = 20.0
"""Twice a command's own timeout of 5 s, and a commit's retries; far from for ever."""
AWAY: Final = Refusal(503, "unavailable")


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey that this test alone may stop."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder)) as valkey:
        yield valkey


@pytest.fixture
async def api(config: Config, own_valkey: Valkey) -> AsyncIterator[Api]:
    """A gateway on it."""
    ledger = msgspec.structs.replace(config.ledger, redis_url=own_valkey.url, retry_ms_max=500)
    app = await build(msgspec.structs.replace(config, redis_url=own_valkey.url, ledger=ledger))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


async def test_gift_while_the_ledger_does_not_answer(api: Api, own_valkey: Valkey) -> None:
    """503 with when to come back, also for one that waits behind a commit; told again with the same id once it answers,
    it is paid once."""
    await api.grant("vera", 10)
    gifts = [{"id": fresh_id(), "room": "demo", "gift": "rose"} for _ in range(3)]
    with own_valkey.frozen():
        async with asyncio.timeout(ANSWER_S_MAX):
            answers = await asyncio.gather(
                *(api.call("POST", "/v1/gifts", "vera", json=gift) for gift in gifts),
                api.call("GET", "/v1/wallet", "vera"),
            )
    *given, wallet = [refusal(answer) for answer in answers]
    assert wallet == AWAY
    assert AWAY in given
    assert set(given) <= {AWAY, Refusal(503, "overloaded")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    for gift in gifts * 2:
        paid = await api.post("/v1/gifts", gift, "vera")
    assert (paid["balance_coins"], paid["replay"]) == (7, True)

"""How long the stages of a gift's way take, as the metrics tell it."""

import re
import time
from typing import Final

from redis.asyncio import Redis

from gateway.counting.metrics import Stage
from tests.gateways import Gateway, Talker, fresh_id
from tests.waiting import until_true

GIFTS: Final = 5
PAUSE_MS: Final = 150
WAIT_S_MAX: Final = 10.0
_LINE: Final = re.compile(r'giftwire_stage_seconds_(count|sum)\{stage="(\w+)"\} (\S+)')


def _told(gateway: Gateway) -> dict[tuple[Stage, str], float]:
    """Count and sum of every stage."""
    text = gateway.services.shared_metrics.text().decode()
    return {(Stage(stage), what): float(value) for what, stage, value in _LINE.findall(text)}


def _counts(gateway: Gateway) -> dict[Stage, int]:
    return {stage: int(value) for (stage, what), value in _told(gateway).items() if what == "count"}


async def _shown(overlay: Talker, gift_id: str) -> None:
    await overlay.until_gift(lambda event: event["id"] == gift_id)


async def test_stages_are_counted_once_a_commit_and_once_a_tick(gateway: Gateway) -> None:
    """Gifts that come one after another make a commit each; what shows them is counted when it is written."""
    await gateway.grant("ada", 100)
    ada = await gateway.enter("ada")
    overlay = await gateway.enter("cleo", "overlay")
    before, commits = _counts(gateway), gateway.services.ledger.batcher.stats.commits
    for _ in range(GIFTS):
        gift_id = fresh_id()
        assert (await ada.ask(type="gift", id=gift_id, room="demo", gift="rose"))["type"] == "accepted"
        await _shown(overlay, gift_id)
    after = _counts(gateway)
    made = gateway.services.ledger.batcher.stats.commits - commits
    assert made == GIFTS
    grown = {stage: after[stage] - before[stage] for stage in Stage}
    assert (grown[Stage.BATCH], grown[Stage.COMMIT]) == (GIFTS, GIFTS)
    assert grown[Stage.REPLY] >= GIFTS
    assert grown[Stage.RELAY] == GIFTS

    async def all_written() -> bool:
        now = _counts(gateway)
        return now[Stage.TICK] > before[Stage.TICK] and now[Stage.WRITE] > before[Stage.WRITE]

    await until_true(all_written, WAIT_S_MAX)


async def test_commit_that_is_held_up_is_seen_in_its_stage(gateway: Gateway, valkey_url: str) -> None:
    """What waits for the server is told as the commit's time, from when the server stood still."""
    await gateway.grant("ada", 100)
    ada = await gateway.enter("ada")
    before = _told(gateway)
    redis = Redis.from_url(valkey_url)

    async def batcher_is_busy() -> bool:
        return gateway.services.ledger.batcher.in_flight > 0

    paused_s = time.perf_counter()
    await redis.client_pause(PAUSE_MS, all=True)
    await ada.say(type="gift", ref="r", id=fresh_id(), room="demo", gift="rose")
    await until_true(batcher_is_busy, WAIT_S_MAX)
    waited_s = time.perf_counter() - paused_s
    await ada.until(lambda told: told["type"] == "accepted")
    await redis.aclose()
    after = _told(gateway)
    grown = {key: after[key] - before[key] for key in after}
    assert grown[Stage.COMMIT, "count"] == 1
    assert grown[Stage.COMMIT, "sum"] >= PAUSE_MS / 1000 - waited_s

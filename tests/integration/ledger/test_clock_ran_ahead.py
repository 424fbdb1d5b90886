"""The server's clock runs ahead by more than ids are remembered, and is set right: no id is paid twice (I3).

Buckets of ids expire by that clock. What was committed meanwhile has its time; where nothing was, only the totals tell
that ids were forgotten.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.keys import PartitionKeys, Total
from ledger.model import GiftAccepted, GiftRefused, Refusal
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger.subjects import SUBJECTS, RealSubject, Subject, make_subject

MINUTE_MS = 60_000
CONFIG = LedgerConfig()
LIFE_MS = CONFIG.id_window_ms + 2 * CONFIG.id_bucket_ms


@pytest.fixture(params=list(SUBJECTS))
async def subject(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Subject]:
    """A started ledger of one partition in which Ann has 100 coins: the real one, then its twin."""
    made = make_subject(request.param, valkey_url, partitions=1)
    await made.ledger.start()
    await made.ledger.credit(grant("ann", 100))
    yield made
    await made.ledger.stop()


# Gifts by name, with the age of their ids in minutes, each of one coin; `ran` is the server's clock, so many minutes
# ahead for a moment without any commit; `commit` the same, and then a gift with an id of that time is paid.
TABLES = {
    "nothing is committed meanwhile": """
        give a 0       | accepted
        ran 120        |
        give a 0       | id_expired
        give a 0       | id_expired
    """,
    "what never came is refused too, as far as nobody can tell; another time is not": """
        give a 20      | accepted
        ran 120        |
        give late 20   | id_expired
        give a 20      | id_expired
        give other 0   | accepted
        give other 0   | replay
        give third 40  | accepted
        give third 40  | replay
    """,
    "only buckets whose time had come were forgotten": """
        give old 50    | accepted
        give new 0     | accepted
        ran 50         |
        give old 50    | id_expired
        give new 0     | replay
    """,
    "not so far ahead that anything was forgotten": """
        give a 0       | accepted
        ran 59         |
        give a 0       | replay
    """,
    "twice ahead": """
        give a 20      | accepted
        ran 120        |
        give b 0       | accepted
        ran 180        |
        give a 20      | id_expired
        give b 0       | id_expired
        give c 40      | accepted
    """,
    "something is committed meanwhile": """
        give a 0       | accepted
        commit 120     | accepted
        give a 0       | id_expired
        give late 0    | id_expired
        give new -120  | accepted
        give new -120  | replay
        give a 0       | id_expired
    """,
    "nothing was begun": """
        ran 120        |
        give a 0       | accepted
        give a 0       | replay
    """,
    "a gift that was refused has begun nothing": """
        big a 0        | insufficient_coins
        ran 120        |
        give b 0       | accepted
    """,
}


@pytest.mark.parametrize("name", TABLES)
async def test_gifts_told_after_the_clock_ran_ahead(subject: Subject, name: str) -> None:
    """An id is paid once; one that cannot be known any more is refused as too old, with the window that explains it."""
    base_ms, ids, coins = now_ms(), dict[str, bytes](), 100
    for line in TABLES[name].strip().splitlines():
        asked, expected = (part.strip() for part in line.split("|"))
        what, *words, minutes = asked.split()
        at_ms = base_ms - int(minutes) * MINUTE_MS
        if what in ("ran", "commit"):
            await subject.ran_ahead(2 * base_ms - at_ms)
        if what == "ran":
            continue
        if what == "commit":
            at_ms, words = 2 * base_ms - at_ms, [asked]
            await subject.set_clock(at_ms)
        gift_id = ids.setdefault(words[0], new_id(at_ms))
        outcome = await subject.ledger.give(gift_order("ann", 1_000 if what == "big" else 1, gift_id=gift_id))
        if isinstance(outcome, GiftAccepted):
            assert expected == ("replay" if outcome.replay else "accepted"), line
            coins -= not outcome.replay
        else:
            assert outcome.refusal.value == expected, line
            window_ms = (CONFIG.id_window_ms, CONFIG.id_ahead_ms) if outcome.refusal is Refusal.ID_EXPIRED else None
            assert (outcome.balance_coins, outcome.window_ms) == (coins, window_ms), line
    assert await subject.ledger.balance("ann") == coins
    assert len(await subject.records()) == 1 + 100 - coins


async def test_forgotten_and_remembered_ids_in_one_commit(subject: Subject) -> None:
    """Each is judged by what became of its own bucket."""
    base_ms = now_ms()
    old, new = (gift_order("ann", 1, gift_id=new_id(base_ms - age * MINUTE_MS)) for age in (50, 0))
    for order in (old, new):
        assert isinstance(await subject.ledger.give(order), GiftAccepted)
    await subject.ran_ahead(base_ms + 50 * MINUTE_MS)
    fresh = gift_order("ann", 1, gift_id=new_id(base_ms - 30 * MINUTE_MS))
    told = await asyncio.gather(*map(subject.ledger.give, (old, new, fresh)))
    assert isinstance(told[0], GiftRefused) and told[0].refusal is Refusal.ID_EXPIRED
    assert [isinstance(outcome, GiftAccepted) and outcome.replay for outcome in told[1:]] == [True, False]


async def test_buckets_are_named_until_their_time_has_passed(valkey_url: str) -> None:
    """So that what the totals name stays as small as the window: after a day of gifts it is what was begun last."""
    subject = make_subject("scripts", valkey_url, partitions=1)
    assert isinstance(subject, RealSubject)
    ledger = subject.real
    await ledger.start()
    await ledger.credit(grant("ann", 1_000))
    ((_, keys),) = ledger.keys.all()
    base_ms = now_ms()
    for bucket in range(145):
        clock_ms = base_ms + bucket * CONFIG.id_bucket_ms
        await subject.set_clock(clock_ms)
        assert isinstance(await ledger.give(gift_order("ann", 1, gift_id=new_id(clock_ms))), GiftAccepted)
        assert isinstance(await ledger.give(gift_order("ann", 1, gift_id=new_id(clock_ms))), GiftAccepted)
    begun = await named_buckets(ledger, keys)
    assert len(begun) == len(set(begun)) == LIFE_MS // CONFIG.id_bucket_ms
    assert all(clock_ms < expiry_ms <= clock_ms + LIFE_MS for expiry_ms in begun)
    await ledger.stop()


async def named_buckets(ledger: Ledger, keys: PartitionKeys) -> list[int]:
    """When those expire that the totals name."""
    stored: Any = await ledger.redis.hget(keys.totals.decode(), Total.ID_BUCKETS)
    return [int(expiry) for expiry in re.findall(rb"\d+", stored)]

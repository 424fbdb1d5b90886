"""What forbids a gift, judged by the money script and its twin: every limit at its number and one past it."""

import contextlib
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.config import LedgerConfig
from ledger.guards.periods import period_number
from ledger.live.guard_state import NO_SETTINGS, GuardSettings, OwnCap
from ledger.live.scripts import Script
from ledger.model import GiftAccepted, GiftRefused, Limit, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.guard_tables import GuardTable, at_ms
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.subjects import SUBJECTS, RealSubject, make_subject

CAPS: dict[str, Any] = {"gift_coins_max": 50, "day_coins_max": 100, "week_coins_max": 150, "month_coins_max": 200}


@contextlib.asynccontextmanager
async def running(valkey_url: str, **settings: Any) -> AsyncIterator[Ledger]:
    """A started ledger of one partition."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, **{"partitions": 1, **settings}))
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


# The 30th of September 2030 is a Monday.
TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "operator's caps": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        give ann 51 a | gift 0/50
        give ann 50 a | accepted 950
        give ann 50 b | accepted 900
        give ann 1 c  | day 100/100 2030-09-21
        give ann 51 c | gift 0/50
        at 2030-09-20T23:59:59.999
        give ann 1 c2 | day 100/100 2030-09-21
        at 2030-09-21T00:00:00
        give ann 50 d | accepted 850
        give ann 1 e  | week 150/150 2030-09-23
        at 2030-09-22T23:59:59.999
        give ann 1 e2 | week 150/150 2030-09-23
        at 2030-09-23T00:00:00
        give ann 49 f | accepted 801
        give ann 2 g  | month 199/200 2030-10-01
        give ann 1 g2 | accepted 800
        at 2030-09-30T00:00:00
        give ann 1 h  | month 200/200 2030-10-01
        at 2030-09-30T23:59:59.999
        give ann 1 h2 | month 200/200 2030-10-01
        at 2030-10-01T00:00:00
        give ann 50 i | accepted 750
        """,
    ),
    "a replay whatever the caps say": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        give ann 50 a | accepted 950
        give ann 50 b | accepted 900
        give ann 50 a | replay 900
        own ann 0 0 0 0
        give ann 50 a | replay 900
        give ann 49 a | id_conflict
        freeze ann For now.
        give ann 50 b barred | replay 900
        give ann 49 b | id_conflict
        """,
    ),
    "a limit for every viewer of its own": (
        {"day_coins_max": 10},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        & give ann 10 a | accepted 90
        & give bob 9 b  | accepted 91
        & give ann 1 c  | day 10/10 2030-09-21
        & give bob 1 d  | accepted 90
        & give bob 1 e  | day 10/10 2030-09-21
        """,
    ),
    "a commit astride of a cap": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        own ann - 20 - -
        & give ann 8 a  | accepted 92
        & give ann 8 b  | accepted 84
        & give ann 8 c  | day 16/20 2030-09-21
        & give ann 8 a  | replay 84
        & give ann 4 d  | accepted 80
        & give ann 1 e  | day 20/20 2030-09-21
        & give ann 200 f | day 20/20 2030-09-21
        """,
    ),
    "a viewer's own caps": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        give ann 90 a | accepted 910
        own ann 40 60 - -
        give ann 41 b | gift 0/40
        give ann 40 b | accepted 870
        give ann 21 c | day 40/60 2030-09-21
        own ann 40 41 - -
        give ann 2 c  | day 40/41 2030-09-21
        own ann 40 60>80@2030-09-21T12:00:00 - -
        give ann 40 c | day 40/60 2030-09-21
        at 2030-09-21T11:59:59.999
        give ann 40 d | accepted 830
        give ann 40 e | day 40/60 2030-09-22
        at 2030-09-21T12:00:00
        give ann 40 e | accepted 790
        give ann 1 f  | day 80/80 2030-09-22
        own ann 40>-@2030-09-22T12:00:00 - - 121
        at 2030-09-22T12:00:00
        give ann 2 f2 | month 120/121 2030-10-01
        give ann 1 f3 | accepted 789
        at 2030-10-01T00:00:00
        give ann 121 g | accepted 668
        """,
    ),
    "the smaller of two caps": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        own ann 60 99 - -
        give ann 51 a | gift 0/50
        give ann 50 a | accepted 950
        give ann 50 b | day 50/99 2030-09-21
        own ann 60 101 - -
        give ann 50 b | accepted 900
        give ann 1 c  | day 100/100 2030-09-21
        """,
    ),
    "nothing at all": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 10
        own ann 0 - - -
        give ann 1 a | gift 0/0
        own ann - - 0 -
        give ann 1 a | week 0/0 2030-09-23
        """,
    ),
    "frozen between two gifts": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 1 a | accepted 99
        freeze ann Ask the support.
        give ann 1 b | frozen Ask the support.
        give ann 51 b | frozen Ask the support.
        give ann 1000 c barred | frozen Ask the support.
        give ann 1 a | replay 99
        thaw ann
        give ann 1 b | accepted 98
        """,
    ),
    "an age that may not give": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        age ann born=2024-09-21
        give ann 1 a         | under_age 6
        give ann 1000 b barred | under_age 6
        give ann 1 c to=ann  | under_age 6
        freeze ann Ask us.
        give ann 1 a         | frozen Ask us.
        thaw ann
        at 2030-09-20T23:59:59.999
        give ann 1 a2        | under_age 6
        at 2030-09-21T00:00:00
        give ann 1 a2        | accepted 99
        age ann born=2024-09-22
        give ann 1 a2        | replay 99
        give ann 1 d         | under_age 6
        age ann
        give ann 1 d         | accepted 98
        """,
    ),
    "a birthday on the 29th of February": (
        {},
        """
        at 2030-02-28T23:59:59.999
        coins ann 100
        age ann born=2024-02-29
        give ann 1 a | under_age 6
        at 2030-03-01T00:00:00
        give ann 1 b | accepted 99
        coins bob 100
        age bob born=2024-02-29 country=CN
        at 2032-02-28T23:59:59.999
        give bob 1 c | under_age 8
        at 2032-02-29T00:00:00
        give bob 1 d | guardian_needed 17
        """,
    ),
    "caps for minors until they are none": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        age ann born=2012-09-22
        give ann 51 a | gift 0/50
        give ann 50 a | accepted 950
        give ann 11 b | day 50/60 2030-09-21
        give ann 10 b | accepted 940
        at 2030-09-21T23:00:00
        give ann 41 c | month 60/100 2030-10-01
        own ann - 30 - -
        give ann 31 c | day 0/30 2030-09-22
        own ann - 90 - -
        give ann 40 c | accepted 900
        give ann 1 d  | month 100/100 2030-10-01
        at 2030-09-22T00:00:00
        give ann 91 e | day 0/90 2030-09-23
        give ann 90 e | accepted 810
        """,
    ),
    "caps of the operator beside those for minors": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        age ann born=2015-01-01 country=XX
        give ann 51 a | gift 0/50
        give ann 6 a  | day 0/5 2030-09-21
        give ann 5 a  | accepted 995
        at 2030-09-21T12:00:00
        give ann 4 b  | week 5/8 2030-09-23
        give ann 3 b  | accepted 992
        """,
    ),
    "a guardian's consent": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        age ann born=2020-09-20 country=XX
        give ann 1 a | guardian_needed 12
        age ann born=2020-09-20 country=XX guardian=mum
        give ann 1 a | accepted 99
        give ann 5 b | day 1/5 2030-09-21
        age ann born=2020-09-20 country=XX
        give ann 1 a | replay 99
        give ann 1 c | guardian_needed 12
        at 2032-09-19T23:59:59.999
        give ann 1 c2 | guardian_needed 12
        at 2032-09-20T00:00:00
        give ann 1 d | accepted 98
        age ann born=2022-09-21 country=XX
        give ann 1 e | accepted 97
        at 2032-09-21T00:00:00
        give ann 1 f | guardian_needed 12
        """,
    ),
    "own caps that a country wants": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        age ann born=2000-01-01 country=CN
        give ann 1 a | own_caps_needed gift day
        own ann 5 - - -
        give ann 1 a barred | own_caps_needed gift day
        own ann 5 10 - -
        give ann 6 a | gift 0/5
        give ann 5 a | accepted 95
        own ann 5>-@2030-09-20T13:00:00 10 - -
        give ann 1 b | accepted 94
        at 2030-09-20T13:00:00
        give ann 1 c | own_caps_needed gift day
        coins bob 100
        age bob country=CN
        give bob 1 d | own_caps_needed gift day
        own bob 1 1 - -
        give bob 1 d | accepted 99
        """,
    ),
    "an age that is not known": (
        {"unknown_age": "refuse"},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        & give ann 1 a        | age_unknown
        & give ann 1 b barred | age_unknown
        age ann born=2000-01-01
        give ann 1 a          | accepted 99
        age ann
        give ann 1 a          | replay 99
        give ann 1 c          | age_unknown
        age ann country=CN
        own ann 5 5 5 5
        give ann 1 c          | age_unknown
        age ann born=2000-01-01 country=CN
        give ann 1 c          | accepted 98
        """,
    ),
    "own gifts": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        & give ann 1 a to=ann | own_gift
        & give ann 1 b        | accepted 99
        """,
    ),
    "own gifts where they are allowed": (
        {"own_gifts": True},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 1 a to=ann | accepted 99
        """,
    ),
    "barred by the caller": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        & give ann 1 a barred   | barred
        & give ann 200 b barred | barred
        & give ann 1 a          | accepted 99
        & give ann 1 a barred   | replay 99
        give ann 1 a barred     | replay 99
        """,
    ),
    "a creator's cap of a day": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        coins bob 1000
        & give ann 30 a max=50         | accepted 970
        & give ann 30 b max=50         | creator_day 30/50 2030-09-21
        & give ann 20 c max=50         | accepted 950
        & give ann 20 d max=50 to=cleo | accepted 930
        & give ann 90 e                | accepted 840
        & give bob 50 f max=50         | accepted 950
        & give bob 1 g max=0           | creator_day 50/0 2030-09-21
        give ann 1 h max=50            | creator_day 50/50 2030-09-21
        give ann 20 c max=50           | replay 840
        give ann 1 h max=51            | accepted 839
        at 2030-09-20T23:59:59.999
        give ann 1 i max=51            | creator_day 51/51 2030-09-21
        at 2030-09-21T00:00:00
        give ann 50 i max=51           | accepted 789
        give ann 2 j max=51            | creator_day 50/51 2030-09-22
        """,
    ),
    "a gift rate": (
        {"gifts_per_minute": 60, "gifts_burst": 3},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 1
        & give ann 1 a | accepted 99
        & give ann 1 b | accepted 98
        & give ann 1 c | accepted 97
        & give ann 1 d | rate_limited 1000
        & give bob 2 e | insufficient_coins
        & give bob 1 f | accepted 0
        at 2030-09-20T12:00:00.999
        give ann 1 d  | rate_limited 1
        at 2030-09-20T12:00:01
        give ann 1 d  | accepted 96
        give ann 1 g  | rate_limited 1000
        give ann 1 a  | replay 96
        at 2030-09-20T12:00:03.500
        & give ann 1 g | accepted 95
        & give ann 1 h | accepted 94
        & give ann 1 i | rate_limited 500
        at 2030-09-20T13:00:00
        & give ann 1 i | accepted 93
        & give ann 1 j | accepted 92
        & give ann 1 k | accepted 91
        & give ann 1 l | rate_limited 1000
        """,
    ),
}


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("name", TABLES)
async def test_table_of_guards(valkey_url: str, name: str, kind: str) -> None:
    """Each line of the table has the outcome behind its bar."""
    settings, table = TABLES[name]
    subject = make_subject(kind, valkey_url, **{"partitions": 1, **settings})
    await subject.ledger.start()
    await GuardTable(subject).run(table)
    await subject.ledger.stop()


async def test_gift_without_any_guard_leaves_nothing_behind(valkey_url: str) -> None:
    """Where nobody has caps, freezes or rates, nothing is stored for them; others' guards do not change that."""
    async with running(valkey_url) as ledger:
        (_, keys), *_ = ledger.keys.all()
        await ledger.credit(grant("ann", 10))
        assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
        assert not await ledger.redis.exists(keys.guards, keys.given_today)
        await ledger.set_guards([("bob", GuardSettings(1, None, NO_SETTINGS.caps))])
        assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
        assert await ledger.redis.hkeys(keys.guards.decode()) == [b"bob"]
        assert not await ledger.redis.exists(keys.given_today)


async def test_gift_without_any_guard_costs_one_read(valkey_url: str) -> None:
    """Of the calls that the script makes one is about guards, and none is a write."""
    async with running(valkey_url) as ledger:
        await ledger.credit(grant("ann", 10))
        assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
        await ledger.redis.config_resetstat()
        assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
        stats = await ledger.redis.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
        # Read: totals, wallets, stripes, ids, guards. Written: wallets, stripes, ids, totals, and the journal.
        assert (calls["hmget"], calls["hset"], calls["xadd"]) == (5, 4, 1)
        assert calls.keys() <= {"evalsha", "time", "hmget", "hset", "pttl", "xadd", "config|resetstat", "info"}


async def test_refused_gift_counts_for_nothing(valkey_url: str) -> None:
    """A gift that is refused for want of coins, or after the caps, leaves the counters as they were."""
    async with running(valkey_url, day_coins_max=10, gifts_per_minute=1, gifts_burst=1) as ledger:
        await ledger.credit(grant("ann", 5))
        refused = [await ledger.give(gift_order("ann", coins)) for coins in (6, 11)]
        assert [one.refusal for one in refused if isinstance(one, GiftRefused)] == [
            Refusal.INSUFFICIENT_COINS,
            Refusal.LIMIT_EXCEEDED,
        ]
        guard = await ledger.guard("ann")
        assert guard.counted == ((0, 0), (0, 0), (0, 0))
        assert isinstance(await ledger.give(gift_order("ann", 5)), GiftAccepted)
        guard, now_ms = await ledger.guard("ann"), await ledger.now_ms()
        assert [guard.spent(limit, now_ms) for limit in (Limit.DAY, Limit.WEEK, Limit.MONTH)] == [5, 5, 5]


async def test_settings_told_late_or_twice(valkey_url: str) -> None:
    """Older settings never take the place of newer ones, and the counters outlive every change."""
    caps = (OwnCap(), OwnCap(7), OwnCap(), OwnCap())
    second = GuardSettings(2, None, caps)
    async with running(valkey_url) as ledger:
        await ledger.credit(grant("ann", 10))
        await ledger.set_guards([("ann", GuardSettings(1, "Why?", caps)), ("bob", second)])
        await ledger.set_guards([("ann", second)])
        assert isinstance(await ledger.give(gift_order("ann", 4)), GiftAccepted)
        await ledger.set_guards([("ann", GuardSettings(1, "Why?", caps)), ("ann", second)])
        guard = await ledger.guard("ann")
        assert (guard.settings, guard.spent(Limit.DAY, await ledger.now_ms())) == (second, 4)
        assert (await ledger.guard("bob")).settings == second
        refused = await ledger.give(gift_order("ann", 4))
        assert isinstance(refused, GiftRefused) and refused.refusal is Refusal.LIMIT_EXCEEDED


async def test_guards_of_several_partitions_in_one_call(valkey_url: str) -> None:
    """Keys and columns of each partition are its own, also where only some have creators' caps."""
    async with running(valkey_url, partitions=4, day_coins_max=9) as ledger:
        viewers = [f"viewer{n}" for n in range(12)]
        for viewer in viewers:
            await ledger.credit(grant(viewer, 20))
        table = GuardTable(RealSubject(ledger))
        for viewer in viewers[::3]:
            await table.set(viewer, frozen="No.")
        for viewer in viewers:
            outcomes = [await ledger.give(gift_order(viewer, coins)) for coins in (9, 1)]
            first, second = outcomes
            if viewer in viewers[::3]:
                assert first == GiftRefused(Refusal.FROZEN, 20, reason="No.")
            else:
                assert isinstance(first, GiftAccepted) and first.balance_coins == 11
                assert isinstance(second, GiftRefused) and second.refusal is Refusal.LIMIT_EXCEEDED


async def test_hash_of_a_day_holds_one_day(valkey_url: str) -> None:
    """What viewers gave creators on the day before is forgotten by the first gift of the day that is counted."""
    async with running(valkey_url) as ledger:
        (_, keys), *_ = ledger.keys.all()
        name = keys.given_today.decode()
        table = GuardTable(RealSubject(ledger))
        await table.run("""
            at 2030-09-20T12:00:00
            coins ann 100
            coins bob 100
            give ann 30 a max=50 | accepted 70
            give bob 5 b max=50  | accepted 95
        """)
        today = str(period_number(Limit.DAY, at_ms("2030-09-20T12:00:00"))).encode()
        assert await ledger.redis.hgetall(name) == {b"day": today, b"ann\0cora": b"30", b"bob\0cora": b"5"}
        await table.run("""
            at 2030-09-21T00:00:00
            give bob 51 c max=50 | creator_day 0/50 2030-09-22
        """)
        assert await ledger.redis.hlen(name) == 3
        await table.run("give bob 6 d max=50 | accepted 89")
        tomorrow = str(int(today) + 1).encode()
        assert await ledger.redis.hgetall(name) == {b"day": tomorrow, b"bob\0cora": b"6"}


async def test_script_numbers_periods_as_the_calendar_does(valkey_url: str) -> None:
    """What the script counts under is what is read back, at each end of each day of four years and of a far year."""
    async with running(valkey_url) as ledger:
        part = Script("gift", parts=("guards",)).source.partition(b"-- What the age step")[0]
        source = (
            part
            + b"\nlocal found = {} for i, ms in ipairs(ARGV) do found[i] = periods_of(tonumber(ms)) end return found"
        )
        first = at_ms("2027-12-30") // 86_400_000
        days = [*range(first, first + 4 * 366), *range(first + 150 * 365, first + 150 * 365 + 400)]
        times = [edge for day in days for edge in (day * 86_400_000, (day + 1) * 86_400_000 - 1)]
        numbers = await ledger.redis.eval(source.decode(), 0, *times)
        limits = (Limit.DAY, Limit.WEEK, Limit.MONTH)
        assert numbers == [[period_number(limit, at) for limit in limits] for at in times]
        assert datetime.datetime.fromtimestamp(times[-1] / 1000, datetime.UTC).year > 2170


async def test_reason_and_counters_are_read_back(valkey_url: str) -> None:
    """A field that both scripts have written holds what each of them wrote."""
    async with running(valkey_url, gifts_per_minute=60) as ledger:
        await ledger.credit(grant("ann", 10))
        assert isinstance(await ledger.give(gift_order("ann", 3)), GiftAccepted)
        settings = GuardSettings(4, "Ask us. 🧊", (OwnCap(1), OwnCap(2, 3, 4), OwnCap(None, 5, 6), OwnCap(7, None, 8)))
        await ledger.set_guards([("ann", settings)])
        guard = await ledger.guard("ann")
        assert guard.settings == settings
        assert [coins for _, coins in guard.counted] == [3, 3, 3]

"""Holds on the real scripts and on the twin: every refusal, every way to end, each at its limit and one past it."""

import asyncio
from typing import Any

import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import (
    AMOUNT_MAX,
    EndRefusal,
    EndRefused,
    GiftRefused,
    Held,
    HoldEnd,
    HoldEnded,
    HoldOrder,
    Partition,
    Refusal,
    ViewerId,
)
from ledger.service import open_ledger
from tests.integration.ledger.hold_tables import HoldTable
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger.subjects import SUBJECTS, make_subject

ANN = ViewerId("ann")
CAPS: dict[str, Any] = {"gift_coins_max": 50, "day_coins_max": 100, "week_coins_max": 150, "month_coins_max": 200}

# The 20th of September 2030 is a Friday, and the 30th a Monday.
TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "a hold ends once": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        hold ann 30 a 1000      | held 70
        hold ann 30 a 1000      | replay 70
        hold ann 31 a 1000      | id_conflict
        hold ann 30 a 1001      | id_conflict
        settle ann a            | settled 30/30 70
        settle ann a            | again settled 30/30 70
        settle ann a 10         | again settled 30/30 70
        void ann a              | again settled 30/30 70
        expire ann a            | again settled 30/30 70
        hold ann 30 a 1000      | replay 70
        hold ann 31 a 1000      | id_conflict
        hold ann 20 b 1000      | held 50
        void ann b              | voided 0/20 70
        settle ann b            | again voided 0/20 70
        wallet ann              | 70
        """,
    ),
    "a part is taken, the rest goes back": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        hold ann 100 a 1000     | held 0
        settle ann a 101        | too_many_coins 100
        settle ann a 1          | settled 1/100 99
        hold ann 99 b 1000      | held 0
        settle ann b 99         | settled 99/99 0
        """,
    ),
    "too few coins": (
        {},
        """
        at 2030-09-20T12:00:00
        hold ann 1 a 1000       | insufficient_coins
        coins ann 10
        hold ann 11 a 1000      | insufficient_coins
        hold ann 10 a 1000      | held 0
        give ann 1 g            | insufficient_coins
        void ann a              | voided 0/10 10
        give ann 1 g            | accepted 9
        """,
    ),
    "the deadline": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        hold ann 10 a 1000      | held 90
        hold ann 10 b 1000      | held 80
        hold ann 10 c 1000      | held 70
        hold ann 10 d 1000      | held 60
        hold ann 10 e 1001      | held 50
        due                     | none
        at 2030-09-20T12:00:00.999
        due                     | none
        expire ann a            | not_due 10
        settle ann a            | settled 10/10 50
        at 2030-09-20T12:00:01
        settle ann b            | expired 0/10 60
        void ann c              | expired 0/10 70
        settle ann b            | again expired 0/10 60
        due                     | d
        wallet ann              | 80
        settle ann d            | again expired 0/10 80
        due                     | none
        settle ann e 4          | settled 4/10 86
        """,
    ),
    "nobody's hold": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 10
        coins bob 10
        settle ann a            | no_such_hold
        hold ann 5 a 1000       | held 5
        void bob a              | no_such_hold
        hold bob 3 a 1000       | held 7
        settle bob a            | settled 3/3 7
        void ann a              | voided 0/5 10
        """,
    ),
    "bounds of open holds": (
        {"viewer_holds_max": 2, "partition_holds_max": 3},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        hold ann 1 a 1000       | held 99
        hold ann 1 b 1000       | held 98
        hold ann 1 c 1000       | too_many_holds 2
        hold ann 1 b 1000       | replay 98
        hold bob 1 d 1000       | held 99
        hold bob 1 e 1000       | too_many_holds 3
        settle ann a            | settled 1/1 98
        hold bob 1 e 1000       | held 98
        void ann b              | voided 0/1 99
        hold ann 1 c 1000       | held 98
        """,
    ),
    "operator's caps count what is held, and what comes back is given back": (
        CAPS,
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        hold ann 51 a 9000000000 | gift 0/50
        hold ann 50 a 9000000000 | held 950
        give ann 50 b            | accepted 900
        hold ann 1 c 9000000000  | day 100/100
        settle ann a 20          | settled 20/50 930
        counted ann              | 70 70 70
        hold ann 31 c 9000000000 | day 70/100
        hold ann 30 c 9000000000 | held 900
        at 2030-09-21T12:00:00
        give ann 40 d            | accepted 860
        counted ann              | 40 140 140
        void ann c               | voided 0/30 890
        counted ann              | 40 110 110
        at 2030-09-22T12:00:00
        hold ann 40 e 9000000000 | held 850
        hold ann 1 f 9000000000  | week 150/150
        at 2030-10-01T00:00:00
        void ann e               | voided 0/40 890
        counted ann              | 0 110 110
        hold ann 50 f 9000000000 | held 840
        counted ann              | 50 50 50
        """,
    ),
    "own caps count from when they were set": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        hold ann 40 a 1000      | held 960
        own ann - 50 - -
        hold ann 50 b 1000      | held 910
        hold ann 1 c 1000       | day 50/50
        void ann a              | voided 0/40 950
        hold ann 1 c 1000       | day 50/50
        void ann b              | voided 0/50 1000
        hold ann 1 c 1000       | held 999
        counted ann             | 1 1 1
        """,
    ),
    "a frozen account": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        hold ann 10 a 1000      | held 90
        hold ann 10 b 1000      | held 80
        freeze ann Ask us.
        hold ann 10 c 1000      | frozen Ask us.
        hold ann 10 a 1000      | replay 90
        settle ann a            | settled 10/10 80
        void ann b              | voided 0/10 90
        """,
    ),
    "an age that may not give, and the caps of one that may": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        age ann born=2024-09-21
        hold ann 1 a 1000       | under_age
        at 2030-09-22T12:00:00
        hold ann 51 a 1000      | gift 0/50
        hold ann 50 a 1000      | held 950
        hold ann 11 b 1000      | day 50/60
        age ann born=2000-01-01 country=CN
        hold ann 1 b 1000       | own_caps_needed
        age ann born=2020-09-20 country=CN
        hold ann 1 b 1000       | guardian_needed
        hold ann 50 a 1000      | replay 950
        settle ann a            | settled 50/50 950
        """,
    ),
    "an age that is not known": (
        {"unknown_age": "refuse"},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        hold ann 1 a 1000       | age_unknown
        age ann born=2000-01-01
        hold ann 1 a 1000       | held 999
        counted ann             | 1 1 1
        """,
    ),
    "a journal that the books are behind": (
        {"journal_records_max": 3},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        hold ann 10 a 1000      | held 90
        hold ann 10 b 1000      | held 80
        hold ann 10 c 1000      | overloaded 3
        settle ann a            | settled 10/10 80
        void ann b              | voided 0/10 90
        """,
    ),
}


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("name", TABLES)
async def test_table_of_holds(valkey_url: str, name: str, kind: str) -> None:
    """Each line of the table has the outcome behind its bar."""
    settings, table = TABLES[name]
    subject = make_subject(kind, valkey_url, **{"partitions": 1, **settings})
    await subject.ledger.start()
    await HoldTable(subject).run(table)
    await subject.ledger.stop()


@pytest.mark.parametrize("kind", SUBJECTS)
async def test_hold_whose_id_may_have_been_forgotten(valkey_url: str, kind: str) -> None:
    """An unknown id after its time is UNKNOWN and holds nothing; a known one is answered at any time."""
    subject = make_subject(kind, valkey_url, partitions=1)
    await subject.ledger.start()
    await subject.ledger.credit(grant("ann", 10))
    order = HoldOrder(new_id(now_ms()), ANN, 4, 60_000, "")
    assert await subject.ledger.hold(order, until_ms=1) == GiftRefused(Refusal.UNKNOWN)
    assert await subject.ledger.balance("ann") == 10
    first = await subject.ledger.hold(order)
    again = await subject.ledger.hold(order, until_ms=1)
    assert isinstance(first, Held) and isinstance(again, Held)
    assert (first.expires_ms, first.replay, again.replay) == (again.expires_ms, False, True)
    await subject.ledger.stop()


async def test_hold_that_is_ended_from_many_sides_ends_once(valkey_url: str) -> None:
    """Of settlements and voids at the same time one decides; all hear of that one, and coins moved once."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 100))
    order = HoldOrder(new_id(now_ms()), ANN, 60, 60_000, "")
    await ledger.hold(order)
    ends = [
        ledger.end_hold(order.id, ANN, end, taken_coins=coins)
        for end, coins in [(HoldEnd.SETTLED, 20), (HoldEnd.VOIDED, None), (HoldEnd.SETTLED, None)] * 10
    ]
    outcomes = await asyncio.gather(*ends)
    first = [one for one in outcomes if isinstance(one, HoldEnded) and not one.replay]
    assert len(first) == 1
    assert {(one.end, one.taken_coins, one.balance_coins) for one in outcomes if isinstance(one, HoldEnded)} == {
        (first[0].end, first[0].taken_coins, first[0].balance_coins)
    }
    assert await ledger.balance("ann") == 100 - first[0].taken_coins
    assert await ledger.open_holds([Partition(0)]) == 0
    await ledger.stop()


async def test_hold_of_a_server_that_is_gone(valkey_url: str) -> None:
    """Its outcome is UNKNOWN; nothing is raised."""
    ledger = open_ledger(LedgerConfig(redis_url="unix:///nowhere/at/all.sock", partitions=1))
    order = HoldOrder(new_id(now_ms()), ANN, 60, 60_000, "")
    assert await ledger.hold(order) == GiftRefused(Refusal.UNKNOWN)
    assert await ledger.end_hold(order.id, ANN, HoldEnd.VOIDED) == EndRefused(EndRefusal.UNKNOWN)


@pytest.mark.parametrize(("coins", "lasts_ms"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
@pytest.mark.parametrize("kind", SUBJECTS)
async def test_hold_of_nothing(valkey_url: str, kind: str, coins: int, lasts_ms: int) -> None:
    """A hold of no coins or no time is a mistake of the caller."""
    subject = make_subject(kind, valkey_url, partitions=1)
    with pytest.raises(ValueError, match="at least one"):
        await subject.ledger.hold(HoldOrder(new_id(now_ms()), ANN, coins, lasts_ms, ""))


@pytest.mark.parametrize(("end", "coins"), [(HoldEnd.SETTLED, 0), (HoldEnd.VOIDED, 1), (HoldEnd.EXPIRED, 1)])
@pytest.mark.parametrize("kind", SUBJECTS)
async def test_end_that_takes_what_it_cannot(valkey_url: str, kind: str, end: HoldEnd, coins: int) -> None:
    """No settlement is of nothing, and only a settlement takes coins."""
    subject = make_subject(kind, valkey_url, partitions=1)
    with pytest.raises(ValueError, match="cannot be taken"):
        await subject.ledger.end_hold(bytes(16), ANN, end, taken_coins=coins)


async def test_hold_of_every_coin_there_can_be(valkey_url: str) -> None:
    """Amounts stay exact up to the largest one, in the wallet, in the totals and in the record."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", AMOUNT_MAX))
    order = HoldOrder(new_id(now_ms()), ANN, AMOUNT_MAX, 60_000, "")
    held = await ledger.hold(order)
    assert isinstance(held, Held) and held.balance_coins == 0
    ended = await ledger.end_hold(order.id, ANN, HoldEnd.SETTLED, taken_coins=AMOUNT_MAX - 1)
    assert isinstance(ended, HoldEnded)
    assert (ended.coins, ended.taken_coins, ended.balance_coins) == (AMOUNT_MAX, AMOUNT_MAX - 1, 1)
    batch = await ledger.journal_reader({}).read(block_ms=None)
    assert [record.body.coins for record in batch.records] == [AMOUNT_MAX] * 3
    await ledger.stop()


async def test_ledger_without_holds_stores_nothing_of_them(valkey_url: str) -> None:
    """Gifts and credits leave no key and no field behind that holds would need."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 10))
    await ledger.give(gift_order("ann", 1))
    (_, keys), *_ = ledger.keys.all()
    assert not await ledger.redis.exists(keys.holds, keys.hold_deadlines, keys.hold_counts, keys.ended_holds)
    assert not await ledger.redis.hexists(keys.totals.decode(), "held")
    await ledger.stop()

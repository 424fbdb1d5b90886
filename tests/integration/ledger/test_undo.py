"""Gifts that may be undone, on the real scripts and on the twin: every way to end, each bound at it and one past it."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.journal import gift_body, held_body, settled_body, undone_body
from ledger.model import (
    AMOUNT_MAX,
    UNDO_MS_MAX,
    GiftAccepted,
    GiftOrder,
    GiftUndone,
    Partition,
    UndoRefusal,
    UndoRefused,
    ViewerId,
)
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger.subjects import SUBJECTS, make_subject
from tests.integration.ledger.undo_tables import UndoTable

ANN = ViewerId("ann")
FULL = AMOUNT_MAX // 100
"""Coins whose diamonds are all that one sum can hold."""

# The 20th of September 2030 is a Friday.
TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "a gift ends once": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 30 a undo=1000  | accepted 70 undoable
        give ann 30 a undo=1000  | replay 70 undoable
        give ann 30 a            | replay 70
        give ann 31 a undo=1000  | id_conflict
        give ann 20 b undo=1000  | accepted 50 undoable
        earned cora              | 0
        open                     | 2
        undo ann a               | undone 30 80
        undo ann a               | again undone 30 80
        give ann 30 a undo=1000  | replay 80
        at 2030-09-20T12:00:01
        undo ann a               | again undone 30 80
        pay                      | 1
        pay                      | 0
        undo ann b               | settled
        give ann 20 b undo=1000  | replay 80
        earned cora              | 1000
        wallet ann               | 80
        open                     | 0
        """,
    ),
    "the deadline": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 1 a undo=1000   | accepted 99 undoable
        give ann 2 b undo=1000   | accepted 97 undoable
        give ann 4 c undo=1001   | accepted 93 undoable
        give ann 8 d undo=999    | accepted 85 undoable
        pay                      | 0
        at 2030-09-20T12:00:00.999
        undo ann a               | undone 1 86
        give ann 8 d undo=999    | replay 86
        pay 1                    | 1
        pay 1                    | 0
        earned cora              | 400
        at 2030-09-20T12:00:01
        undo ann b               | settled
        earned cora              | 500
        undo ann b               | settled
        undo ann d               | settled
        open                     | 1
        undo ann c               | undone 4 90
        pay                      | 0
        """,
    ),
    "nobody's gift, and gifts that never could be undone": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 10
        coins bob 10
        give ann 5 a undo=1000   | accepted 5 undoable
        give ann 1 b             | accepted 4
        undo bob a               | no_such_gift
        undo ann c               | no_such_gift
        undo ann b               | settled
        give bob 3 a undo=1000   | accepted 7 undoable
        undo bob a               | undone 3 10
        undo ann a               | undone 5 9
        """,
    ),
    "who took a gift back has no window for a while": (
        {"undo_pause_ms": 5_000},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        give ann 10 a undo=1000  | accepted 90 undoable
        give ann 10 b undo=1000  | accepted 80 undoable
        undo ann a               | undone 10 90
        give ann 10 c undo=1000  | accepted 80
        undo ann c               | settled
        give bob 10 d undo=1000  | accepted 90 undoable
        undo ann b               | undone 10 90
        at 2030-09-20T12:00:04.999
        give ann 10 e undo=1000  | accepted 80
        at 2030-09-20T12:00:05
        give ann 10 f undo=1000  | accepted 70 undoable
        undo ann f               | undone 10 80
        take ann 10 r1           | took 10 70
        give ann 10 g undo=1000  | accepted 60 undoable
        """,
    ),
    "a refund does not open what an undoing has shut for long": (
        {"undo_pause_ms": 120_001},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 10 a undo=1000  | accepted 90 undoable
        undo ann a               | undone 10 100
        take ann 10 r1           | took 10 90
        give ann 10 b undo=1000  | accepted 80
        """,
    ),
    "many of a commit": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        & give ann 10 a undo=1000 | accepted 90 undoable
        & give ann 10 b           | accepted 80
        & give bob 99 c undo=500 to=cleo | accepted 1 undoable
        & give bob 2 d undo=500   | insufficient_coins
        & give ann 10 a undo=1000 | replay 80 undoable
        give bob 1 e              | accepted 0
        earned cora               | 550
        earned cleo               | 0
        undo ann a                | undone 10 90
        at 2030-09-20T12:00:02
        pay                       | 1
        earned cleo               | 4950
        """,
    ),
    "too many at a time": (
        {"partition_holds_max": 2},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        give ann 1 a undo=1000   | accepted 99 undoable
        & give bob 1 b undo=1000 | accepted 99 undoable
        & give bob 1 c undo=1000 | accepted 98
        give bob 1 d undo=1000   | accepted 97
        undo bob d               | settled
        earned cora              | 100
        undo ann a               | undone 1 100
        give ann 1 e undo=1000   | accepted 99 undoable
        """,
    ),
    "caps count what is held, and what is undone is given back": (
        {"gift_coins_max": 50, "day_coins_max": 100, "week_coins_max": 150, "month_coins_max": 200},
        """
        at 2030-09-20T12:00:00
        coins ann 1000
        give ann 51 a undo=1000  | gift 0/50
        give ann 50 a undo=60000 | accepted 950 undoable
        give ann 50 b undo=60000 | accepted 900 undoable
        give ann 1 c undo=60000  | day 100/100 2030-09-21
        undo ann a               | undone 50 950
        counted ann              | 50 50 50
        give ann 50 c            | accepted 900
        give ann 1 d             | day 100/100 2030-09-21
        at 2030-09-20T12:01:00
        pay                      | 1
        counted ann              | 100 100 100
        at 2030-09-20T23:59:59
        at 2030-09-21T00:00:00
        give ann 40 e undo=60000 | accepted 860 undoable
        undo ann e               | undone 40 900
        counted ann              | 0 100 100
        """,
    ),
    "a gift of yesterday is given back to the week and the month": (
        {"day_coins_max": 100, "week_coins_max": 150, "month_coins_max": 200},
        """
        at 2030-09-20T23:59:59
        coins ann 1000
        give ann 60 a undo=60000 | accepted 940 undoable
        at 2030-09-21T00:00:01
        give ann 70 b            | accepted 870
        undo ann a               | undone 60 930
        counted ann              | 70 70 70
        """,
    ),
    "the creator's cap of a day": (
        {},
        """
        at 2030-09-20T23:59:00
        coins ann 1000
        give ann 15 a max=20 undo=60000 | accepted 985 undoable
        give ann 6 b max=20             | creator_day 15/20 2030-09-21
        undo ann a                      | undone 15 1000
        give ann 20 b max=20 undo=60000 | accepted 980 undoable
        at 2030-09-21T00:00:00
        give ann 5 c max=20             | accepted 975
        at 2030-09-20T23:59:59
        undo ann b                      | undone 20 995
        at 2030-09-21T00:00:00
        give ann 15 d max=20            | accepted 980
        give ann 1 e max=20             | creator_day 20/20 2030-09-22
        """,
    ),
    "what forbids a gift forbids one that may be undone": (
        {"gifts_per_minute": 60, "gifts_burst": 1},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 1 a undo=1000 barred | barred
        give ann 1 a to=ann undo=1000 | own_gift
        give ann 1 a undo=60000  | accepted 99 undoable
        give ann 1 b undo=60000  | rate_limited 1000
        undo ann a               | undone 1 100
        give ann 1 b undo=60000  | rate_limited 1000
        freeze ann Ask us.
        give ann 1 b undo=60000  | frozen Ask us.
        undo ann a               | again undone 1 100
        """,
    ),
    "a refund waits for open gifts, and no more of them are taken meanwhile": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        coins bob 100
        give ann 10 a undo=1000  | accepted 90 undoable
        give ann 10 b undo=2000  | accepted 80 undoable
        take bob 5 r0            | took 5 95
        take ann 50 r1           | waits for 2
        give ann 10 c undo=60000 | accepted 70
        give bob 10 d undo=60000 | accepted 85 undoable
        undo ann a               | undone 10 80
        take ann 50 r1           | waits for 1
        at 2030-09-20T12:00:02
        take ann 50 r1           | waits for 1
        pay                      | 1
        take ann 50 r1           | took 50 30
        take ann 50 r1           | again took 50 30
        give ann 10 e undo=1000  | accepted 20 undoable
        take ann 5 r2            | waits for 1
        take ann 50 r1           | again took 50 30
        """,
    ),
    "a refund that is given up shuts nobody out for ever": (
        {},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 10 a undo=1000  | accepted 90 undoable
        take ann 50 r1           | waits for 1
        at 2030-09-20T12:01:59.999
        give ann 10 b undo=1000  | accepted 80
        at 2030-09-20T12:02:00
        give ann 10 c undo=1000  | accepted 70 undoable
        """,
    ),
    "sums that an open gift will fill": (
        {},
        f"""
        at 2030-09-20T12:00:00
        coins ann {FULL + 1}
        give ann {FULL + 1} a undo=1000 | accepted 0 undoable
        coins bob 10
        give bob 1 b             | amount_overflow
        give bob 1 b undo=1000   | amount_overflow
        undo ann a               | undone {FULL + 1} {FULL + 1}
        give bob 1 b undo=1000   | accepted 9 undoable
        """,
    ),
    "a journal that the books are behind": (
        {"journal_records_max": 2},
        """
        at 2030-09-20T12:00:00
        coins ann 100
        give ann 10 a undo=1000  | accepted 90 undoable
        give ann 10 b undo=1000  | overloaded
        undo ann a               | undone 10 100
        """,
    ),
}


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("name", TABLES)
async def test_table_of_gifts_that_may_be_undone(valkey_url: str, name: str, kind: str) -> None:
    """Each line of the table has the outcome behind its bar."""
    settings, table = TABLES[name]
    subject = make_subject(kind, valkey_url, **{"partitions": 1, "undo_pause_ms": 0, **settings})
    await subject.ledger.start()
    await UndoTable(subject).run(table)
    await subject.ledger.stop()


def dear(viewer: str, coins: int, undo_ms: int, **named: Any) -> GiftOrder:
    """A gift that may be undone for so long."""
    return structs.replace(gift_order(viewer, coins, **named), undo_ms=undo_ms)


@pytest.mark.parametrize("kind", SUBJECTS)
async def test_records_of_a_gift_say_all_of_it_each_time(valkey_url: str, kind: str) -> None:
    """Who reads only the end of a gift learns from it whose gift it was, for whom, and what it cost."""
    subject = make_subject(kind, valkey_url, partitions=1)
    await subject.ledger.start()
    await subject.set_clock(now_ms() + 60_000)
    await subject.ledger.credit(grant("ann", 100))
    undone, settled = dear("ann", 30, 5_000), dear("ann", 20, 1)
    first = await subject.ledger.give(undone)
    await subject.ledger.give(settled)
    await subject.ledger.undo(undone.id, ANN)
    await subject.set_clock(now_ms() + 70_000)
    assert await subject.ledger.settle_gifts(Partition(0), 10) == 1
    assert isinstance(first, GiftAccepted) and first.undo_until_ms == first.at_ms + 5_000
    _, held, *ends = await subject.records()
    assert (held.body, held.seq, held.wallet_after) == (held_body(gift_body(undone), 5_000), first.seq, 70)
    assert [(record.body, record.wallet_after) for record in ends] == [
        (held_body(gift_body(settled), 1), 50),
        (undone_body(gift_body(undone)), 80),
        (settled_body(gift_body(settled)), 80),
    ]
    await subject.ledger.stop()


async def test_gift_that_is_undone_from_many_sides_is_undone_once(valkey_url: str) -> None:
    """All hear of the same undoing, and the coins moved once; beside it nothing was settled."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 100))
    order = dear("ann", 60, 60_000)
    await ledger.give(order)
    outcomes = await asyncio.gather(
        *(ledger.undo(order.id, ANN) for _ in range(20)), *(ledger.settle_gifts(Partition(0), 10) for _ in range(5))
    )
    undone = [one for one in outcomes if isinstance(one, GiftUndone)]
    assert sum(not one.replay for one in undone) == 1
    assert {(one.coins, one.balance_coins, one.at_ms) for one in undone} == {(60, 100, undone[0].at_ms)}
    assert [one for one in outcomes if isinstance(one, int)] == [0] * 5
    assert await ledger.balance("ann") == 100
    stats = ledger.batcher.stats
    assert (stats.windows_opened, stats.windows_left_out) == (1, 0)
    await ledger.stop()


async def test_undo_at_a_server_that_is_gone() -> None:
    """Its outcome is UNKNOWN; nothing is raised."""
    ledger = open_ledger(LedgerConfig(redis_url="unix:///nowhere/at/all.sock", partitions=1))
    assert await ledger.undo(new_id(now_ms()), ANN) == UndoRefused(UndoRefusal.UNKNOWN)


async def test_gift_that_cannot_be_undone_as_wished(valkey_url: str) -> None:
    """A combo's gift, or one with a longer time than there is, is a mistake of the caller."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    for order in (dear("ann", 1, 1, combo=True), dear("ann", 1, UNDO_MS_MAX + 1), dear("ann", 1, -1)):
        with pytest.raises(ValueError, match="cannot be undone"):
            await ledger.give(order)
    await ledger.stop()


async def test_ledger_without_such_gifts_stores_nothing_of_them(valkey_url: str) -> None:
    """Gifts and credits leave no key and no field behind that gifts which may be undone would need."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 10))
    await ledger.give(gift_order("ann", 1))
    (_, keys), *_ = ledger.keys.all()
    names = (keys.open_gifts, keys.undo_deadlines, keys.undo_counts, keys.undone_gifts, keys.windows_shut)
    assert not await ledger.redis.exists(*names)
    assert not await ledger.redis.hexists(keys.totals.decode(), "held_gifts")
    await ledger.stop()

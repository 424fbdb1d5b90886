"""The money script on a real Valkey, and its twin in memory: each refusal, each replay, and sums added up from the raw
keys. What only the way to the server can do is tested on the real one alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.guard_state import NO_SETTINGS, GuardSettings
from ledger.model import (
    AMOUNT_MAX,
    UNDO_MS_MAX,
    Bound,
    BoundReached,
    CreditAccepted,
    CreditBody,
    CreditRefused,
    EndRefused,
    GiftAccepted,
    GiftBody,
    GiftRefused,
    HoldEnd,
    HoldOrder,
    Partition,
    RefundKind,
    Refusal,
    ReversalOrder,
    UndoRefused,
    ViewerId,
)
from ledger.service import Ledger, WrongDeployment, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger.subjects import SUBJECTS, RealSubject, Subject, make_subject


@pytest.fixture
async def ledger(valkey_url: str) -> AsyncIterator[Ledger]:
    """A started ledger of four partitions on empty data."""
    opened = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=4))
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Subject]:
    """A started ledger of four partitions on empty data: the real one, then its twin."""
    made = make_subject(request.param, valkey_url, partitions=4)
    await made.ledger.start()
    yield made
    await made.ledger.stop()


async def sums(subject: Subject) -> tuple[int, int]:
    """Coins in all wallets and diamonds in all stripes, added up here."""
    wallets, stripes = await subject.balances()
    return sum(wallets.values()), sum(stripes.values())


OUTCOMES = """
# viewer  coins  id  content | outcome               wallet
  ann     5      1   a       | accepted              95
  ann     5      1   a       | replay                95
  ann     5      1   b       | id_conflict           95
  ann     96     2   c       | insufficient_coins    95
  ann     95     2   c       | accepted              0
  ann     1      3   d       | insufficient_coins    0
  bob     1      1   a       | insufficient_coins    0
  ann     5      1   a       | replay                0
  ann     1      old e       | id_expired            0
  ann     1      far f       | id_expired            0
"""


async def test_gift_outcomes_one_after_another(subject: Subject) -> None:
    """Each line of the table has the outcome of its last columns."""
    await subject.ledger.credit(grant("ann", 100))
    now = now_ms()
    ids = {name: new_id(now) for name in "123"} | {"old": new_id(now - 3_601_000), "far": new_id(now + 310_000)}
    for line in OUTCOMES.strip().splitlines()[1:]:
        left, right = line.split("|")
        viewer, coins, name, content = left.split()
        expected, wallet = right.split()
        outcome = await subject.ledger.give(gift_order(viewer, int(coins), gift_id=ids[name], content=content.encode()))
        if isinstance(outcome, GiftAccepted):
            assert ("replay" if outcome.replay else "accepted", outcome.coins) == (expected, int(coins)), line
        else:
            assert outcome.refusal.value == expected, line
        assert outcome.balance_coins == int(wallet), line
    assert await sums(subject) == (0, 5_000)


EDGES = """
# ms that the id is older than the partition's clock | outcome
  3600000   | accepted
  3600001   | id_expired
  3599999   | accepted
  0         | accepted
  -300000   | accepted
  -300001   | id_expired
  3600000   | accepted
"""


async def test_ids_at_the_edges_of_the_window(subject: Subject) -> None:
    """The server's clock was set back by an hour, to the very edge: each id is judged by the latest time that was seen,
    and what was paid is a replay."""
    clock_ms = now_ms() + 3_600_000
    await subject.ledger.credit(grant("ann", 100))
    await subject.set_clock(clock_ms)
    accepted = []
    for line in EDGES.strip().splitlines()[1:]:
        age_ms, expected = line.split("|")
        order = gift_order("ann", 1, gift_id=new_id(clock_ms - int(age_ms)))
        outcome = await subject.ledger.give(order)
        told = "accepted" if isinstance(outcome, GiftAccepted) else outcome.refusal.value
        assert told == expected.strip(), line
        if isinstance(outcome, GiftAccepted):
            assert (outcome.at_ms, outcome.replay) == (clock_ms, False)
            accepted.append(order)
    again = [await subject.ledger.give(order) for order in accepted]
    assert [isinstance(outcome, GiftAccepted) and outcome.replay for outcome in again] == [True] * 5
    assert await subject.ledger.balance("ann") == 95


async def test_gift_outcomes_same_batch(subject: Subject) -> None:
    """Gifts of one commit are judged in order, each seeing what those before it left."""
    await subject.ledger.credit(grant("ann", 10))
    same = new_id(now_ms())
    orders = [
        gift_order("ann", 4, gift_id=same, content=b"x"),
        gift_order("ann", 4, gift_id=same, content=b"x"),
        gift_order("ann", 4, gift_id=same, content=b"y"),
        gift_order("ann", 7),
        gift_order("ann", 6),
        gift_order("ann", 1),
    ]
    outcomes = await asyncio.gather(*(subject.ledger.give(order) for order in orders))
    told = [o.replay if isinstance(o, GiftAccepted) else o.refusal for o in outcomes]
    assert told == [
        False,
        True,
        Refusal.ID_CONFLICT,
        Refusal.INSUFFICIENT_COINS,
        False,
        Refusal.INSUFFICIENT_COINS,
    ]
    if isinstance(subject, RealSubject):
        assert subject.real.batcher.stats.commits <= 2
    assert await sums(subject) == (0, 500)


async def test_journal_holds_every_record_in_order(subject: Subject) -> None:
    """Each accepted order has one record, seqs rise by one in a partition, and wallets after match arithmetic."""
    viewers = [f"viewer{n}" for n in range(20)]
    for viewer in viewers:
        await subject.ledger.credit(grant(viewer, 30))
    await asyncio.gather(*(subject.ledger.give(gift_order(v, 1 + n)) for v in viewers for n in range(10)))
    records = await subject.records()
    wallets = dict.fromkeys(viewers, 0)
    seqs: dict[int, int] = {}
    gifts = 0
    for record in records:
        assert record.seq == seqs.get(record.partition, 0) + 1
        seqs[record.partition] = record.seq
        body = record.body
        wallets[body.viewer] += body.coins if isinstance(body, CreditBody) else -body.coins
        assert record.wallet_after == wallets[body.viewer]
        gifts += isinstance(body, GiftBody)
    # 1 + 2 + … + 7 = 28 fits into 30 coins; 8, 9 and 10 do not.
    assert gifts == 20 * 7
    assert await sums(subject) == (20 * 2, 20 * 28 * 50)
    assert await subject.ledger.live_earnings("cora") == 20 * 28 * 50


async def test_batch_over_its_time_is_finished_later(valkey_url: str) -> None:
    """A commit that runs out of time leaves the rest for the next one; every gift is told its outcome."""
    config = LedgerConfig(redis_url=valkey_url, partitions=2, script_time_ms_max=0.000001, batch_wait_ms_max=60_000)
    ledger = open_ledger(config)
    await ledger.start()
    await ledger.credit(grant("ann", 500))
    outcomes = await asyncio.gather(*(ledger.give(gift_order("ann", 1)) for _ in range(300)))
    assert all(isinstance(o, GiftAccepted) and not o.replay for o in outcomes)
    assert ledger.batcher.stats.not_judged > 0
    assert await ledger.balance("ann") == 200
    await ledger.stop()


async def test_waiting_over_the_bound_is_refused(valkey_url: str) -> None:
    """One gift more than may wait is refused as overloaded at once, and costs nothing."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, batch_waiting_max=3))
    await ledger.start()
    await ledger.credit(grant("ann", 10))
    outcomes = await asyncio.gather(*(ledger.give(gift_order("ann", 1)) for _ in range(4)))
    assert [isinstance(o, GiftAccepted) for o in outcomes] == [True, True, True, False]
    assert outcomes[3] == GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.WAITING, 3))
    assert await ledger.balance("ann") == 7
    await ledger.stop()


@pytest.mark.parametrize("kind", SUBJECTS)
async def test_unflushed_records_at_the_bound_refuse_gifts(kind: str, valkey_url: str) -> None:
    """At the bound of records that PostgreSQL lacks gifts are refused; a trim opens the way again."""
    ledger = make_subject(kind, valkey_url, partitions=1, journal_records_max=3).ledger
    await ledger.start()
    await ledger.credit(grant("ann", 10))
    outcomes = [await ledger.give(gift_order("ann", 1)) for _ in range(3)]
    assert [isinstance(o, GiftAccepted) for o in outcomes] == [True, True, False]
    assert outcomes[2] == GiftRefused(Refusal.OVERLOADED, 8, bound=BoundReached(Bound.BOOKS_LAG, 3))
    assert await ledger.trim(Partition(0), 1, 3, 3) == 3
    assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
    await ledger.stop()


async def test_combo_counts_every_item_of_a_gift(subject: Subject) -> None:
    """Five roses sent at once are five in the combo, as they are five in what the room is shown."""
    await subject.ledger.credit(grant("ann", 100))
    totals = []
    for count in (5, 1, 3):
        order = msgspec.structs.replace(gift_order("ann", count, combo=True), unit_coins=1, count=count)
        outcome = await subject.ledger.give(order)
        assert isinstance(outcome, GiftAccepted) and outcome.combo
        totals.append((outcome.combo.count, outcome.combo.coins))
    assert totals == [(5, 5), (6, 6), (9, 9)]


async def test_combo_counts_until_its_window_closes(subject: Subject) -> None:
    """Gifts inside the window carry totals on; a window of no length makes each gift a combo of its own."""
    await subject.ledger.credit(grant("ann", 100))
    first = await subject.ledger.give(gift_order("ann", 2, combo=True))
    second = await subject.ledger.give(gift_order("ann", 2, combo=True))
    assert isinstance(first, GiftAccepted) and isinstance(second, GiftAccepted)
    assert first.combo and second.combo
    assert second.combo.id == first.combo.id
    assert (first.combo.count, second.combo.count, second.combo.coins) == (1, 2, 4)
    (combo,) = [c for p in range(4) for c in await subject.ledger.open_combos(Partition(p))]
    assert (combo.viewer, combo.count, combo.coins) == ("ann", 2, 4)
    await subject.ledger.forget_combo(combo.partition, "ann", combo.combo_key, b"x" * 16)
    assert await subject.ledger.open_combos(combo.partition)
    await subject.ledger.forget_combo(combo.partition, "ann", combo.combo_key, combo.id)
    assert not await subject.ledger.open_combos(combo.partition)
    third = await subject.ledger.give(gift_order("ann", 2, combo=True))
    assert isinstance(third, GiftAccepted) and third.combo and third.combo.count == 1


async def test_credit_same_id(subject: Subject) -> None:
    """The same id credits once; with other content it is refused."""
    credit_id = new_id(now_ms())
    assert await subject.ledger.credit(grant("ann", 7, credit_id=credit_id)) == CreditAccepted(7, replay=False)
    assert await subject.ledger.credit(grant("ann", 7, credit_id=credit_id)) == CreditAccepted(7, replay=True)
    assert await subject.ledger.credit(grant("ann", 8, credit_id=credit_id)) == CreditRefused(Refusal.ID_CONFLICT)
    assert await subject.ledger.balance("ann") == 7


async def test_amounts_at_the_bound(subject: Subject) -> None:
    """A wallet may hold 2^53-1 coins exactly and not one more; such an amount survives the script."""
    assert await subject.ledger.credit(grant("ann", AMOUNT_MAX)) == CreditAccepted(AMOUNT_MAX, replay=False)
    assert await subject.ledger.credit(grant("ann", 1)) == CreditRefused(Refusal.AMOUNT_OVERFLOW)
    outcome = await subject.ledger.give(gift_order("ann", 1))
    assert isinstance(outcome, GiftAccepted) and outcome.balance_coins == AMOUNT_MAX - 1
    big = await subject.ledger.give(gift_order("ann", AMOUNT_MAX // 50))
    assert big == GiftRefused(Refusal.AMOUNT_OVERFLOW, AMOUNT_MAX - 1, bound=BoundReached(Bound.AMOUNT, AMOUNT_MAX))
    assert await subject.ledger.balance("ann") == AMOUNT_MAX - 1


@pytest.mark.parametrize("part", ["creator_diamonds", "commission_diamonds"])
async def test_sums_of_a_partition_at_the_bound(subject: Subject, part: str) -> None:
    """What all creators, or the platform, earned in a partition stays exact: a gift over the bound is refused."""
    await subject.ledger.credit(grant("ann", AMOUNT_MAX))
    coins = AMOUNT_MAX // 150
    orders = [
        msgspec.structs.replace(
            gift_order("ann", coins, creator=creator),
            **{"creator_diamonds": 0, "commission_diamonds": 0, part: coins * 100},
        )
        for creator in ("cora", "cleo")
    ]
    first, second = [await subject.ledger.give(order) for order in orders]
    assert isinstance(first, GiftAccepted)
    bound = BoundReached(Bound.AMOUNT, AMOUNT_MAX)
    assert second == GiftRefused(Refusal.AMOUNT_OVERFLOW, AMOUNT_MAX - coins, bound=bound)


async def test_scripts_forgotten_by_the_server(ledger: Ledger) -> None:
    """After SCRIPT FLUSH each call loads its script again, and does what it was to do once."""
    held = HoldOrder(new_id(now_ms()), ViewerId("ann"), 3, 60_000, "order")
    dear = msgspec.structs.replace(gift_order("ann", 4), undo_ms=UNDO_MS_MAX)
    refund = ReversalOrder(bytes(15) + b"\1", ViewerId("ann"), bytes(16), 5, RefundKind.REFUND)
    partition = ledger.keys.partition_of("ann")
    calls: list[tuple[Callable[[], Awaitable[object]], int]] = [
        (lambda: ledger.credit(grant("ann", 50)), 50),
        (lambda: ledger.give(gift_order("ann", 1)), 49),
        (lambda: ledger.hold(held), 46),
        (lambda: ledger.end_hold(held.id, held.viewer, HoldEnd.SETTLED, taken_coins=1), 48),
        (lambda: ledger.give(dear), 44),
        (lambda: ledger.undo(dear.id, dear.viewer), 48),
        (lambda: ledger.reverse(refund, most=5, keep=0), 43),
        (lambda: ledger.settle_gifts(partition, 10), 43),
        (lambda: ledger.set_guards([("ann", GuardSettings(1, "Ask us.", NO_SETTINGS.caps))]), 43),
        (lambda: ledger.trim(partition, 1, 1, 1), 43),
    ]
    for call, wallet in calls:
        await ledger.redis.script_flush()
        assert not isinstance(await call(), GiftRefused | CreditRefused | EndRefused | UndoRefused)
        assert await ledger.balance("ann") == wallet
    assert (await ledger.guard("ann")).settings.frozen == "Ask us."
    frozen = await ledger.give(gift_order("ann", 1))
    assert isinstance(frozen, GiftRefused) and frozen.refusal is Refusal.FROZEN


async def test_start_with_other_partitions(ledger: Ledger, valkey_url: str) -> None:
    """Wallets laid out for four partitions are not opened with five."""
    other = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=5))
    with pytest.raises(WrongDeployment):
        await other.start()
    await other.redis.aclose()

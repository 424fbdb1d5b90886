"""Gifts at random, and relays that die at random points: each gift is told once and in order, each combo ends once."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from gateway.audits.room_audit import PaidGift, audit_rooms
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact
from gateway.rooms.broker import Broker
from gateway.rooms.relay import Relay
from ledger.live.journal import JournalReader
from ledger.model import GiftAccepted, GiftBody
from ledger.service import Ledger
from tests.integration.gateway.rooms import history, opened_broker, opened_ledger, order, running, until_true
from tests.integration.ledger.orders import grant, now_ms
from tests.servers import Valkey

CONFIG = RoomConfig(relay_idle_ms=10, relay_save_ms=1, tell_facts_max=2, endings_max=2, relay_entries_max=2)
VIEWERS = ("ann", "bob", "cid", "dee", "eve")
ROOMS = ("one", "two")
WINDOW_MS = 15
POINTS_MAX = 40

Gift = tuple[str, str, bool, bool]
Round = tuple[list[Gift], bool, int]
"""What is given, whether its combos are over before the next relay comes, and at which point that one dies."""
gifts = st.tuples(st.sampled_from(VIEWERS), st.sampled_from(ROOMS), st.booleans(), st.booleans())
rounds = st.lists(
    st.tuples(st.lists(gifts, min_size=1, max_size=8), st.booleans(), st.integers(0, POINTS_MAX)),
    min_size=1,
    max_size=5,
)


class Died(Exception):
    """The relay is gone."""


class Doom:
    """Lets a relay die at the n-th of the points before and after everything that it writes."""

    def __init__(self, point: int) -> None:
        self.left = point

    def wrap(self, owner: Any, name: str) -> None:
        """Put a point before and one after each call of a method."""
        method = getattr(owner, name)

        async def doomed(*args: Any) -> Any:
            self._pass()
            answer = await method(*args)
            self._pass()
            return answer

        setattr(owner, name, doomed)

    def _pass(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died


def doomed_relay(ledger: Ledger, broker: Broker, point: int) -> Relay:
    """A relay that dies at a point; ledger and broker are its own."""
    doom = Doom(point)
    doom.wrap(broker._scripts, "tell")
    doom.wrap(broker._scripts, "end_combos")
    doom.wrap(ledger, "forget_combos")
    doom.wrap(ledger, "save_relay_positions")
    return Relay(ledger, broker, CONFIG)


async def run_until_told(relay: Relay, ledger: Ledger) -> None:
    """Let a relay work until it has noted everything and no combo is open, or it dies."""
    seqs = {partition: int(await ledger.redis.hget(keys.totals, "seq") or 0) for partition, keys in ledger.keys.all()}
    async with running(relay) as task:

        async def at_an_end() -> bool:
            positions = await ledger.relay_positions()
            noted = {partition: positions[partition].seq if partition in positions else 0 for partition in seqs}
            return task.done() or (noted == seqs and not [c for p in seqs for c in await ledger.open_combos(p)])

        await until_true(at_an_end)
        assert not task.done() or isinstance(task.exception(), Died)


async def play(url: str, plan: Sequence[Round]) -> None:
    """Give what the plan says, with a relay that dies in each round, then let one relay finish and judge."""
    paid: dict[bytes, tuple[str, str, bool]] = {}
    async with opened_ledger(url, partitions=3) as ledger, opened_broker(url, CONFIG) as broker:
        for viewer in VIEWERS:
            await ledger.credit(grant(viewer, 1_000))
        for group, windows_pass, point in plan:
            for viewer, room, combo, anonymous in group:
                given_order = order(viewer, place=f"room:{room}", combo=combo, anonymous=anonymous, window_ms=WINDOW_MS)
                assert isinstance(await ledger.give(given_order), GiftAccepted)
                paid[given_order.id] = (viewer, room, combo)
            if windows_pass:
                await until_true(lambda: _combos_are_over(ledger))
            async with opened_ledger(url, partitions=3) as own_ledger, opened_broker(url, CONFIG) as own_broker:
                await run_until_told(doomed_relay(own_ledger, own_broker, point), ledger)
        await run_until_told(Relay(ledger, broker, CONFIG), ledger)
        for room in ROOMS:
            judge(await history(broker, room), {key for key, value in paid.items() if value[1] == room})
        relayed = {int(partition): position.seq for partition, position in (await ledger.relay_positions()).items()}
        checks = await audit_rooms(ledger.redis, CONFIG, paid_gifts(ledger), relayed, now_ms() + 60_000)
        assert [check.violations for check in checks] == [[], []]
        assert checks[0].checked == len(paid)


async def _combos_are_over(ledger: Ledger) -> bool:
    now = await ledger.now_ms()
    combos = [combo for partition, _ in ledger.keys.all() for combo in await ledger.open_combos(partition)]
    return all(combo.deadline_ms < now for combo in combos)


def judge(facts: list[GiftFact], ids: set[bytes]) -> None:
    """Each gift once, each partition in order, each combo with one start and one end after all its gifts."""
    told = [fact for fact in facts if not fact.ends_combo]
    assert sorted(fact.id for fact in told) == sorted(ids)
    records = defaultdict(list)
    states = defaultdict(list)
    for fact in facts:
        if not fact.ends_combo:
            records[fact.partition].append(fact.record)
        if fact.combo is not None:
            states[fact.combo.id].append(int(fact.combo.state))
    assert all(found == sorted(found) for found in records.values())
    for found in states.values():
        assert found == [0, *[1] * (len(found) - 2), 2]


def paid_gifts(ledger: Ledger) -> Any:
    """What was paid, from the journal."""

    async def paid(room: str, reach: Mapping[int, int]) -> AsyncIterator[PaidGift]:
        reader = JournalReader(ledger.redis, ledger.keys, [partition for partition, _ in ledger.keys.all()], {})
        for record in (await reader.read(block_ms=None, entries_max=100_000)).records:
            body = record.body
            if isinstance(body, GiftBody) and body.place == f"room:{room}":
                yield PaidGift(record.partition, record.seq, body.id, body.viewer, body.count, body.coins)

    return paid


@settings(max_examples=25, deadline=None)
@given(rounds)
def test_relay_that_dies_anywhere(session_valkey: Valkey, plan: list[Round]) -> None:
    """Whatever is given and wherever relays die, rooms hold each gift once and in order, and combos end once."""
    with Redis.from_url(session_valkey.url) as redis:
        redis.flushall()
    asyncio.run(play(session_valkey.url, plan))


async def test_two_relays_at_once(valkey_url: str) -> None:
    """Two relays that work at the same time tell each gift once and in order, and end each combo once."""
    async with (
        opened_ledger(valkey_url, partitions=3) as ledger,
        opened_ledger(valkey_url, partitions=3) as other_ledger,
        opened_broker(valkey_url, CONFIG) as broker,
    ):
        for viewer in VIEWERS:
            await ledger.credit(grant(viewer, 1_000))
        paid = set()
        async with running(Relay(ledger, broker, CONFIG)), running(Relay(other_ledger, broker, CONFIG)):
            for number in range(150):
                viewer = VIEWERS[number % len(VIEWERS)]
                given_order = order(viewer, place="room:one", combo=number % 3 > 0, window_ms=WINDOW_MS)
                assert isinstance(await ledger.give(given_order), GiftAccepted)
                paid.add(given_order.id)
        await run_until_told(Relay(ledger, broker, CONFIG), ledger)
        judge(await history(broker, "one"), paid)

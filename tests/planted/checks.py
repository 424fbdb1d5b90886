"""The checks that must notice planted bugs, as a program: each says what it found wrong and then ends with 1.

`python -m tests.planted.checks FOLDER DATABASE_URL CHECK…`, with the packages to be judged on the path; the database
has the schema and nothing in it, the folder is empty and its path is short.
"""

import asyncio
import datetime
import math
import os
import sys
import traceback
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import asyncpg
import structlog
from hypothesis import HealthCheck, Phase, settings
from msgspec import structs

from gateway.audits.audit import audit_all
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact
from gateway.room.merge import MergeBuffer
from gateway.rooms.relay import Relay
from ledger.audits.audit import audit as audit_money
from ledger.books.flusher import open_flusher
from ledger.books.postgres import Pool, open_pool
from ledger.books.terms import PlanTerms, Terms
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerError
from ledger.ids import new_id
from ledger.live.journal import Position
from ledger.live.keys import Total
from ledger.mending.reconcile import reconcile
from ledger.model import UNDO_MS_MAX, CreatorId, GiftAccepted, GiftOrder, Partition, RefundKind, ViewerId
from ledger.office import open_office
from ledger.purchases.grants import GrantOrder
from ledger.purchases.purchases import RailOutcome
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import RefundOrder
from ledger.service import Ledger, open_ledger
from tests.integration.gateway.rooms import opened_broker, order, running
from tests.integration.gateway.test_relay_crashes import Died, doomed_relay
from tests.integration.ledger.gift_machine import run_machine
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_money.money import purchase_order
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.integration.ledger_money.test_refunds import TABLES as REFUNDED
from tests.integration.ledger_money.test_refunds_told_twice import TABLES as TOLD_TWICE
from tests.integration.ledger_postgres.books_machine import run_books_machine
from tests.integration.ledger_postgres.cutting import cut_first_volume
from tests.integration.ledger_postgres.flushing import flushing
from tests.integration.ledger_postgres.holding import hold, hold_in_every_way, settle
from tests.integration.ledger_postgres.refunds_machine import run_refunds_machine
from tests.integration.ledger_postgres.undoing import give_dear, give_in_every_way, later, settle_all, undo
from tests.planted.failover import promotion
from tests.servers import Valkey, running_valkey
from tests.unit.gateway.room.room_facts import gift
from tests.unit.loadtest.conftest import PerfectRun
from tests.waiting import back_off

VIEWERS: Final = ("ann", "bob", "cid")
ROOMS: Final = ("one", "two")
RATES: Final = {5: 3_333, 3: 555}
"""By coins of a gift; by the last of them an agency is given all of the commission."""
FAR: Final = datetime.date(2100, 1, 1)
"""By then everything is ripe."""
POINTS_MAX: Final = 12
"""The relay dies at each of so many points of its work, one after the other."""
_RESIDUE: Final = """
SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN accounts ON id = account_id WHERE kind = 'residue'
"""
_SPENT: Final = "a refund of spent coins by default takes what the wallet has, and nothing from creators"
_PARTS: Final = "ordered in parts, told in other parts"
TURNS_MAX: Final = 150
"""Looks at a duty that should have done its work by now, before the audit says what is missing."""


def machine(folder: Path, database_url: str) -> list[str]:
    """The state machine of the money scripts, the same examples each time; none is made smaller."""
    examples = settings(
        max_examples=80,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with running_valkey(folder) as valkey:
        try:
            run_machine(valkey, examples)
        except BaseException:  # noqa: BLE001 - whatever it was, the machine noticed
            return [traceback.format_exc()]
    return []


def repairs(folder: Path, database_url: str) -> list[str]:
    """The state machine with books, losses and repairs, the same examples each time."""
    return _run_books(run_books_machine, 20, 30, folder, database_url)


def refunds(folder: Path, database_url: str) -> list[str]:
    """The state machine with an office whose refunds come back, the same examples each time."""
    return _run_books(run_refunds_machine, 8, 1, folder, database_url)


def audit(folder: Path, database_url: str) -> list[str]:
    """Gifts, a relay that dies again and again, a flusher whose connections break; then the whole audit."""
    return asyncio.run(_carry(folder, database_url))[0]


def books(folder: Path, database_url: str) -> list[str]:
    """The same, and then the comparison that is made before a start."""
    return asyncio.run(_carry(folder, database_url))[1]


def checker(folder: Path, database_url: str) -> list[str]:
    """A perfect run whose viewer is shown what the room's merging makes of it, judged by the load tester."""
    run, buffer = PerfectRun(), MergeBuffer(2, 100)
    facts: list[GiftFact] = []
    for sender, kind, count in ((0, 0, 1), (0, 0, 3), (1, 0, 2), (1, 1, 1), (0, 1, 1), (1, 0, 1)):
        number = run.tell(sender, kind, count)
        coins = run.accept(number)
        run.see(number)
        facts.append(gift(run.run.sender(sender), coins, item=run.kinds[kind].gift, count=count))
    buffer.add(1, facts)
    run.show(*buffer.drain())
    return [f"{fault.kind}: {fault.examples}" for fault in run.verdict().faults]


def worth(folder: Path, database_url: str) -> list[str]:
    """Gifts of paid coins, bonus coins and grants, flushed by one flusher after the other; then the ledger's audit."""
    return asyncio.run(_spend_mixed(folder, database_url))


def volumes(folder: Path, database_url: str) -> list[str]:
    """A gift comes again that the live ledger has forgotten, when its record is in a volume that is over: the flusher
    stops, or the audit says that it was paid twice."""
    return asyncio.run(_pay_again(folder, database_url))


def spent_coins(folder: Path, database_url: str) -> list[str]:
    """A refund of coins that were spent, line by line."""
    return asyncio.run(_play(REFUNDED[_SPENT][0], folder, database_url))


def told_twice(folder: Path, database_url: str) -> list[str]:
    """Refunds that are ordered here and told by their provider, line by line."""
    return asyncio.run(_play(TOLD_TWICE[_PARTS], folder, database_url))


CHECKS: Final[dict[str, Callable[[Path, str], list[str]]]] = {
    "machine": machine,
    "repairs": repairs,
    "refunds": refunds,
    "audit": audit,
    "reconcile": books,
    "checker": checker,
    "worth": worth,
    "volumes": volumes,
    "spent_coins": spent_coins,
    "told_twice": told_twice,
    "promotion": promotion,
}


def _run_books(
    run: Callable[[Valkey, str, settings, int], None], examples: int, steps: int, folder: Path, database_url: str
) -> list[str]:
    wanted = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with running_valkey(folder) as valkey:
        try:
            run(valkey, database_url, wanted, 1)
        except BaseException:  # noqa: BLE001 - whatever it was, the machine noticed
            return [traceback.format_exc()]
    return []


async def _carry(folder: Path, database_url: str) -> tuple[list[str], list[str]]:
    with running_valkey(folder) as valkey:
        config = LedgerConfig(
            redis_url=valkey.url,
            database_url=database_url,
            partitions=2,
            flush_interval_ms=1,
            trim_interval_ms=1,
            undo_pause_ms=0,
        )
        rooms = RoomConfig(relay_idle_ms=10, relay_save_ms=1, tell_facts_max=2, endings_max=2, combo_late_ms_max=1)
        pool, ledger = await open_pool(config), open_ledger(config)
        await ledger.start()
        await _make_rooms(config, ledger)
        for viewer in VIEWERS:
            await ledger.credit(grant(viewer, 10_000))
            await hold_in_every_way(ledger, viewer)
            await give_in_every_way(ledger, viewer)
        await _flush_with_faults(ledger, pool, config)
        for point in range(POINTS_MAX):
            await _give_some(ledger)
            await _relay_until(ledger, config, rooms, point)
        await _relay_until(ledger, config, rooms, None)
        before = [words for standing in (await reconcile(config)).standings for words in standing.differences]
        async with open_flusher(config):
            await _flush_rest(ledger, pool, config)
        report = await audit_all(config, rooms)
        found = [f"{one.id}: {words}" for one in report.invariants for words in one.violations]
        checked = {one.id: one.checked for one in report.invariants}
        if not all(checked[name] for name in ("I1", "I3", "I4", "I5", "I8", "I9")):
            found.append(f"not everything was looked at: {checked}")
        await ledger.stop()
        await pool.close()
        return found, before


async def _spend_mixed(folder: Path, database_url: str) -> list[str]:
    with running_valkey(folder) as valkey:
        config = LedgerConfig(
            redis_url=valkey.url,
            database_url=database_url,
            partitions=2,
            flush_interval_ms=1,
            undo_pause_ms=0,
            bonus_worth_bp=5_000,
            granted_worth_bp=0,
        )
        pool, ledger, rail = await open_pool(config), open_ledger(config), SandboxRail.from_key("a key " * 8)
        await ledger.start()
        office = await open_office(config, ledger, rails=[rail])
        held: list[tuple[str, bytes]] = []
        open_gifts: list[tuple[str, bytes]] = []
        left = 0
        for turn in range(3):
            for viewer in VIEWERS:
                bought = purchase_order(viewer, coins=10, bonus_coins=4)
                purchase = await office.purchases.begin(bought)
                await office.purchases.hear("sandbox", *rail.pay(purchase, RailOutcome.PAID))
                await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId(viewer), 3, "a prize", "olga"))
            for viewer in VIEWERS:
                # Held over a flush, and over gifts that spend what was bought later.
                held.append((viewer, await hold(ledger, viewer, 6)))
                for undo_ms in (UNDO_MS_MAX, 1_000):
                    gift_id = await give_dear(ledger, viewer, 2, undo_ms)
                    open_gifts += [(viewer, gift_id)] if undo_ms == UNDO_MS_MAX else []
            for coins in (5, 3):
                left += await _give_shared(ledger, coins)
                await _flush_rest(ledger, pool, config)
            for viewer, hold_id in held[-len(VIEWERS) :]:
                await settle(ledger, viewer, hold_id, 2)
            for viewer, gift_id in open_gifts[-len(VIEWERS) :]:
                await undo(ledger, viewer, gift_id)
            await later(ledger, 1_000)
            await settle_all(ledger)
            left += await _give_shared(ledger, 5)
            await _flush_rest(ledger, pool, config)
            if turn == 1:
                order_ = RefundOrder(new_id(now_ms()), bought.id, 6, RefundKind.CHARGEBACK, "a test", "olga")
                await office.refunds.refund(order_)
                await _flush_rest(ledger, pool, config)
                await office.refunds.settle()
        await office.maturing.round(FAR)
        report = await audit_money(config)
        found = await pool.fetchval(_RESIDUE)
        await office.close()
        await ledger.stop()
        await pool.close()
        violations = [f"{one.id}: {words}" for one in report.invariants for words in one.violations]
        return violations if found == left else [*violations, f"{found} diamonds are residue, {left} by fractions"]


async def _play(table: str, folder: Path, database_url: str) -> list[str]:
    with running_valkey(folder) as valkey:
        config = LedgerConfig(redis_url=valkey.url, database_url=database_url, partitions=2)
        pool, ledger = await open_pool(config), open_ledger(config)
        await ledger.start()
        world = await RefundWorld.under({}, config, ledger, SandboxRail.from_key("the key of a planted bug"), pool)
        found: list[str] = []
        try:
            await world.play(table)
        except AssertionError as exc:
            found.append(f"a refund took other coins: {exc}")
        await world.office.close()
        await ledger.stop()
        await pool.close()
        return found


async def _pay_again(folder: Path, database_url: str) -> list[str]:
    with running_valkey(folder) as valkey:
        config = LedgerConfig(
            redis_url=valkey.url, database_url=database_url, partitions=2, flush_interval_ms=1, volume_records=4
        )
        pool, ledger = await open_pool(config), open_ledger(config)
        await cut_first_volume(pool, config.volume_records)
        await ledger.start()
        await ledger.credit(grant("ann", 1_000))
        ids = [new_id(now_ms()) for _ in range(9)]
        again = gift_order("ann", 7, gift_id=ids[0])
        for given in (again, *(gift_order("ann", coins, gift_id=ids[coins]) for coins in range(1, 9))):
            assert isinstance(await ledger.give(given), GiftAccepted)
        await _flush_rest(ledger, pool, config)
        redis: Any = ledger.redis
        # Where all of its time were forgotten, the ledger would refuse it.
        async for key in redis.scan_iter(match="*:ids:*"):
            await redis.hdel(key, again.id + b"ann")
        outcome = await ledger.give(again)
        assert isinstance(outcome, GiftAccepted) and not outcome.replay
        found: list[str] = []
        try:
            await _flush_rest(ledger, pool, config)
            report = await audit_money(config)
            found = [f"{one.id}: {words}" for one in report.invariants for words in one.violations]
        except InvariantBroken as exc:
            # So it should be: the flusher has stopped.
            if exc.invariant != "I3":
                raise
        await ledger.stop()
        await pool.close()
        return found


async def _give_shared(ledger: Ledger, coins: int) -> int:
    """A gift of each viewer who can pay for it, of which an agency has 10 %, or all the commission; what they leave, by
    their true parts."""
    rate = RATES[coins]
    outcomes = await asyncio.gather(*(ledger.give(_shared_gift(viewer, coins, rate)) for viewer in VIEWERS))
    creator = Fraction(coins * (10_000 - rate), 100)
    left = coins * 100 - math.floor(creator) - math.floor(coins * 100 - creator)
    return left * sum(isinstance(outcome, GiftAccepted) for outcome in outcomes)


def _shared_gift(viewer: str, coins: int, commission_bp: int) -> GiftOrder:
    parts = Terms("gold", 1, "stars", 5_000, commission_bp, PlanTerms(agency_bp=1_000)).parts(coins, "", "", 0)
    return structs.replace(
        gift_order(viewer, coins, creator="cora"),
        creator_diamonds=parts.creator_diamonds,
        commission_diamonds=parts.commission_diamonds,
        plan=parts.terms,
        agency="stars",
        agency_diamonds=parts.agency_diamonds,
    )


async def _make_rooms(config: LedgerConfig, ledger: Ledger) -> None:
    office = await open_office(config, ledger)
    await office.directory.put_creator(CreatorId("cora"), name="Cora")
    for room in ROOMS:
        await office.directory.put_place(f"room:{room}", creator=CreatorId("cora"))
    await office.close()


async def _give_some(ledger: Ledger) -> None:
    given = [
        order(viewer, 3, place=f"room:{room}", combo=room == "one", window_ms=5) for viewer in VIEWERS for room in ROOMS
    ]
    outcomes = await asyncio.gather(*map(ledger.give, given))
    assert all(isinstance(outcome, GiftAccepted) for outcome in outcomes)


async def _flush_with_faults(ledger: Ledger, pool: Pool, config: LedgerConfig) -> None:
    """Gifts one after the other, and every third transaction of the flusher loses its connection."""
    copy, copies = asyncpg.Connection.copy_to_table, 0

    async def breaks(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal copies
        copies += 1
        if copies % 3 == 2:
            raise ConnectionResetError("planted")
        return await copy(self, *args, **named)

    with patch.object(asyncpg.Connection, "copy_to_table", breaks):
        for _ in range(6):
            await _give_some(ledger)
            await _flush_rest(ledger, pool, config)
    assert copies > 6


async def _flush_rest(ledger: Ledger, pool: Pool, config: LedgerConfig) -> None:
    wanted = await _seqs(ledger)
    async with flushing(pool, ledger.redis, config) as flusher:
        for _ in range(TURNS_MAX):
            rows = await pool.fetch("SELECT partition, seq FROM positions WHERE partition >= 0")
            if flusher.stats.broken or {row["partition"]: row["seq"] for row in rows} == wanted:
                return
            await back_off()


async def _relay_until(ledger: Ledger, config: LedgerConfig, rooms: RoomConfig, point: int | None) -> None:
    """A relay works until everything is told and ended, or it dies at a point."""
    own = open_ledger(config)
    async with opened_broker(config.redis_url, rooms) as broker:
        relay = Relay(own, broker, rooms) if point is None else doomed_relay(own, broker, point)
        wanted = await _seqs(ledger)
        async with running(relay) as task:
            for _ in range(TURNS_MAX):
                positions = await ledger.relay_positions()
                told = {int(partition): positions.get(partition, Position()).seq for partition in positions}
                open_ = [combo for partition in range(2) for combo in await ledger.open_combos(Partition(partition))]
                if task.done() or (told == wanted and not open_):
                    break
                await back_off()
            if task.done() and not isinstance(task.exception(), Died):
                await task
    await own.redis.aclose()


async def _seqs(ledger: Ledger) -> dict[int, int]:
    redis: Any = ledger.redis
    return {int(partition): int(await redis.hget(keys.totals, Total.SEQ) or 0) for partition, keys in ledger.keys.all()}


def main() -> None:
    """Run the checks that were asked for."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder, database_url, *names = sys.argv[1:]
    failed = False
    for name in names:
        own = Path(folder) / name
        own.mkdir()
        try:
            found = CHECKS[name](own, database_url)
        except (LedgerError, AssertionError) as exc:
            found = [f"{type(exc).__name__}: {exc}"]
        for words in found:
            sys.stdout.write(f"{name}: {words}\n")
        failed = failed or bool(found)
    sys.stdout.flush()
    # Past everything that a broken product may have left running.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()

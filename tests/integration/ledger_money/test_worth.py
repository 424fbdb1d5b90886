"""Coins that are worth less: what creators and agencies get of them, and that nothing of it is ever lost or doubled."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import pytest

from ledger.accounts import AccountKind
from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.books import Books
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, InvariantBroken
from ledger.ids import new_id
from ledger.invariants import Invariant
from ledger.live.journal import JournalReader
from ledger.live.redis_client import connect
from ledger.lots.account_history import AccountHistory
from ledger.model import GiftAccepted, RefundKind, ViewerId
from ledger.office import Office
from ledger.purchases.grants import GrantOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_money.refund_world import RefundWorld

# A gift is split in halves: 50 diamonds a coin for the creator. Bonus coins are worth a half, grants nothing.
WORTHS: Final[Mapping[str, object]] = {"bonus_worth_bp": 5_000, "granted_worth_bp": 0}
_KINDS: Final = ("pending", "available", "commission", "discount", "commission_returned", "issuance")
_OPEN: Final = "SELECT viewer, discounted, lots::text FROM open_lots"

Under = Callable[[Mapping[str, object]], Awaitable[RefundWorld]]


@pytest.fixture
def under(config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> Under:
    """Makes a world with these settings."""

    async def make(settings: Mapping[str, object]) -> RefundWorld:
        return await RefundWorld.under(settings, config, ledger, rail, pool)

    return make


async def has(world: RefundWorld) -> str:
    """What cora has pending and available, then what the platform's accounts hold, in the order of _KINDS."""
    owned = [await world.money.balance(kind, "cora") for kind in _KINDS[:2]]
    return " ".join(map(str, owned + [await world.money.balance(kind) for kind in _KINDS[2:]]))


LIVES: Final[dict[str, tuple[Mapping[str, object], str, str]]] = {
    "a grant is worth nothing": (
        WORTHS,
        """
        grant 10 | 10
        gift cora 4 | 6
        """,
        "0 0 200 200 0 -400",
    ),
    "a purchase's paid coins first, then its bonus at a half": (
        WORTHS,
        """
        buy A 10+4 | 14
        gift cora 12 | 2
        """,
        # 12 coins: 600 each; of the two bonus coins' 100 half.
        "550 0 600 50 0 -1200",
    ),
    "a grant before a purchase is spent before it": (
        WORTHS,
        """
        grant 5 | 5
        buy A 10 | 15
        gift cora 7 | 8
        """,
        "100 0 350 250 0 -700",
    ),
    "after the last such coin everything is as ever": (
        WORTHS,
        """
        grant 5 | 5
        buy A 10 | 15
        gift cora 5 | 10
        gift cora 10 | 0
        """,
        "500 0 750 250 0 -1500",
    ),
    "a basis point less is a diamond less": (
        {"bonus_worth_bp": 10_000, "granted_worth_bp": 9_999},
        """
        grant 3 | 3
        gift cora 1 | 2
        """,
        "49 0 50 1 0 -100",
    ),
    "worth as much: nothing is noted": (
        {"bonus_worth_bp": 10_000, "granted_worth_bp": 10_000},
        """
        buy A 10+4 | 14
        grant 3 | 17
        gift cora 17 | 0
        """,
        "850 0 850 0 0 -1700",
    ),
    "what a charge-back takes is what was given": (
        {**WORTHS, "chargeback_viewer": "floor"},
        """
        buy A 10+4 | 14
        gift cora 14 | 0
        chargeback r A 3 | taken 3, 0
        settle | 0
        """,
        # 14 coins gave 500 + 100; the last three are bonus: 75 of the creator's, 225 of the platform's go back.
        "525 0 700 100 -225 -1100",
    ),
    "a debt is paid by coins that come first": (
        WORTHS,
        """
        buy A 10 | 10
        gift cora 10 | 0
        chargeback r A | taken 10, -10
        settle | -10
        grant 4 | -6
        buy B 8 | 2
        gift cora 2 | 0
        """,
        # The grant went into the debt. What the charge-back took back was all of the first gift.
        "100 0 600 0 -500 -200",
    ),
    "a refund of what is left takes the bonus first": (
        WORTHS,
        """
        buy A 10+4 | 14
        gift cora 8 | 6
        refund r A 3 | taken 3, 3
        gift cora 3 | 0
        settle | 0
        """,
        "525 0 550 25 0 -1100",
    ),
}


@pytest.mark.parametrize(("settings", "table", "expected"), LIVES.values(), ids=list(LIVES))
@pytest.mark.parametrize("flushed", ["at the end", "after each line"])
async def test_lives(under: Under, settings: Mapping[str, object], table: str, expected: str, flushed: str) -> None:
    """Worked out by hand, whether the books get everything at once or piece by piece; the audits hold."""
    world = await under(settings)
    for line in table.strip().splitlines():
        await world.play(line)
        if flushed == "after each line":
            # Each flush is by a new writer that remembers nothing.
            await world.money.flush()
    await world.assert_audit_holds()
    assert await has(world) == expected
    assert await roll(world) == {}
    await world.office.close()


async def roll(world: RefundWorld) -> dict[Invariant, int]:
    """What a round of the rolling audit finds."""
    config = msgspec.structs.replace(world.money.config, audit_share_permille=1_000)
    redis = connect(config)
    found = await RollingAudit(world.pool, redis, config).round()
    await redis.aclose()
    return {invariant: count for invariant, count in found.items() if count}


async def test_statement_says_why(under: Under) -> None:
    """A gift has its full line, and right behind it one that says what its coins were worth less."""
    world = await under(WORTHS)
    await world.play("buy A 10+4 | 14\ngift cora 12 | 2\ngift cora 2 | 0")
    await world.money.flush()
    entries = await world.office.statements.creator_entries("cora", after=None, limit=10)
    assert [(entry.cause, entry.diamonds, entry.balance_diamonds) for entry in entries] == [
        ("discount", -50, 600),
        ("gift", 100, 650),
        ("discount", -50, 550),
        ("gift", 600, 600),
    ]
    assert entries[0].id == entries[1].id != entries[2].id == entries[3].id
    days = await world.office.statements.creator_days("cora", days=2)
    assert [(day.earned_diamonds, day.gifts, day.discounted_diamonds) for day in days] == [(600, 2, 100)]
    earned = await world.office.payouts.earnings("cora")
    assert (earned.pending_diamonds, earned.discounted_diamonds, earned.taken_back_diamonds) == (600, 100, 0)
    history = AccountHistory(world.pool, world.money.config)
    pending = await history.at(AccountKind.PENDING, "cora", now_ms() + 60_000, limit=10)
    assert [entry.cause for entry in pending.entries] == ["discount", "gift", "discount", "gift"]
    # Live, it is what the audience gave: overlays and goals count that.
    assert await world.ledger.live_earnings("cora") == 700
    await world.office.close()


async def test_only_the_rest_matures(under: Under) -> None:
    """What coins are worth less never becomes available."""
    world = await under(WORTHS)
    await world.play("grant 4 | 4\nbuy A 10 | 14\ngift cora 14 | 0\nmature | 0")
    assert await has(world) == "0 500 700 200 0 -1400"
    await world.assert_audit_holds()
    await world.office.close()


async def test_agency_has_less_too(under: Under) -> None:
    """An agency's part of a coin that is worth a half is a half; the platform keeps the other."""
    world = await under(WORTHS)
    await world.play("buy A 10+4 | 14")
    order = gift_order("ann", 14, creator="cora")
    outcome = await world.ledger.give(msgspec.structs.replace(order, agency="acme", agency_diamonds=140))
    assert isinstance(outcome, GiftAccepted)
    await world.assert_audit_holds()
    assert await world.money.balance("agency", "acme") == 140 - 20
    assert await has(world) == f"600 0 {700 - 140} {100 + 20} 0 -1400"
    assert await roll(world) == {}
    await world.office.close()


async def test_order_says_its_own_worth(under: Under, pool: Pool) -> None:
    """What a grant or a promotion says counts for its coins for ever, whatever the deployment says."""
    world = await under({"bonus_worth_bp": 0, "granted_worth_bp": 0})
    grant = GrantOrder(new_id(now_ms()), ViewerId("ann"), 4, "a prize", "olga", worth_bp=10_000)
    await world.office.grants.grant(grant)
    bought = purchase_order(coins=2, bonus_coins=4, purchase_id=world.id("A"))
    await world.office.purchases.begin(msgspec.structs.replace(bought, bonus_worth_bp=2_500))
    await world.play("pay A | 10\ngift cora 10 | 0")
    await world.assert_audit_holds()
    # 4 + 2 coins are worth 300, and four at a quarter of 200.
    assert await has(world) == "350 0 500 150 0 -1000"
    with pytest.raises(IdConflict):
        await world.office.grants.grant(msgspec.structs.replace(grant, worth_bp=0))
    with pytest.raises(IdConflict):
        await world.office.purchases.begin(msgspec.structs.replace(bought, bonus_worth_bp=0))
    lots = await world.office.lots.of_viewer("ann")
    assert [(lot.kind, lot.worth_bp) for lot in lots.lots] == [("granted", 10_000), ("paid", 10_000), ("bonus", 2_500)]
    parts = await world.office.lots.paid_by(world.id("A"))
    assert [(part.coins, part.creator_diamonds, part.commission_diamonds) for part in parts] == [
        (2, 100, 100),
        (4, 50, 350),
    ]
    await world.office.close()


async def test_worth_stays_when_the_setting_changes(under: Under) -> None:
    """Coins keep what they were worth when they were ordered."""
    before, after = await under(WORTHS), await under({"bonus_worth_bp": 10_000, "granted_worth_bp": 10_000})
    await before.play("grant 4 | 4")
    await after.play("grant 4 | 8\ngift cora 8 | 0")
    await after.assert_audit_holds()
    assert await has(after) == "200 0 400 200 0 -800"
    for world in (before, after):
        await world.office.close()


async def test_lots_are_noted_while_such_coins_are_left(under: Under, pool: Pool) -> None:
    """One row for a viewer who has them; it is where the next walk begins when they are gone. Others have none."""
    world = await under(WORTHS)
    await world.play("buy A 10 | 10\ngift cora 3 | 7")
    await world.money.flush()
    assert await pool.fetch(_OPEN) == []
    await world.play("grant 4 | 11\ngift cora 8 | 3")
    await world.money.flush()
    assert [row["discounted"] for row in await pool.fetch(_OPEN)] == [True]
    await world.play("gift cora 3 | 0\nbuy B 5 | 5\ngift cora 1 | 4")
    await world.money.flush()
    assert [row["discounted"] for row in await pool.fetch(_OPEN)] == [False]
    await world.play("grant 2 | 6\ngift cora 5 | 1")
    await world.assert_audit_holds()
    # 3 + 7 paid, 4 granted, 1 + 4 paid, 1 granted.
    assert await has(world) == f"{15 * 50} 0 {20 * 50} {5 * 50} 0 -2000"
    await world.office.close()


async def test_writer_that_remembers(under: Under, pool: Pool) -> None:
    """One writer over many batches, with viewers who have such coins and others, forgotten in between or not."""
    world = await under(WORTHS)
    partitions = [partition for partition, _ in world.ledger.keys.all()]
    books = Books(pool, partitions, msgspec.structs.replace(world.money.config, accounts_cached_max=3))
    reader = JournalReader(world.ledger.redis, world.ledger.keys, partitions, await books.load_positions())
    spent: dict[str, int] = {}
    for turn in range(6):
        for number in range(8):
            viewer = f"v{number}"
            worth_bp = (None, 10_000, 2_500)[number % 3]
            order = GrantOrder(new_id(now_ms()), ViewerId(viewer), 10, "a prize", "olga", worth_bp=worth_bp)
            await world.office.grants.grant(order)
            await world.ledger.give(gift_order(viewer, 3 + turn, creator=f"c{number % 3}"))
            spent[viewer] = spent.get(viewer, 0) + 3 + turn
        while records := (await reader.read(block_ms=None)).records:
            await books.write(records)
    report = await audit(world.money.config)
    assert report.ok, report.invariants
    for number, worth_bp in enumerate((0, 10_000, 2_500)):
        coins = sum(spent[f"v{one}"] for one in range(8) if one % 3 == number)
        nominal = await world.money.balance("pending", f"c{number}")
        # Each gift on its own: whole diamonds of 50 a coin, at 0, 1 or a quarter, which 50 and odd coins do not divide.
        if worth_bp != 2_500:
            assert nominal == coins * 50 * worth_bp // 10_000
        else:
            assert coins * 12 < nominal <= coins * 12.5
    await world.office.close()


TAMPERED: Final = {
    "a discount gone": ("DELETE FROM gift_discounts", {Invariant.I1, Invariant.I9}),
    "a discount too small": ("UPDATE gift_discounts SET creator_diamonds = creator_diamonds - 1", {Invariant.I1}),
    "a gift that was not worth less": (
        "INSERT INTO gift_discounts SELECT partition, 1, 1, 1, 0, creator FROM gift_discounts",
        {Invariant.I1, Invariant.I9},
    ),
    "a discount of fewer coins": ("UPDATE gift_discounts SET coins = 1", {Invariant.I9}),
    "a day that says less": ("UPDATE creator_days SET discounted = 0", {Invariant.I1}),
    "another worth": ("UPDATE credits SET worth_bp = 5000 WHERE worth_bp = 0", {Invariant.I9}),
    "no worth": ("UPDATE credits SET worth_bp = NULL", {Invariant.I9}),
    "coins of no lot": ("DELETE FROM journal_records WHERE kind = 'grant'", {Invariant.I9}),
    "other lots": ("UPDATE open_lots SET debt_coins = 1", {Invariant.I9}),
    "forgotten lots": ("UPDATE open_lots SET discounted = false", {Invariant.I9}),
}


@pytest.mark.parametrize(("statement", "found"), TAMPERED.values(), ids=list(TAMPERED))
async def test_audit_sees(under: Under, pool: Pool, statement: str, found: set[Invariant]) -> None:
    """Whatever of it somebody changes contradicts the rest."""
    world = await under(WORTHS)
    await world.play("grant 10 | 10\ngift cora 4 | 6")
    await world.assert_audit_holds()
    await pool.execute(statement)
    report = await audit(world.money.config)
    assert found <= {result.id for result in report.invariants if not result.ok}, report.invariants
    await world.office.close()


async def test_lots_that_contradict_the_wallet_stop_the_writer(under: Under, pool: Pool) -> None:
    """Coins of no lot are never given away at a guess."""
    world = await under(WORTHS)
    await world.play("grant 10 | 10\ngift cora 4 | 6")
    await world.money.flush()
    await pool.execute("UPDATE open_lots SET lots = '[[\"019a1b2c-0000-7000-8000-000000000001\", 1, 0]]'")
    await world.play("gift cora 4 | 2")
    with pytest.raises(InvariantBroken, match="coins of no lot"):
        await world.money.flush()
    await world.office.close()


async def test_books_from_the_journal_again(under: Under, pool: Pool) -> None:
    """Books that lost what the flusher writes come to the same discounts when they read the journal once more."""
    world = await under(WORTHS)
    await world.play("buy A 10+4 | 14\ngift cora 12 | 2\ngrant 3 | 5\ngift cora 4 | 1")
    await world.money.flush()
    before = await has(world)
    for table in ("entries", "journal_records", "creator_days", "gift_discounts", "open_lots"):
        await pool.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    await pool.execute("UPDATE positions SET epoch = 0, seq = 0")
    await pool.execute("UPDATE balances SET number = 0, balance = 0")
    await world.assert_audit_holds()
    assert await has(world) == before
    await world.office.close()


async def test_refund_in_parts_takes_back_all(under: Under) -> None:
    """However a purchase is cut, its charge-backs together take back what was given for it, to the diamond."""
    world = await under({"bonus_worth_bp": 3_333, "granted_worth_bp": 0})
    await world.play("buy A 10+7 | 17")
    order = gift_order("ann", 17, creator="cora")
    odd = msgspec.structs.replace(order, creator_diamonds=773, commission_diamonds=927)
    assert isinstance(await world.ledger.give(odd), GiftAccepted)
    await world.money.flush()
    given = await world.money.balance("pending", "cora")
    for number, coins in enumerate((3, 1, 2, 5, 6)):
        await world.refund(f"r{number}", "A", coins, RefundKind.CHARGEBACK)
        await world.settle()
        await world.assert_audit_holds()
    assert 0 < given < 773
    assert await world.money.balance("pending", "cora") == 0
    assert await world.money.balance("issuance") == 0
    await world.office.close()


def test_settings_are_whole_by_default() -> None:
    """Without a word of the operator every coin is worth the same."""
    assert (LedgerConfig().bonus_worth_bp, LedgerConfig().granted_worth_bp) == (10_000, 10_000)


async def test_office_of_the_default(office: Office, ledger: Ledger, money: Money, pool: Pool) -> None:
    """Nothing of it is stored where nobody uses it."""
    await money.earn("cora", 10)
    for table in ("open_lots", "gift_discounts"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - names of ours
    assert await pool.fetchval("SELECT count(*) FROM credits WHERE worth_bp IS NOT NULL") == 0
    assert await money.balance("pending", "cora") == 500

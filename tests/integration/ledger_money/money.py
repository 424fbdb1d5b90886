"""Makes money move through the real path, and adds up the books by SQL of its own."""

from ledger.books.books import Books
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.journal import JournalReader
from ledger.model import ViewerId
from ledger.office import Office
from ledger.payouts.payouts import PayoutMethod
from ledger.purchases.grants import GrantOrder
from ledger.purchases.purchases import PurchaseOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms

OWED = "SELECT count(*) FROM credits WHERE due_at IS NOT NULL AND credited_at IS NULL"
_BALANCE = """
SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN accounts ON id = account_id WHERE kind = $1 AND owner = $2
"""
_UNITS = "SELECT unit, sum(amount)::bigint AS total FROM entries JOIN accounts ON id = account_id GROUP BY unit"
_RECORD_UNITS = """
SELECT count(*) FROM (
    SELECT 1 FROM entries JOIN accounts ON id = account_id WHERE entries.partition = -1
    GROUP BY seq, unit HAVING sum(amount) <> 0
) AS unbalanced
"""
_STORED_DIFFERS = """
SELECT count(*) FROM balances b
JOIN (SELECT account_id, sum(amount) AS total, max(number) AS last FROM entries GROUP BY 1) e USING (account_id)
WHERE b.balance <> e.total OR b.number <> e.last
"""


class Money:
    """The world around the office."""

    def __init__(self, config: LedgerConfig, ledger: Ledger, office: Office, pool: Pool) -> None:
        self.config = config
        self._ledger = ledger
        self._office = office
        self._pool = pool

    async def flush(self) -> None:
        """Everything that is in the journal now is in the books after."""
        partitions = [partition for partition, _ in self._ledger.keys.all()]
        books = Books(self._pool, partitions, self.config)
        positions = await books.load_positions()
        reader = JournalReader(self._ledger.redis, self._ledger.keys, partitions, positions)
        while records := (await reader.read(block_ms=None)).records:
            await books.write(records)

    async def earn(self, creator: str, coins: int, viewer: str = "ann") -> int:
        """A creator earns by a gift, which is flushed; the diamonds (a coin earns 50)."""
        await self._office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId(viewer), coins, "test", "olga"))
        await self._ledger.give(gift_order(viewer, coins, creator=creator))
        await self.flush()
        return coins * 50

    async def add_creator(self, creator: str) -> PayoutMethod:
        """A creator with a way to be paid."""
        await self._office.directory.put_creator(creator, name=creator.title())
        return await self._office.payouts.add_method(new_id(now_ms()), creator, "bank", "My bank", b"DE00")

    async def balance(self, kind: str, owner: str = "") -> int:
        """What the accounts of a kind and owner hold, added up from their entries."""
        return int(await self._pool.fetchval(_BALANCE, kind, owner))

    async def assert_books_sum_to_zero(self) -> None:
        """Each unit sums to zero, over all and in each record of the office; stored balances are those sums."""
        totals = {row["unit"]: row["total"] for row in await self._pool.fetch(_UNITS)}
        assert set(totals.values()) <= {0}, totals
        assert await self._pool.fetchval(_RECORD_UNITS) == 0
        assert await self._pool.fetchval(_STORED_DIFFERS) == 0

    async def owed(self) -> int:
        """Rows whose coins are owed."""
        return int(await self._pool.fetchval(OWED))


def purchase_order(
    viewer: str = "ann",
    coins: int = 100,
    bonus_coins: int = 20,
    *,
    purchase_id: bytes | None = None,
    rail: str = "sandbox",
) -> PurchaseOrder:
    """An order of a pack of coins at 1.29 USD."""
    return PurchaseOrder(
        id=purchase_id or new_id(now_ms()),
        viewer=ViewerId(viewer),
        package="pack_100",
        coins=coins,
        bonus_coins=bonus_coins,
        price_minor=129,
        currency="USD",
        country="US",
        platform="web",
        promotion=None,
        rail=rail,
    )

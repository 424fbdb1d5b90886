"""Everything about money that asks PostgreSQL, opened and closed as one: directory, grants, purchases, payouts,
statements, holds, undone gifts, freezes and caps, and the duties behind them. The live ledger is not part of it: it is
told of coins and of what forbids gifts."""

from collections.abc import Iterable

from ledger.books.postgres import Pool, connected, open_pool
from ledger.books.seals import Seals
from ledger.books.volumes import Volumes
from ledger.config import LedgerConfig
from ledger.guards.ages import NO_RULES, AgeRules
from ledger.guards.directory import Directory
from ledger.guards.guards import Guards
from ledger.guards.persons import AgeCheck
from ledger.guards.plans import Plans
from ledger.holds.holds import Holds
from ledger.holds.undos import Undos
from ledger.lots.account_history import AccountHistory
from ledger.lots.lot_statements import LotStatements
from ledger.lots.statements import Statements
from ledger.payouts.agencies import Agencies
from ledger.payouts.maturing import Maturing
from ledger.payouts.payout_limits import PayoutRules
from ledger.payouts.payouts import Payouts
from ledger.purchases.crediting import Crediting, SettleStats
from ledger.purchases.grants import Grants
from ledger.purchases.purchases import Purchases
from ledger.rails.interface import PaymentRail
from ledger.rails.manual import ManualRail
from ledger.refunds.refunds import Refunds
from ledger.service import Ledger


class Office:
    """The parts, each with its own contract.

    Attributes:
        maturing, seals, volumes: for the worker, whose duties are their `run`, and those of `purchases`, `refunds`,
            `holds`, `undos` and `guards`.
    """

    def __init__(
        self,
        pool: Pool,
        ledger: Ledger,
        rails: Iterable[PaymentRail],
        config: LedgerConfig,
        ages: AgeRules,
        payouts: PayoutRules,
    ) -> None:
        check = AgeCheck(ages, config.ages_known)
        self._pool = pool
        self._crediting = Crediting(pool, ledger, config)
        self.directory = Directory(pool, config)
        self.agencies = Agencies(pool, config)
        self.plans = Plans(pool, config)
        self.grants = Grants(pool, self._crediting, config)
        self.guards = Guards(pool, ledger, config, ages)
        self.holds = Holds(pool, ledger, config)
        self.undos = Undos(pool, ledger, config)
        self.refunds = Refunds(pool, ledger, config)
        self.purchases = Purchases(pool, self._crediting, self.refunds, rails, config, check)
        self.payouts = Payouts(pool, ManualRail(), config, check, payouts)
        self.maturing = Maturing(pool, config)
        self.seals = Seals(pool, config)
        self.volumes = Volumes(pool, config)
        self.statements = Statements(pool, ledger, config)
        self.accounts = AccountHistory(pool, config)
        self.lots = LotStatements(pool)

    @property
    def settle_stats(self) -> SettleStats:
        """What `purchases.run` has settled in this process."""
        return self._crediting.stats

    async def ping(self) -> None:
        """See that PostgreSQL answers.

        Raises:
            LedgerUnavailable: it does not.
        """
        async with connected(self._pool) as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Let what is running finish, then close the connections."""
        await self._pool.close()


async def open_office(
    config: LedgerConfig,
    ledger: Ledger,
    *,
    rails: Iterable[PaymentRail] = (),
    ages: AgeRules = NO_RULES,
    payouts: PayoutRules | None = None,
) -> Office:
    """An office on `config.database_url`. It connects on first use, so PostgreSQL may be down meanwhile.

    Args:
        ledger: started before coins are to come in, and stopped by its owner.
        rails: the payment providers that coins can be bought from, such as `SandboxRail.from_key(key)`; each once.
        ages: what age allows by country; without them every age may do everything.
        payouts: limits of withdrawals by country; without them the configuration's hold everywhere.
    """
    return Office(await open_pool(config), ledger, rails, config, ages, payouts or PayoutRules())

"""Plays lines such as `gift cora 30` against an office and a live ledger, and reads the result by SQL of its own."""

import datetime
from collections.abc import Mapping

import msgspec

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import GiftAccepted, GiftRefused, RefundKind, ViewerId
from ledger.office import Office, open_office
from ledger.purchases.grants import GrantOrder
from ledger.purchases.purchases import EventEffect, RailOutcome
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import Refund, RefundMoney, RefundOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_postgres.undoing import dear, later, settle_all, undo

_OUTCOMES = {"refunded": RailOutcome.REFUNDED, "charged_back": RailOutcome.CHARGED_BACK}
_REFUNDS = """
SELECT id, kind, state, coins, taken_coins, returned_coins, creator_diamonds, commission_diamonds, borne_diamonds
FROM refunds ORDER BY made_at, id
"""


class RefundWorld:
    """One viewer, ann, whose purchases are called A, B …; a purchase costs 129 minor units."""

    def __init__(self, office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool) -> None:
        self.office = office
        self.ledger = ledger
        self.money = money
        self.pool = pool
        self._rail = rail
        self.ids: dict[str, bytes] = {}
        """Purchases, refunds and events by the names in the lines."""

    @classmethod
    async def under(
        cls, policies: Mapping[str, object], config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
    ) -> "RefundWorld":
        """A world with these policies."""
        changed = msgspec.convert({**msgspec.to_builtins(config), **policies}, LedgerConfig)
        office = await open_office(changed, ledger, rails=[rail])
        return cls(office, ledger, rail, Money(changed, ledger, office, pool), pool)

    def id(self, name: str) -> bytes:
        """The id of that name."""
        return self.ids.setdefault(name, new_id(now_ms()))

    async def play(self, table: str) -> None:
        """Do each line `operation | result` and compare its result."""
        for number, line in enumerate(table.strip().splitlines()):
            operation, _, expected = line.partition("|")
            found = await self.do(operation.split())
            assert found == expected.strip(), f"line {number + 1}, {operation.strip()}: {found}"

    async def settle(self) -> None:
        """Everything is in the books, and every refund as far as it goes."""
        await self.money.flush()
        await self.office.purchases.settle()
        await self.office.refunds.settle()
        await self.money.flush()
        await self.office.refunds.settle()
        await self.office.purchases.settle()

    async def refunds(self) -> list[str]:
        """A line for each refund: kind, state, then coins, taken and returned, then the three amounts of diamonds."""
        return [" ".join(map(str, tuple(row)[1:])) for row in await self.pool.fetch(_REFUNDS)]

    async def assert_audit_holds(self) -> None:
        """The invariants, as `giftwire audit` sees them, and the sums by SQL."""
        await self.money.flush()
        report = await audit(self.money.config)
        assert report.ok, [result.violations for result in report.invariants if not result.ok]
        await self.money.assert_books_sum_to_zero()

    async def refund(
        self,
        name: str,
        purchase: str,
        coins: int | None,
        kind: RefundKind,
        money: RefundMoney = RefundMoney.PROVIDER,
    ) -> Refund | int:
        """Order a refund; what it is, or the coins that were left when it is refused."""
        order = RefundOrder(self.id(name), self.id(purchase), coins, kind, "a test", "olga", money)
        outcome = await self.office.refunds.refund(order)
        return outcome if isinstance(outcome, Refund) else outcome.left_coins

    async def hear(
        self, purchase: str, outcome: RailOutcome, event: str, amount_minor: int = 129, about: str = ""
    ) -> EventEffect:
        """The rail says something about a purchase."""
        stored = await self.office.purchases.get(self.id(purchase))
        assert stored is not None
        webhook = self._rail.pay(stored, outcome, event_id=event, amount_minor=amount_minor, about=about)
        return (await self.office.purchases.hear("sandbox", *webhook)).effect

    async def do(self, words: list[str]) -> str:
        """Do one operation; its result as the tables write it."""
        match words:
            case ["begin", name, amount]:
                coins, _, bonus = amount.partition("+")
                order = purchase_order(coins=int(coins), bonus_coins=int(bonus or 0), purchase_id=self.id(name))
                return (await self.office.purchases.begin(order)).state
            case ["pay", name]:
                await self.hear(name, RailOutcome.PAID, f"paid-{name}")
            case ["buy", name, amount]:
                await self.do(["begin", name, amount])
                await self.do(["pay", name])
            case ["grant", amount]:
                order_ = GrantOrder(new_id(now_ms()), ViewerId("ann"), int(amount), "a prize", "olga")
                await self.office.grants.grant(order_)
            case ["gift", creator, amount, *rate]:
                outcome = await self.ledger.give(
                    gift_order("ann", int(amount), creator=creator, commission_bp=_rate(rate))
                )
                if isinstance(outcome, GiftRefused):
                    return outcome.refusal.value
                assert isinstance(outcome, GiftAccepted)
            case ["dear", name, creator, amount, *rate]:
                gift = dear("ann", int(amount), creator=creator, gift_id=self.id(name), commission_bp=_rate(rate))
                given = await self.ledger.give(gift)
                if not (isinstance(given, GiftAccepted) and given.undo_until_ms):
                    return f"{given}"
            case ["undo", name]:
                await undo(self.ledger, "ann", self.id(name))
            case ["later"]:
                await later(self.ledger)
                await settle_all(self.ledger)
            case ["refund" | "chargeback" as kind, name, purchase, *amount]:
                coins_ = int(amount[0]) if amount else None
                found = await self.refund(name, purchase, coins_, RefundKind(kind))
                if isinstance(found, int):
                    return f"refused, left {found}"
                return f"{found.state} {found.coins}, {await self.ledger.balance('ann')}"
            case ["refund-otherwise", name, purchase, amount]:
                found = await self.refund(name, purchase, int(amount), RefundKind.REFUND, RefundMoney.OTHER)
                if isinstance(found, int):
                    return f"refused, left {found}"
                return f"{found.state} {found.coins}, {await self.ledger.balance('ann')}"
            case ["reinstate", name]:
                await self.office.refunds.reinstate(self.id(name), by="olga", reason="it did not go")
            case ["refunded" | "charged_back" as said, event, purchase, amount]:
                effect = await self.hear(purchase, _OUTCOMES[said], event, int(amount))
                return f"{effect}, {await self.ledger.balance('ann')}"
            case ["reinstated", event, purchase, about, amount]:
                effect = await self.hear(purchase, RailOutcome.REINSTATED, event, int(amount), about)
                return f"{effect}, {await self.ledger.balance('ann')}"
            case ["settle"]:
                await self.settle()
            case ["mature"]:
                await self.money.flush()
                await self.office.maturing.round(_today())
            case _:
                raise ValueError(words)
        return str(await self.ledger.balance("ann"))


def _rate(words: list[str]) -> int:
    """The commission that a line names; a half where it names none."""
    return int(words[0]) if words else 5_000


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()

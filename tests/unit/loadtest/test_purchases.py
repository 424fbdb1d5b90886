"""Purchases of a run: intended by the seed, booked as they go, and judged by arithmetic."""

import itertools
from collections import Counter

import msgspec
import pytest

from loadtest.checker.faults import FaultKind, Faults
from loadtest.checker.money import check_purchases
from loadtest.clients.buyer import purchases_of
from loadtest.record.purchase_book import PurchaseBook
from loadtest.record.timing import purchase_latencies
from loadtest.script.naming import Run
from loadtest.script.scenario import Buying
from tests.unit.loadtest.reports import SCENARIO

RUSH = msgspec.structs.replace(
    SCENARIO, duration_s=20.0, repeat_share=0.1, buying=Buying(10, 50.0, ("coins_100", "coins_500"))
)
MS = 1_000_000


def judged(book: PurchaseBook, balances: dict[int, int | None]) -> list[str]:
    """What is found wrong, in words."""
    faults = Faults()
    check_purchases(Run(1), [book], balances, faults)
    found = faults.listed()
    assert {fault.kind for fault in found} <= {FaultKind.PURCHASE}
    return [words for fault in found for words in fault.examples]


def credited(book: PurchaseBook, buyer: int, coins: int, *, at_ms: int = 10) -> None:
    """A purchase that went well."""
    number = book.intend(0, buyer)
    book.begun(number, 1 * MS, coins)
    book.paid(number, 2 * MS)
    book.credited(number, at_ms * MS, coins)


def test_purchases_are_repeatable_and_have_their_rate() -> None:
    """In order of time, by every buyer, of every package; about a tenth is told twice."""
    row = list(purchases_of(RUSH))
    assert row == list(purchases_of(RUSH))
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(row))
    assert 850 < len(row) < 1_150
    assert {one.buyer for one in row} == set(range(10))
    assert Counter(one.package for one in row)["coins_100"] == pytest.approx(len(row) / 2, rel=0.2)
    assert 0.05 < sum(one.repeated for one in row) / len(row) < 0.15


def test_buyer_has_the_coins_of_its_purchases() -> None:
    """Added up by buyer; latency counts from the intended beginning."""
    book = PurchaseBook()
    for buyer, coins in ((0, 100), (1, 500), (0, 1_000)):
        credited(book, buyer, coins)
    assert book.open == 0
    assert judged(book, {0: 1_100, 1: 500}) == []
    assert purchase_latencies([book]).percentile_ms(50) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize("balance", [0, 100, 300, None])
def test_purchase_credited_twice_or_not_at_all_is_found(balance: int | None) -> None:
    """Also a wallet that could not be read."""
    book = PurchaseBook()
    credited(book, 0, 200)
    assert judged(book, {0: balance}) == [f"{Run(1).buyer(0)} has {balance} coins, 200 were bought"]


def test_purchase_that_came_to_no_end_is_found() -> None:
    """Its buyer's wallet may hold the coins or not: that purchase is the fault, and no second one is made of it."""
    book = PurchaseBook()
    credited(book, 0, 200)
    number = book.intend(0, 0)
    book.begun(number, 1, 100)
    book.given_up(number)
    book.paid(book.intend(0, 1), 1)
    assert book.open == 1
    assert judged(book, {0: 300, 1: 0}) == [
        "purchase 1 came no further than given_up",
        "purchase 2 came no further than paid",
    ]
    assert len(purchase_latencies([book])) == 1


def test_credit_of_another_amount_is_found() -> None:
    """What was quoted must come."""
    book = PurchaseBook()
    number = book.intend(0, 0)
    book.begun(number, 1, 100)
    book.credited(number, 2, 110)
    assert judged(book, {0: 100}) == ["purchase 0 was of 100 coins, 110 were credited"]

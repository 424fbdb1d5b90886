"""The one division: its parts always add up, and nobody gets more than a share."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commission import coins_of_money, residue, residue_share, share, split, to_minor
from ledger.model import AMOUNT_MAX

SPLITS = """
# coins  commission_bp | creator  commission  residue
  1      5000          | 50       50          0
  1      0             | 100      0           0
  1      10000         | 0        100         0
  0      5000          | 0        0           0
  0      3333          | 0        0           0
  1      3333          | 66       33          1
  3      3333          | 200      99          1
  1      1             | 99       0           1
  100    1             | 9999     1           0
  7      2999          | 490      209         1
  7      2900          | 497      203         0
  2      4250          | 115      85          0
  44999  4250          | 2587442  1912457     1
"""


@pytest.mark.parametrize("line", [line for line in SPLITS.splitlines() if "|" in line and "#" not in line])
def test_split_by_table(line: str) -> None:
    """Worked out by hand: each part is rounded down, and the residue is what is left."""
    given_, expected = line.split("|")
    coins, commission_bp = map(int, given_.split())
    creator, commission, left = map(int, expected.split())
    assert split(coins, commission_bp) == (creator, commission + left)
    assert residue(coins, commission_bp) == left


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 10_000))
def test_split_any(coins: int, commission_bp: int) -> None:
    """The parts are whole, add up to the value, and the creator's is the true share less than one diamond short."""
    creator, commission = split(coins, commission_bp)
    share = Fraction(coins * 100) * Fraction(10_000 - commission_bp, 10_000)
    assert creator + commission == coins * 100
    assert 0 <= share - creator < 1
    assert commission >= 0


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 10_000))
def test_residue_any(coins: int, commission_bp: int) -> None:
    """Creator's part and commission are the largest whole numbers in their true shares, and the residue is the rest of
    the gift: none where the rate is of whole percents, and never two."""
    true_creator = Fraction(coins * 100 * (10_000 - commission_bp), 10_000)
    true_commission = coins * 100 - true_creator
    left = residue(coins, commission_bp)
    assert coins * 100 == true_creator.__floor__() + true_commission.__floor__() + left
    assert left in ((0,) if commission_bp % 100 == 0 else (0, 1))


@given(st.integers(1, AMOUNT_MAX // 100), st.integers(0, 10_000), st.lists(st.integers(0, 2**53), max_size=8))
def test_residue_of_any_parts(coins: int, commission_bp: int, cuts: list[int]) -> None:
    """Wherever a gift is cut, its parts sum to its residue, and none has more than is left beside the creator's."""
    creator, left = split(coins, commission_bp)[0], residue(coins, commission_bp)
    ends = sorted({0, coins, *(cut % (coins + 1) for cut in cuts)})
    parts = list(itertools.pairwise(ends))
    found = [residue_share(creator, left, coins, first, last) for first, last in parts]
    assert sum(found) == left
    for (first, last), part in zip(parts, found, strict=True):
        assert 0 <= part <= (last - first) * 100 - share(creator, coins, first, last)


@given(st.integers(0, AMOUNT_MAX), st.integers(1, 2**31 - 1))
def test_to_minor_any(diamonds: int, rate: int) -> None:
    """Whole minor units, paid for exactly; less than one is left."""
    amount_minor, cost = to_minor(diamonds, rate)
    assert cost == amount_minor * rate
    assert 0 <= diamonds - cost < rate


@given(st.integers(1, AMOUNT_MAX // 100), st.integers(0, 10_000), st.lists(st.integers(0, 2**53), max_size=8))
def test_shares_of_any_parts(coins: int, commission_bp: int, cuts: list[int]) -> None:
    """Wherever a gift is cut, the shares sum to what its creator got."""
    diamonds, _ = split(coins, commission_bp)
    ends = sorted({0, coins, *(cut % (coins + 1) for cut in cuts)})
    assert sum(share(diamonds, coins, first, last) for first, last in itertools.pairwise(ends)) == diamonds


@given(st.integers(1, AMOUNT_MAX), st.integers(1, 10_000_000), st.integers(0, 10_000_000))
def test_coins_of_money_in_parts(coins: int, price_minor: int, part_minor: int) -> None:
    """Some money and then the rest give all coins back; no part gives more than its share."""
    part = coins_of_money(min(part_minor, price_minor), price_minor, coins)
    assert part * price_minor <= coins * min(part_minor, price_minor) < (part + 1) * price_minor
    assert coins_of_money(price_minor, price_minor, coins) == coins

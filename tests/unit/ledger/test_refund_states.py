"""Who bears refunded coins that had paid for gifts, as a table worked out by hand."""

import pytest

from ledger.refunds.refund_states import CreatorPolicy, Shared, bear

TABLE = """
# policy  creator commission pending available | pending available commission borne
  absorb  50      50         50      50        | 0       0         0          50
  pending 50      50         50      0         | 50      0         50         0
  pending 50      50         30      90        | 30      0         50         20
  pending 50      50         0       90        | 0       0         0          50
  earned  50      50         30      90        | 30      20        50         0
  earned  50      50         30      5         | 30      5         50         15
  earned  50      50         0       -5        | 0       0         0          50
  owe     50      50         30      5         | 30      20        50         0
  owe     50      50         0       -5        | 0       50        50         0
  pending 0       100        0       0         | 0       0         100        0
  absorb  0       100        0       0         | 0       0         0          0
"""


@pytest.mark.parametrize("line", [line for line in TABLE.splitlines() if "|" in line and "#" not in line])
def test_bear_by_table(line: str) -> None:
    """What is taken from pending and from available, what of the commission goes back, what the platform bears."""
    given, expected = line.split("|")
    policy, *amounts = given.split()
    assert bear(CreatorPolicy(policy), *map(int, amounts)) == Shared(*map(int, expected.split()))

"""What a rail's word does to a purchase: money that was taken always counts, also when it came back already."""

import pytest

from ledger.purchases.purchase_states import PurchaseState, RailOutcome, after_outcome

TABLE = """
# state    | paid  declined  expired  refunded  charged_back  reinstated
  pending  | paid  declined  expired  paid      paid          .
  paid     | .     .         .        .         .             .
  credited | .     .         .        .         .             .
  declined | paid  .         .        paid      paid          .
  expired  | paid  .         .        paid      paid          .
  voided   | .     .         .        .         .             .
"""


@pytest.mark.parametrize("line", [line for line in TABLE.splitlines() if "|" in line and "#" not in line])
def test_after_outcome_by_table(line: str) -> None:
    """The table, cell by cell; a dot changes nothing."""
    state, cells = line.split("|")
    for outcome, cell in zip(RailOutcome, cells.split(), strict=True):
        expected = None if cell == "." else PurchaseState(cell)
        assert after_outcome(PurchaseState(state.strip()), outcome) is expected


def test_after_outcome_of_every_state() -> None:
    """No state is missing in the table above."""
    assert sum("|" in line for line in TABLE.splitlines()) - 1 == len(PurchaseState)

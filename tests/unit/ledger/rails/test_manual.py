"""What an operator reads who pays by hand."""

from ledger.ids import parse_id
from ledger.rails.interface import PayoutRail, Transfer
from ledger.rails.manual import ManualRail

ID = parse_id("01936e00-0000-7000-8000-0123456789ab")


def test_slip_says_everything() -> None:
    """Amount, receiver, details and reference, one a line; bytes that are no text are shown, not lost."""
    rail: PayoutRail = ManualRail()
    slip = rail.slip(Transfer(ID, "cora", 1_234, "EUR", "bank", "My bank", b"DE00 \xff"))
    assert slip.splitlines() == [
        "pay: 1234 minor units of EUR",
        "to: cora by bank (My bank)",
        "details: DE00 \\xff",
        "reference: GW-0123456789AB",
    ]
    assert "bank" in rail.kinds

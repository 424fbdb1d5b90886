"""A byte for each account says what it is."""

from ledger.audits.rolling_sums import LOOK_UP, Codes


def test_codes_of_accounts() -> None:
    """Wallets and earnings have codes of their own, gaps between ids have none, and what is known of all is folded."""
    codes = Codes()
    for account, label in ((2, "spent coins"), (3, "wallet coins"), (6, "pending diamonds"), (7, "spent coins")):
        codes.add(account, label, 1 << account)
    assert list(codes.bytes) == [0, 0, 3, 1, 0, 0, 2, 3]
    assert codes.labels == ["wallet coins", "pending diamonds", "spent coins"]
    assert codes.chain == 0b11001100
    assert codes.of(["spent", "pending"]) == [2, 3]


def test_codes_that_are_larger_than_a_byte() -> None:
    """Their accounts are marked as to be looked up; the code itself is known."""
    codes = Codes()
    for number in range(300):
        codes.add(number + 1, f"paid_out C{number}", 0)
    assert list(codes.bytes[250:256]) == [252, 253, 254, LOOK_UP, LOOK_UP, LOOK_UP]
    assert codes.of(["paid_out"]) == list(range(3, 303))

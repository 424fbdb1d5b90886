"""What the ledger refuses has one code on the wire, and the code's promises are kept."""

import pytest
from msgspec import UNSET

from gateway.replies import CODES, refused, refused_by_ledger
from gateway.wire.codes import FACTS, Code
from ledger.model import GiftRefused, Refusal


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_code(refusal: Refusal) -> None:
    """The table is complete: a new refusal without a row fails here."""
    reply = refused_by_ledger(GiftRefused(refusal), ref="r", id="i")
    assert reply.code == CODES[refusal]
    assert (reply.ref, reply.id) == ("r", "i")


@pytest.mark.parametrize("code", list(Code))
def test_only_a_code_that_can_be_tried_again_says_when(code: Code) -> None:
    """`retry_after_ms` stands in a refusal exactly when its code is retryable."""
    reply = refused(code, retry_after_ms=50)
    assert reply.retryable == FACTS[code].retryable
    assert (reply.retry_after_ms is not UNSET) == reply.retryable


def test_refusal_for_want_of_coins_says_how_many_there_are() -> None:
    """The sender sees the wallet; no other refusal shows it."""
    assert refused_by_ledger(GiftRefused(Refusal.INSUFFICIENT_COINS, 7), ref="r", id="i").balance_coins == 7
    assert refused_by_ledger(GiftRefused(Refusal.ID_EXPIRED, 7), ref="r", id="i").balance_coins is UNSET

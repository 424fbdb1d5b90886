"""What a session is told of its wallet: whatever passes what, the last word is true."""

from itertools import permutations

import pytest

from gateway.edge.shown_wallet import UNHEARD, ShownWallet


def test_changes_are_told_in_order_and_old_ones_not() -> None:
    """A change that is older than what was told is passed over."""
    wallet = ShownWallet()
    assert [wallet.changed(seq, seq * 10) for seq in (3, 2, 3, 4)] == [True, False, False, True]


def test_change_that_the_reply_told_before_is_not_told_again() -> None:
    """The reply to a gift carries the balance that its record's change carries too."""
    wallet = ShownWallet()
    assert wallet.replied(5, 95, UNHEARD) is None
    assert not wallet.changed(5, 95)


def test_reply_after_its_own_change_is_the_newest() -> None:
    """The journal was faster than the reply: nothing is to be added."""
    wallet = ShownWallet()
    assert wallet.changed(5, 95)
    assert wallet.replied(5, 95, UNHEARD) is None


@pytest.mark.parametrize("seq", [4, 0])
def test_reply_that_a_newer_change_passed_is_set_right(seq: int) -> None:
    """Coins came in while the reply was on its way, and were told first: they are told again after it."""
    wallet = ShownWallet()
    assert wallet.changed(5, 595)
    assert wallet.replied(seq, 95, UNHEARD) == 595


def test_reply_without_a_record_is_true_when_nothing_was_told_meanwhile() -> None:
    """A replay and a refusal tell the wallet as it is now."""
    wallet = ShownWallet()
    assert wallet.changed(5, 95)
    assert wallet.replied(0, 95, wallet.mark) is None


def test_what_was_read_after_a_loss_is_told_unless_a_change_was_heard_since() -> None:
    """The change is as new as the reading, or newer."""
    read, heard, sure = ShownWallet(), ShownWallet(), ShownWallet()
    read.doubted()
    assert read.read(70)
    heard.doubted()
    assert heard.changed(6, 60)
    assert not heard.read(70)
    assert not sure.read(70)


def test_numbers_that_begin_anew_are_heard_after_a_loss() -> None:
    """Another server may have taken over, which lacks the last records: its numbers are lower."""
    wallet = ShownWallet()
    assert wallet.changed(100, 1)
    wallet.doubted()
    assert wallet.changed(98, 3)


def test_reply_of_before_a_loss_does_not_outlive_what_was_read() -> None:
    """A gift was paid, then coins came whose change was lost, then the wallet was read: the late reply is set right."""
    wallet = ShownWallet()
    mark = wallet.mark
    wallet.doubted()
    assert wallet.read(600)
    assert wallet.replied(5, 95, mark) == 600
    # Were the gift younger than the reading after all, its change is still to come, and is told.
    assert wallet.changed(5, 95)


def orders() -> list[tuple[str, ...]]:
    """Every order of three changes, replies to what the second was, and a reading after the third; the changes come in
    the order of the journal."""
    every = permutations(["change 1", "change 2", "change 3", "reply 2", "replay 2", "read 3"])
    return [order for order in every if order.index("change 1") < order.index("change 2") < order.index("change 3")]


@pytest.mark.parametrize("order", orders(), ids=" ".join)
def test_last_word_is_the_newest_balance(order: tuple[str, ...]) -> None:
    """The replies are to commands handed in before anything was told."""
    wallet, shown = ShownWallet(), 0
    wallet.doubted()
    for what, seq in (word.split() for word in order):
        coins = int(seq) * 10
        if what.startswith("rep"):
            newer = wallet.replied(int(seq) if what == "reply" else 0, coins, UNHEARD)
            shown = coins if newer is None else newer
        elif wallet.changed(int(seq), coins) if what == "change" else wallet.read(coins):
            shown = coins
    assert shown == 30

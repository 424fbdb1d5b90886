"""Wallets and live earnings against arithmetic."""

from collections.abc import Mapping, Sequence

from loadtest.checker.faults import FaultKind, Faults
from loadtest.checker.told import Told
from loadtest.record.purchase_book import Bought, PurchaseBook
from loadtest.script.naming import Run


def check_wallets(told: Told, balances: Mapping[int, int | None], faults: Faults) -> None:
    """Each sender's wallet is what it was granted less what it was accepted for and did not undo.

    Args:
        balances: read from the server after the run, by sender; None where it could not be read.
    """
    for sender, spent in told.spent_by_sender().items():
        due = told.granted_coins.get(sender, 0) - spent
        balance = balances.get(sender)
        if balance != due:
            name = told.run.sender(sender)
            faults.add(FaultKind.WALLET, f"{name} has {balance} coins, by arithmetic {due}")


def check_purchases(
    run: Run, books: Sequence[PurchaseBook], balances: Mapping[int, int | None], faults: Faults
) -> None:
    """Each buyer has the coins of its purchases, each of them once.

    Args:
        balances: read from the server after the run, by buyer; None where it could not be read.
    """
    for book in books:
        for words in book.contradictions:
            faults.add(FaultKind.PURCHASE, words)
        for number, state in enumerate(book.state):
            if state != Bought.CREDITED:
                faults.add(FaultKind.PURCHASE, f"purchase {number} came no further than {Bought(state).name.lower()}")
        for buyer, due in book.coins_by_buyer().items():
            if balances.get(buyer) != due:
                words = f"{run.buyer(buyer)} has {balances.get(buyer)} coins, {due} were bought"
                faults.add(FaultKind.PURCHASE, words)


def check_earnings(
    told: Told, live_diamonds: Mapping[int, int | None], share_bp: Mapping[int, int], faults: Faults
) -> None:
    """Each creator's live earnings are its share of the coins accepted and not undone in its room.

    Args:
        live_diamonds: read from the server, by room; None where it could not be read.
        share_bp: the creator's share, by room.
    """
    earned = told.diamonds_by_room(share_bp)
    for room, diamonds in live_diamonds.items():
        due = earned.get(room, 0)
        if diamonds != due:
            name = told.run.creator(room)
            faults.add(FaultKind.EARNINGS, f"{name} has {diamonds} live diamonds, by arithmetic {due}")

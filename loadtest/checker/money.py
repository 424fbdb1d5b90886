"""Wallets and live earnings against arithmetic."""

from collections.abc import Mapping
from typing import Final

from loadtest.checker.faults import FaultKind, Faults
from loadtest.checker.told import Told

DIAMONDS_PER_COIN: Final = 100
"""By the protocol: the whole value of a coin; a creator's share of it is its diamonds."""


def check_wallets(told: Told, balances: Mapping[int, int | None], faults: Faults) -> None:
    """Each sender's wallet is what it was granted less what it was accepted for.

    Args:
        balances: read from the server after the run, by sender; None where it could not be read.
    """
    for sender, spent in told.spent_by_sender().items():
        due = told.granted_coins.get(sender, 0) - spent
        balance = balances.get(sender)
        if balance != due:
            name = told.run.sender(sender)
            faults.add(FaultKind.WALLET, f"{name} has {balance} coins, by arithmetic {due}")


def check_earnings(
    told: Told, live_diamonds: Mapping[int, int | None], share_percent: Mapping[int, int], faults: Faults
) -> None:
    """Each creator's live earnings are its share of the coins accepted in its room.

    Args:
        live_diamonds: read from the server, by room; None where it could not be read.
        share_percent: the creator's share, by room. A whole percent of a coin is a whole diamond: nothing is
            rounded.
    """
    coins = told.coins_by_room()
    for room, diamonds in live_diamonds.items():
        due = coins.get(room, 0) * share_percent[room] * DIAMONDS_PER_COIN // 100
        if diamonds != due:
            name = told.run.creator(room)
            faults.add(FaultKind.EARNINGS, f"{name} has {diamonds} live diamonds, by arithmetic {due}")

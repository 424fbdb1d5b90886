"""Which sessions show which wallet: tells every session of a viewer when something changed the balance."""

from collections.abc import Iterable

from gateway.admission.accounts import Accounts
from gateway.room.facts import WalletChange


class Wallets:
    """The wallets of the viewers who are connected to this process."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def changed(self, changes: Iterable[WalletChange]) -> None:
        """Tell those who are concerned."""
        for change in changes:
            for session in self._accounts.sessions("viewer", change.viewer):
                session.wallet_changed(change.record, change.balance_coins)

"""A viewer's coins: how many there are, and where they came from and went."""

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import NumberPage, cut, wanted
from gateway.services import Services
from gateway.wire.http.viewer import Wallet, WalletEntries, WalletEntry
from ledger.ids import format_id
from ledger.statements import WalletEntry as StatementRow


async def read_wallet(services: Services, caller: Identity) -> Wallet:
    """Tell the balance, as it is this moment."""
    balance_coins = await services.ledger.balance(caller.user)
    return Wallet(caller.user, caller.name, caller.level, balance_coins)


async def list_wallet_entries(services: Services, caller: Identity, query: NumberPage) -> WalletEntries:
    """List the movements of the wallet, the newest first. The books follow the balance by moments."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.statements.wallet_entries(caller.user, after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row.number)
    return WalletEntries([wallet_entry(row) for row in page.rows], page.next)


def wallet_entry(row: StatementRow) -> WalletEntry:
    """One movement as the contract shows it."""
    return WalletEntry(
        format_id(row.id),
        row.at_ms,
        row.cause,
        row.coins,
        row.balance_coins,
        row.item,
        row.place,
        row.creator,
    )


OPERATIONS = (
    declare("GET", "/v1/wallet", read_wallet, tag="wallet", roles=("viewer",)),
    declare("GET", "/v1/wallet/entries", list_wallet_entries, tag="wallet", roles=("viewer",)),
)

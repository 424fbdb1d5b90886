"""A viewer's coins: how many there are, and where they came from and went."""

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import NumberPage, cut, wanted
from gateway.services import Services
from gateway.wire.http.viewer import Wallet, WalletEntries, WalletEntry, WalletHold, WalletHolds
from ledger.holds.holds import Hold
from ledger.ids import format_id
from ledger.lots.statements import WalletEntry as StatementRow


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


async def list_wallet_holds(services: Services, caller: Identity, query: NumberPage) -> WalletHolds:
    """List what is, or was, put aside of the wallet, the newest first. The books follow the balance by moments."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.holds.of_viewer(caller.user, after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row[0])
    return WalletHolds([_hold(hold) for _, hold in page.rows], page.next)


def _hold(hold: Hold) -> WalletHold:
    return WalletHold(
        format_id(hold.id),
        hold.coins,
        hold.reference,
        "open" if hold.end is None else hold.end.value,
        hold.begun_ms,
        hold.expires_ms,
        hold.taken_coins,
        hold.ended_ms,
    )


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
    declare("GET", "/v1/wallet/holds", list_wallet_holds, tag="wallet", roles=("viewer",)),
)

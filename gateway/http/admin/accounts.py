"""Any account of the books as it was at any time: for support cases, auditors and bookkeeping."""

import time
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, NumberCursor, cut, wanted
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import Account, AccountEntry, AccountKindName, Unit
from gateway.wire.messages import Name
from ledger.accounts import AccountKind
from ledger.ids import format_id
from ledger.lots.account_history import AT_MS_MAX
from ledger.lots.account_history import AccountEntry as EntryRow
from ledger.payouts.payees import agency_payee

PLATFORM: Final = "platform"
"""The owner of the accounts that are nobody's; a user's name is only looked for where the kind has owners."""
OF_THE_PLATFORM: Final = frozenset(
    {
        *(AccountKind.COINS_SOLD, AccountKind.COINS_GRANTED, AccountKind.SPENT, AccountKind.ISSUANCE),
        *(AccountKind.COMMISSION, AccountKind.RESIDUE, AccountKind.REDEEMED, AccountKind.PAYOUT_FUNDS),
        *(AccountKind.COINS_REVERSED, AccountKind.COMMISSION_RETURNED, AccountKind.RESIDUE_RETURNED),
        *(AccountKind.COINS_HELD, AccountKind.COINS_CHARGED, AccountKind.DISCOUNT),
    }
)

OF_PAYEES: Final = frozenset({AccountKind.AVAILABLE, AccountKind.PAYOUT_HOLD, AccountKind.PAID_OUT})
"""Kinds that both creators and agencies have."""


class AccountQuery(Struct, frozen=True):
    """Which of several accounts, when, and which page.

    Attributes:
        agency: the owner is an agency, where creators have such accounts as well.
    """

    unit: Unit | None = None
    partition: Annotated[int, Meta(ge=-1, le=1_023, description="Of an account of the platform.")] | None = None
    at_ms: Annotated[int, Meta(ge=0, le=AT_MS_MAX, description="Now when absent.")] | None = None
    after: NumberCursor | None = None
    limit: Limit = ENTRIES_DEFAULT
    agency: bool = False


async def read_account(services: Services, kind: AccountKindName, owner: Name, query: AccountQuery) -> Account:
    """Tell what an account held at a time, and its entries up to then, the newest first.

    The owner of an account of the platform is `platform`. The books follow the balances by moments.
    """
    of_kind = AccountKind(kind)
    limit = wanted(query.limit, services.config.http.page_entries_max)
    found = await services.office.accounts.at(
        of_kind,
        _owner(of_kind, owner, agency=query.agency),
        time.time_ns() // 1_000_000 if query.at_ms is None else query.at_ms,
        unit=query.unit,
        partition=query.partition,
        after=query.after,
        limit=limit + 1,
    )
    page = cut(found.entries, limit, lambda entry: entry.number)
    entries = [_entry(row) for row in page.rows]
    return Account(kind, owner, found.unit, found.partition, found.at_ms, found.balance, entries, page.next)


def _owner(kind: AccountKind, owner: str, *, agency: bool) -> str:
    if kind in OF_THE_PLATFORM and owner == PLATFORM:
        return ""
    return agency_payee(owner) if agency and kind in OF_PAYEES else owner


def _entry(row: EntryRow) -> AccountEntry:
    moved = (row.cause, row.amount, row.balance_after)
    return AccountEntry(row.number, format_id(row.id), row.at_ms, row.recorded_at_ms, *moved)


OPERATIONS = (
    declare(
        "GET",
        "/v1/admin/accounts/{kind}/{owner}",
        read_account,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
)

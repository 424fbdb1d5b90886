"""Who is paid out: creators and agencies, under one kind of name.

A payee is a creator's id, or `agency/` and an agency's id, which no creator's id can be. Under that name both have the
same days, methods, withdrawals and accounts. They differ in one account: a creator's earnings pend on an account of its
own; an agency's are what it was given, an account in each partition that the flusher alone moves, less what matured.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ledger.accounts import BOOKS_PARTITION, DIAMONDS, AccountKey, AccountKind, earnings
from ledger.books.postgres import Connection

AGENCY: Final = "agency/"
_GIVEN: Final = """
SELECT a.owner AS agency, sum(last.balance_after)::bigint AS diamonds FROM accounts a JOIN LATERAL (
    SELECT balance_after FROM entries WHERE account_id = a.id ORDER BY number DESC LIMIT 1
) last ON true WHERE a.kind = 'agency' AND a.owner = ANY ($1::text[]) GROUP BY a.owner
"""


def agency_payee(agency: str) -> str:
    """An agency as a payee."""
    return AGENCY + agency


def agency_of(payee: str) -> str | None:
    """Which agency a payee is; None for a creator."""
    return payee.removeprefix(AGENCY) if payee.startswith(AGENCY) else None


def ripening(payee: str) -> AccountKey:
    """The account from which earnings mature: a creator's pending; the other side of what an agency was given."""
    agency = agency_of(payee)
    if agency is None:
        return earnings(AccountKind.PENDING, payee)
    return AccountKey(AccountKind.AGENCY_MATURED, agency, DIAMONDS, BOOKS_PARTITION)


async def given_to(connection: Connection, payees: Iterable[str]) -> Mapping[str, int]:
    """What those of these payees who are agencies were ever given, in diamonds."""
    agencies = [agency for agency in map(agency_of, payees) if agency is not None]
    if not agencies:
        return {}
    rows = await connection.fetch(_GIVEN, agencies)
    return {agency_payee(row["agency"]): row["diamonds"] for row in rows}

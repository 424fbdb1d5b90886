"""The second half of a refund: whose gifts its coins had paid for, and what their creators give back.

Done in the books alone, once the record of the first half is there: the lots after it say which parts of which gifts
its coins had paid for. One transaction posts a record for each creator and marks the refund settled.
"""

import datetime
import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg
from msgspec import Struct

from ledger.accounts import BOOKS_PARTITION, AccountKey, AccountKind, earnings, platform
from ledger.books.postgres import Pool, snapshot
from ledger.books.posting import BookRecord, Posting, open_posting
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.ids import format_id
from ledger.lots.lot_statements import read_lots
from ledger.lots.lots import Part
from ledger.model import RefundKind
from ledger.refunds.refund_states import CLAWED_BACK, CreatorPolicy, RefundState, Shared, bear

_DAY_MS: Final = 86_400_000
_FIRST_DAY: Final = datetime.date(1970, 1, 1)
_RECORD: Final = "SELECT seq FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = $3"
_STATE: Final = "SELECT state FROM refunds WHERE id = $1 FOR UPDATE"
_DAYS: Final = """
SELECT creator, day, earned - matured - taken_back AS pending
FROM creator_days JOIN unnest($1::text[], $2::date[]) AS wanted (creator, day) USING (creator, day)
ORDER BY creator, day FOR UPDATE OF creator_days
"""
_SHARES: Final = """
INSERT INTO refund_shares
    (refund, creator, day, coins, creator_diamonds, commission_diamonds, residue_diamonds, from_pending, from_available)
SELECT $1, * FROM unnest(
    $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
"""
_TAKE_BACK: Final = """
UPDATE creator_days SET taken_back = taken_back + moved.diamonds
FROM unnest($1::text[], $2::date[], $3::bigint[]) AS moved (creator, day, diamonds)
WHERE creator_days.creator = moved.creator AND creator_days.day = moved.day
"""
_MAY_OWE: Final = """
UPDATE balances SET may_owe = true FROM accounts
WHERE account_id = id AND kind = 'available' AND owner = $1 AND partition = -1
"""
_SETTLED: Final = """
UPDATE refunds SET state = 'settled', returned_coins = $2, creator_diamonds = $3, commission_diamonds = $4,
    borne_diamonds = $5, changed_at = now() WHERE id = $1
"""


class CreatorDayKey(NamedTuple):
    """Earnings of one creator on one day (UTC)."""

    creator: str
    day: datetime.date


class Worth(Struct):
    """What refunded coins had paid for, of one creator and day. The commission is with the residue."""

    coins: int = 0
    creator_diamonds: int = 0
    commission_diamonds: int = 0
    residue_diamonds: int = 0


class ClawBack:
    """Settles refunds whose coins are taken."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._policies = {
            RefundKind.REFUND: CreatorPolicy(config.refund_creator),
            RefundKind.CHARGEBACK: CreatorPolicy(config.chargeback_creator),
        }

    async def settle(self, row: asyncpg.Record) -> bool:
        """Take back what the policy says for one refund, and mark it settled.

        Args:
            row: of `refunds`, taken.

        Returns:
            Whether it is settled now; if not, its record is not in the books yet.

        Raises:
            LedgerUnavailable: PostgreSQL did not answer; the same call again is safe.
            InvariantBroken: the books contradict themselves.
        """
        parts = await self._returned(row)
        if parts is None:
            return False
        worths = gather(parts)
        async with open_posting(self._pool, _accounts(worths)) as posting:
            if await posting.connection.fetchval(_STATE, row["id"]) != RefundState.TAKEN:
                return True
            shares = await self._bear(posting, RefundKind(row["kind"]), worths)
            await _store(posting, row["id"], worths, shares)
            for creator in dict.fromkeys(key.creator for key in worths):
                of_creator = {key: share for key, share in shares.items() if key.creator == creator}
                await _post(posting, row, creator, list(of_creator.values()), _residue(worths, of_creator))
        return True

    async def _returned(self, row: asyncpg.Record) -> Sequence[Part] | None:
        async with snapshot(self._pool) as connection:
            seq = await connection.fetchval(_RECORD, row["id"], row["viewer"], row["kind"])
            if seq is None:
                return None
            lots = await read_lots(connection, row["viewer"], until_seq=seq)
        return lots.returned[row["id"].bytes]

    async def _bear(
        self, posting: Posting, kind: RefundKind, worths: dict[CreatorDayKey, Worth]
    ) -> dict[CreatorDayKey, Shared]:
        rows = await posting.connection.fetch(_DAYS, [key.creator for key in worths], [key.day for key in worths])
        pending = {CreatorDayKey(row["creator"], row["day"]): row["pending"] for row in rows}
        available: dict[str, int] = {}
        shares: dict[CreatorDayKey, Shared] = {}
        for key, worth in worths.items():
            if key not in pending:
                raise InvariantBroken("I1", f"{key.creator} had gifts on {key.day}, and no such day of earnings")
            has = available.setdefault(key.creator, posting.balance(earnings(AccountKind.AVAILABLE, key.creator)))
            share = bear(self._policies[kind], worth.creator_diamonds, worth.commission_diamonds, pending[key], has)
            available[key.creator] = has - share.from_available
            shares[key] = share
        return shares


def gather(parts: Iterable[Part]) -> dict[CreatorDayKey, Worth]:
    """What these parts of gifts are worth, by creator and day, in that order."""
    worths: defaultdict[CreatorDayKey, Worth] = defaultdict(Worth)
    for part in parts:
        day = _FIRST_DAY + datetime.timedelta(days=part.gift.at_ms // _DAY_MS)
        worth = worths[CreatorDayKey(part.gift.creator, day)]
        worth.coins += part.coins
        worth.creator_diamonds += part.creator_diamonds
        worth.commission_diamonds += part.commission_diamonds
        worth.residue_diamonds += part.residue_diamonds
    return dict(sorted(worths.items()))


def _accounts(worths: Iterable[CreatorDayKey]) -> list[AccountKey]:
    kinds = (AccountKind.PENDING, AccountKind.AVAILABLE)
    return [
        platform(AccountKind.ISSUANCE, BOOKS_PARTITION),
        platform(AccountKind.COMMISSION_RETURNED, BOOKS_PARTITION),
        platform(AccountKind.RESIDUE_RETURNED, BOOKS_PARTITION),
        *(earnings(kind, creator) for creator in {key.creator for key in worths} for kind in kinds),
    ]


async def _store(
    posting: Posting, refund_id: uuid.UUID, worths: dict[CreatorDayKey, Worth], shares: dict[CreatorDayKey, Shared]
) -> None:
    connection, keys = posting.connection, list(worths)
    creators, days = [key.creator for key in keys], [key.day for key in keys]
    from_pending = [shares[key].from_pending for key in keys]
    from_available = [shares[key].from_available for key in keys]
    commission = [shares[key].commission for key in keys]
    residue = [_residue(worths, {key: shares[key]}) for key in keys]
    await connection.execute(
        _SHARES,
        *(refund_id, creators, days, [worths[key].coins for key in keys]),
        *([worths[key].creator_diamonds for key in keys], commission, residue, from_pending, from_available),
    )
    await connection.execute(_TAKE_BACK, creators, days, from_pending)
    given = sum(from_pending) + sum(from_available)
    borne = sum(share.borne for share in shares.values())
    coins = sum(worth.coins for worth in worths.values())
    await connection.execute(_SETTLED, refund_id, coins, given, sum(commission), borne)


def _residue(worths: Mapping[CreatorDayKey, Worth], shares: Mapping[CreatorDayKey, Shared]) -> int:
    """What of the commission that goes back is residue: all where it does, since it goes back whole or stays."""
    return sum(worths[key].residue_diamonds for key, share in shares.items() if share.commission)


async def _post(posting: Posting, row: asyncpg.Record, creator: str, shares: Sequence[Shared], residue: int) -> None:
    from_pending = sum(share.from_pending for share in shares)
    from_available = sum(share.from_available for share in shares)
    commission = sum(share.commission for share in shares)
    pending, available = earnings(AccountKind.PENDING, creator), earnings(AccountKind.AVAILABLE, creator)
    movements = [
        (pending, -from_pending),
        (available, -from_available),
        (platform(AccountKind.COMMISSION_RETURNED, BOOKS_PARTITION), residue - commission),
        (platform(AccountKind.RESIDUE_RETURNED, BOOKS_PARTITION), -residue),
        (platform(AccountKind.ISSUANCE, BOOKS_PARTITION), from_pending + from_available + commission),
    ]
    moved = [(key, amount) for key, amount in movements if amount]
    if not moved:
        return
    if posting.balance(pending) < from_pending:
        raise InvariantBroken("I10", f"{creator} has {posting.balance(pending)} pending, {from_pending} are taken back")
    if posting.balance(available) < from_available:
        await posting.connection.execute(_MAY_OWE, creator)
    reference = format_id(row["id"].bytes)
    record_id = _record_id(row["id"].bytes, creator)
    posting.add(BookRecord(record_id, CLAWED_BACK, creator, reference, from_pending + from_available, moved))


def _record_id(refund_id: bytes, creator: str) -> bytes:
    """One for each refund and creator, so that no refund can be posted twice."""
    return hashlib.blake2b(refund_id + creator.encode(), digest_size=16, person=b"giftwire claw").digest()

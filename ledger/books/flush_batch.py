"""Journal records into double entry: which entries they make and what every account holds after. No I/O.

A wallet and the pending earnings of a creator get an entry for each gift. The platform's accounts of a partition get
one for each batch, at the batch's last record, since nobody reads them gift by gift; a batch still sums to zero.
"""

import datetime
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ledger.accounts import Account, AccountKey, AccountKind, agency, earnings, platform, wallet
from ledger.books.copy_rows import (
    HEADER,
    TRAILER,
    pack_credit,
    pack_entry,
    pack_gift,
    pack_held_gift,
    pack_hold,
    pack_hold_end,
    pack_reversal,
)
from ledger.books.terms import RATE_MARK, rate_of
from ledger.commission import residue, split
from ledger.errors import InvariantBroken
from ledger.lots.open_lots import NOTHING_LESS, Less, OpenLots, Worth
from ledger.lots.worth_rows import Discount
from ledger.model import (
    Body,
    Cause,
    CreditBody,
    GiftBody,
    GiftFields,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEnd,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)
from ledger.payouts.payees import agency_payee

_DAY_MS: Final = 86_400_000
_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_GIFT_KINDS: Final = (AccountKind.SPENT, AccountKind.ISSUANCE, AccountKind.COMMISSION)
_HOLD_KINDS: Final = (AccountKind.COINS_HELD, AccountKind.COINS_CHARGED)
_HOLDING: Final = frozenset({HoldBody, HoldEndBody, HeldGiftBody, GiftSettledBody, GiftUndoneBody})
_SOURCE_OF: Final = {Cause.GRANT: AccountKind.COINS_GRANTED, Cause.PURCHASE: AccountKind.COINS_SOLD}


class CreatorDay(Struct):
    """What gifts of this batch earned somebody on one day: diamonds, how many gifts, and what discounts took off."""

    earned: int = 0
    gifts: int = 0
    discounted: int = 0


class FlushBatch(Struct):
    """What a transaction writes.

    Attributes:
        records, entries: rows in binary COPY format, with header and trailer.
        lasts: the last record of each partition.
        days: by creator, or agency as a payee, and day (days since 1970-01-01).
        agencies: diamonds by agency and partition.
        discounts: of gifts that are worth less, since their coins were not all paid for.
        open_lots: of viewers who had such coins, after the last record of their partition here.
        gifts, credits, reversals, holds: how many records of each; `gifts` were paid at once.
        gifts_held, gifts_settled, gifts_undone: how many gifts may be undone, and how many that might have ended so.
        ends: how many holds ended, by how.
    """

    records: bytearray
    entries: bytearray
    lasts: dict[Partition, JournalRecord]
    days: dict[tuple[str, int], CreatorDay]
    agencies: dict[tuple[str, Partition], int]
    discounts: list[Discount]
    open_lots: dict[str, tuple[Partition, OpenLots]]
    gifts: int = 0
    gifts_held: int = 0
    gifts_settled: int = 0
    gifts_undone: int = 0
    credits: int = 0
    reversals: int = 0
    holds: int = 0
    ends: dict[HoldEnd, int] = {}

    @property
    def records_written(self) -> int:
        """How many records of any kind."""
        gifts = self.gifts + self.gifts_held + self.gifts_settled + self.gifts_undone
        return gifts + self.credits + self.reversals + self.holds + sum(self.ends.values())


class OpenBook:
    """Accounts by what the hot loop has at hand, each with its balance from before the batch."""

    __slots__ = ("agencies", "open_lots", "pending", "platform", "wallets", "worths")

    def __init__(self) -> None:
        self.wallets: dict[str, Account] = {}
        self.pending: dict[str, Account] = {}
        self.platform: dict[tuple[AccountKind, int], Account] = {}
        self.agencies: dict[tuple[str, int], Account] = {}
        self.open_lots: dict[str, OpenLots] = {}
        """Of those of the viewers in `wallets` who have coins that are worth less."""
        self.worths: dict[bytes, Worth] = {}
        """Of credits of the batch whose coins are worth less."""

    def clear(self) -> None:
        """Forget all of them."""
        self.wallets.clear()
        self.pending.clear()
        self.platform.clear()
        self.agencies.clear()
        self.open_lots.clear()
        self.worths.clear()

    def add(self, key: AccountKey, account: Account) -> None:
        """Hold one more account."""
        if key.kind is AccountKind.WALLET:
            self.wallets[key.owner] = account
        elif key.kind is AccountKind.PENDING:
            self.pending[key.owner] = account
        elif key.kind is AccountKind.AGENCY:
            self.agencies[key.owner, key.partition] = account
        else:
            self.platform[key.kind, key.partition] = account

    def missing(self, records: Iterable[JournalRecord]) -> set[AccountKey]:
        """Which accounts these records move that are not here."""
        missing = set()
        for record in records:
            body, partition = record.body, record.partition
            if body.viewer not in self.wallets:
                missing.add(wallet(body.viewer, partition))
            if type(body) is GiftBody or type(body) is GiftSettledBody:
                if body.creator not in self.pending:
                    missing.add(earnings(AccountKind.PENDING, body.creator))
                if (AccountKind.COMMISSION, partition) not in self.platform:
                    missing.update(platform(kind, partition) for kind in _GIFT_KINDS)
                if body.agency_diamonds and (body.agency, partition) not in self.agencies:
                    missing.add(agency(body.agency, partition))
                if RATE_MARK in body.plan and (AccountKind.RESIDUE, partition) not in self.platform:
                    missing.add(platform(AccountKind.RESIDUE, partition))
                if self.open_lots and (AccountKind.DISCOUNT, partition) not in self.platform:
                    missing.add(platform(AccountKind.DISCOUNT, partition))
            elif type(body) is CreditBody and (_SOURCE_OF[body.cause], partition) not in self.platform:
                missing.add(platform(_SOURCE_OF[body.cause], partition))
            elif type(body) is ReversalBody and (AccountKind.COINS_REVERSED, partition) not in self.platform:
                missing.add(platform(AccountKind.COINS_REVERSED, partition))
            if type(body) in _HOLDING and (AccountKind.COINS_HELD, partition) not in self.platform:
                missing.update(platform(kind, partition) for kind in _HOLD_KINDS)
        return missing


class Composer:
    """Posts records in order. The accounts of `book` are moved; after an error they are worth nothing."""

    def __init__(self, book: OpenBook) -> None:
        self._book = book
        self._batch = FlushBatch(bytearray(HEADER), bytearray(HEADER), {}, {}, {}, [], {})
        self._sums: dict[tuple[AccountKind, Partition], int] = {}

    def add(self, records: Iterable[JournalRecord]) -> None:
        """Post the next records.

        Raises:
            InvariantBroken: a wallet would not hold what the journal says that it held (I9), a gift does not split
                into its parts (I1), or what is no refund brings a wallet below zero (I2).
        """
        batch, sums, book = self._batch, self._sums, self._book
        for record in records:
            body = record.body
            if type(body) is GiftBody or type(body) is GiftSettledBody:
                _post_gift(batch, sums, record, body, book)
            elif type(body) is CreditBody:
                _post_credit(batch, sums, record, body, book)
            elif type(body) is ReversalBody:
                _post_reversal(batch, sums, record, body, book)
            elif type(body) is HoldBody:
                _post_hold(batch, sums, record, body, book)
            elif type(body) is HoldEndBody:
                _post_hold_end(batch, sums, record, body, book)
            elif type(body) is HeldGiftBody:
                _post_held_gift(batch, sums, record, body, book)
            elif type(body) is GiftUndoneBody:
                _post_undone_gift(batch, sums, record, body, book)
            batch.lasts[record.partition] = record

    def finish(self) -> FlushBatch:
        """The batch, with the entries of the platform's accounts; nothing can be added any more."""
        batch = self._batch
        for (kind, partition), amount in self._sums.items():
            _enter(batch, self._book.platform[kind, partition], partition, batch.lasts[partition].seq, amount)
        for (name, partition), amount in batch.agencies.items():
            _enter(batch, self._book.agencies[name, partition], partition, batch.lasts[partition].seq, amount)
        batch.records += TRAILER
        batch.entries += TRAILER
        return batch


def compose(records: Iterable[JournalRecord], book: OpenBook) -> FlushBatch:
    """Post records all at once; raises as `Composer.add`."""
    composer = Composer(book)
    composer.add(records)
    return composer.finish()


def _post_gift(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: GiftBody | GiftSettledBody,
    book: OpenBook,
) -> None:
    partition, coins, settled = record.partition, body.coins, type(body) is GiftSettledBody
    diamonds = body.creator_diamonds + body.commission_diamonds
    if diamonds != coins * 100:
        raise InvariantBroken("I1", f"{_name(record)}: {coins} coins became {diamonds} diamonds")
    _move_wallet(batch, record, body, 0 if settled else -coins, book)
    pending = book.pending[body.creator]
    _enter(batch, pending, partition, record.seq, body.creator_diamonds)
    less = NOTHING_LESS
    if book.open_lots and body.viewer in book.open_lots:
        less = _discount(batch, sums, record, body, book)
        if less.creator:
            _enter(batch, pending, partition, record.seq, -less.creator)
    # Most terms leave no residue, and those say no rate.
    left = _leave_residue(sums, record, body) if RATE_MARK in body.plan else 0
    for kind, amount in (
        (AccountKind.SPENT, coins),
        (AccountKind.ISSUANCE, -diamonds),
        (AccountKind.COMMISSION, body.commission_diamonds - body.agency_diamonds - left),
    ):
        sums[kind, partition] = sums.get((kind, partition), 0) + amount
    if body.agency_diamonds:
        _share_with_agency(batch, record, body, less.agency, body.commission_diamonds - left)
    creator_day = (body.creator, record.at_ms // _DAY_MS)
    day = batch.days.get(creator_day)
    if day is None:
        day = batch.days[creator_day] = CreatorDay()
    day.earned += body.creator_diamonds
    day.gifts += 1
    if less is not NOTHING_LESS:
        day.earned -= less.creator
        day.discounted += less.creator
    if type(body) is GiftSettledBody:
        _add(sums, AccountKind.COINS_HELD, partition, -coins)
        batch.records += pack_held_gift(record, body)
        batch.gifts_settled += 1
    elif type(body) is GiftBody:
        batch.records += pack_gift(record, body)
        batch.gifts += 1


def _discount(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: GiftBody | GiftSettledBody,
    book: OpenBook,
) -> Less:
    """Spend the coins of a viewer who has some that are worth less, and note by how much the gift is."""
    lots, partition = book.open_lots[body.viewer], record.partition
    batch.open_lots[body.viewer] = (partition, lots)
    pay = lots.settle_gift if type(body) is GiftSettledBody else lots.pay
    less = pay(body.id, body.coins, body.creator_diamonds, body.agency_diamonds)
    if less.creator or less.agency:
        _add(sums, AccountKind.DISCOUNT, partition, less.creator + less.agency)
        batch.discounts.append(Discount(partition, record.seq, body.creator, *less))
    return less


def _leave_residue(sums: dict[tuple[AccountKind, Partition], int], record: JournalRecord, body: GiftFields) -> int:
    """What a gift leaves by terms that say a rate."""
    commission_bp = rate_of(body.plan) or 0
    expected, _ = split(body.coins, commission_bp)
    if body.creator_diamonds != expected:
        raise InvariantBroken(
            "I1",
            f"{_name(record)}: {body.plan} gives the creator {expected} diamonds of {body.coins} coins, the record"
            f" {body.creator_diamonds}",
        )
    left = residue(body.coins, commission_bp)
    if left:
        _add(sums, AccountKind.RESIDUE, record.partition, left)
    return left


def _share_with_agency(batch: FlushBatch, record: JournalRecord, body: GiftFields, less: int, commission: int) -> None:
    if not 0 < body.agency_diamonds <= commission:
        raise InvariantBroken(
            "I1", f"{_name(record)}: an agency's part of {body.agency_diamonds} of {commission} diamonds"
        )
    share = (body.agency, record.partition)
    batch.agencies[share] = batch.agencies.get(share, 0) + body.agency_diamonds - less
    day = batch.days.setdefault((agency_payee(body.agency), record.at_ms // _DAY_MS), CreatorDay())
    day.earned += body.agency_diamonds - less
    day.discounted += less
    day.gifts += 1


def _post_held_gift(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: HeldGiftBody,
    book: OpenBook,
) -> None:
    _move_wallet(batch, record, body, -body.coins, book)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.hold_gift(body.id, body.coins)
    _add(sums, AccountKind.COINS_HELD, record.partition, body.coins)
    batch.records += pack_held_gift(record, body)
    batch.gifts_held += 1


def _post_undone_gift(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: GiftUndoneBody,
    book: OpenBook,
) -> None:
    _move_wallet(batch, record, body, body.coins, book)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.undo_gift(body.id)
    _add(sums, AccountKind.COINS_HELD, record.partition, -body.coins)
    batch.records += pack_held_gift(record, body)
    batch.gifts_undone += 1


def _post_credit(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: CreditBody,
    book: OpenBook,
) -> None:
    _move_wallet(batch, record, body, body.coins, book)
    _add(sums, _SOURCE_OF[body.cause], record.partition, -body.coins)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.come(body.id, body.cause, body.coins, book.worths.get(body.id))
    batch.records += pack_credit(record, body)
    batch.credits += 1


def _post_reversal(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: ReversalBody,
    book: OpenBook,
) -> None:
    _move_wallet(batch, record, body, -body.taken_coins, book)
    _add(sums, AccountKind.COINS_REVERSED, record.partition, body.taken_coins)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.reverse(body.purchase, body.taken_coins)
    batch.records += pack_reversal(record, body)
    batch.reversals += 1


def _post_hold(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: HoldBody,
    book: OpenBook,
) -> None:
    _move_wallet(batch, record, body, -body.coins, book)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.hold(body.id, body.coins)
    _add(sums, AccountKind.COINS_HELD, record.partition, body.coins)
    batch.records += pack_hold(record, body)
    batch.holds += 1


def _post_hold_end(
    batch: FlushBatch,
    sums: dict[tuple[AccountKind, Partition], int],
    record: JournalRecord,
    body: HoldEndBody,
    book: OpenBook,
) -> None:
    if not 0 <= body.taken_coins <= body.coins or (body.end is HoldEnd.SETTLED) != (body.taken_coins > 0):
        raise InvariantBroken(
            "I1", f"{_name(record)}: {body.taken_coins} of {body.coins} coins were taken of a hold that {body.end}"
        )
    _move_wallet(batch, record, body, body.coins - body.taken_coins, book)
    lots = _note_lots(batch, record, body.viewer, book)
    if lots is not None:
        lots.end_hold(body.id, body.taken_coins)
    for kind, amount in zip(_HOLD_KINDS, (-body.coins, body.taken_coins), strict=True):
        _add(sums, kind, record.partition, amount)
    batch.records += pack_hold_end(record, body)
    batch.ends[body.end] = batch.ends.get(body.end, 0) + 1


def _note_lots(batch: FlushBatch, record: JournalRecord, viewer: str, book: OpenBook) -> OpenLots | None:
    """The open lots of a viewer whose coins a record moves; the batch writes them. None where no coin is worth less."""
    lots = book.open_lots.get(viewer)
    if lots is not None:
        batch.open_lots[viewer] = (record.partition, lots)
    return lots


def _add(sums: dict[tuple[AccountKind, Partition], int], kind: AccountKind, partition: Partition, amount: int) -> None:
    """Count what a record moves of an account that has one entry for each batch."""
    sums[kind, partition] = sums.get((kind, partition), 0) + amount


def _move_wallet(batch: FlushBatch, record: JournalRecord, body: Body, amount: int, book: OpenBook) -> None:
    account = book.wallets[body.viewer]
    if account.balance + amount != record.wallet_after:
        raise InvariantBroken(
            "I9",
            f"{_name(record)}: {body.viewer} had {account.balance} coins, moved {amount}, and the journal says"
            f" {record.wallet_after}",
        )
    if record.wallet_after < 0 and type(body) in (GiftBody, HeldGiftBody, HoldBody):
        # Coins that come in may leave a debt, and a refund may make one: nothing is paid or held on credit.
        raise InvariantBroken("I2", f"{_name(record)}: {body.viewer} would hold {record.wallet_after} coins")
    _enter(batch, account, record.partition, record.seq, amount)


def _enter(batch: FlushBatch, account: Account, partition: int, seq: int, amount: int) -> None:
    if amount == 0:
        return
    account.number += 1
    account.balance += amount
    batch.entries += pack_entry(account.id, account.number, partition, seq, amount, account.balance)


def day_date(day: int) -> datetime.date:
    """The date of a day counted from 1970-01-01."""
    return datetime.date.fromordinal(_EPOCH_DAY + day)


def _name(record: JournalRecord) -> str:
    return f"record {record.epoch}-{record.seq} of partition {record.partition}"

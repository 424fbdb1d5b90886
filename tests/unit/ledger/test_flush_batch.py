"""Double entry as tables: which entries records make, with the balance after each."""

import copy
import math
import struct
from fractions import Fraction

import msgspec
import pytest

from ledger.accounts import Account, AccountKey, AccountKind, platform
from ledger.books.copy_rows import HEADER, TRAILER
from ledger.books.flush_batch import FlushBatch, OpenBook, compose
from ledger.errors import InvariantBroken
from ledger.model import Cause, CreatorId, CreditBody, GiftBody, JournalRecord, Partition, ViewerId

_ROW = struct.Struct(">h iq iq ih iq iq iq")
_DAY_MS = 86_400_000


class Bench:
    """An open book whose accounts have short names: `ann`, `cora`, `spent`."""

    def __init__(self) -> None:
        self.book = OpenBook()
        self._names: dict[int, str] = {}
        self._seq = 0
        self._wallets: dict[str, int] = {}

    def records(self, table: str) -> list[JournalRecord]:
        """Lines `viewer coins creator commission_bp` for gifts, `viewer +coins cause` for credits."""
        return [self._record(line.split()) for line in table.strip().splitlines()]

    def open(self, records: list[JournalRecord]) -> None:
        """Give every account that is missing an empty one."""
        for key in sorted(self.book.missing(records)):
            self.add(key, 0)

    def add(self, key: AccountKey, balance: int) -> None:
        """One account with a balance."""
        account_id = len(self._names) + 1
        self._names[account_id] = key.owner or key.kind.value
        self.book.add(key, Account(account_id, 0, balance))

    def entries(self, batch: FlushBatch) -> str:
        """Lines `account number seq amount balance`, in the order written."""
        rows = bytes(batch.entries)[len(HEADER) : -len(TRAILER)]
        lines = []
        for row in _ROW.iter_unpack(rows):
            account_id, number, seq, amount, balance = row[2], row[4], row[8], row[10], row[12]
            lines.append(f"{self._names[account_id]} {number} {seq} {amount:+} {balance}")
        return "\n".join(lines)

    def _record(self, words: list[str]) -> JournalRecord:
        viewer, coins = words[0], int(words[1])
        self._seq += 1
        body: GiftBody | CreditBody
        if words[1].startswith("+"):
            self._wallets[viewer] = self._wallets.get(viewer, 0) + coins
            body = CreditBody(self._seq.to_bytes(16, "big"), ViewerId(viewer), coins, Cause(words[2]), "")
        else:
            self._wallets[viewer] -= coins
            rate = int(words[3])
            creator = coins * 100 - math.ceil(Fraction(coins * rate, 100))
            body = GiftBody(
                id=self._seq.to_bytes(16, "big"),
                viewer=ViewerId(viewer),
                creator=CreatorId(words[2]),
                place="room:demo",
                item="rose",
                unit_coins=coins,
                count=1,
                coins=coins,
                creator_diamonds=creator,
                commission_diamonds=coins * 100 - creator,
                combo_key="",
                combo_window_ms=0,
                details=b"",
                plan=f"gold@1:{rate}" if rate % 100 else "",
            )
        return JournalRecord(Partition(3), 1, self._seq, _DAY_MS * 7 + self._seq, self._wallets[viewer], None, body)


def test_entries_of_a_batch() -> None:
    """Wallets and pending earnings have an entry a gift; the platform's accounts have one a batch, at its end."""
    bench = Bench()
    records = bench.records(
        """
        ann +100 grant
        bob +50  purchase
        ann 10 cora 5000
        ann 5  cora 3000
        bob 50 dora 5000
        """
    )
    bench.open(records)
    batch = compose(records, bench.book)
    assert bench.entries(batch).splitlines() == [
        *("ann 1 1 +100 100", "bob 1 2 +50 50"),
        *("ann 2 3 -10 90", "cora 1 3 +500 500"),
        *("ann 3 4 -5 85", "cora 2 4 +350 850"),
        *("bob 2 5 -50 0", "dora 1 5 +2500 2500"),
        *("coins_granted 1 5 -100 -100", "coins_sold 1 5 -50 -50"),
        *("spent 1 5 +65 65", "issuance 1 5 -6500 -6500", "commission 1 5 +3150 3150"),
    ]
    assert (batch.gifts, batch.credits, batch.lasts) == (3, 2, {Partition(3): records[-1]})


def test_residue_is_posted_apart() -> None:
    """What the floors leave is on an account of its own, one entry a batch; whole percents leave nothing."""
    bench = Bench()
    records = bench.records(
        """
        ann +100 grant
        ann 1 cora 3333
        ann 1 cora 1
        ann 2 dora 4250
        ann 7 dora 5000
        ann 3 cora 9999
        """
    )
    bench.open(records)
    assert bench.entries(compose(records, bench.book)).splitlines() == [
        *("ann 1 1 +100 100", "ann 2 2 -1 99", "cora 1 2 +66 66", "ann 3 3 -1 98", "cora 2 3 +99 165"),
        *("ann 4 4 -2 96", "dora 1 4 +115 115", "ann 5 5 -7 89", "dora 2 5 +350 465", "ann 6 6 -3 86"),
        # 33 and 1, 0 and 1, 85, 350, 299 and 1: the last leaves the creator nothing of 3 hundredths of a diamond.
        *("coins_granted 1 6 -100 -100", "residue 1 6 +3 3"),
        *("spent 1 6 +14 14", "issuance 1 6 -1400 -1400", "commission 1 6 +767 767"),
    ]


def test_gifts_without_a_residue_need_no_such_account() -> None:
    """Terms that say no rate leave nothing, and terms that do are only asked then."""
    bench = Bench()
    bench.open(bench.records("ann +100 grant\nann 1 cora 5000\nann 1 cora 3300"))
    assert (AccountKind.RESIDUE, 3) not in bench.book.platform
    bench.open(bench.records("ann 1 cora 3333"))
    assert (AccountKind.RESIDUE, 3) in bench.book.platform


@pytest.mark.parametrize("more", [1, -1])
def test_creators_part_that_is_not_by_its_terms_stops(more: int) -> None:
    """Not even the residue is the creator's, and not one diamond less than its part."""
    bench = Bench()
    credit, gift = bench.records("ann +100 grant\nann 1 cora 3333")
    bench.open([credit, gift])
    body = msgspec.structs.replace(gift.body, creator_diamonds=66 + more, commission_diamonds=34 - more)
    with pytest.raises(InvariantBroken, match=f"I1: record 1-2 of partition 3: gold@1:3333 gives .* {66 + more}$"):
        compose([credit, msgspec.structs.replace(gift, body=body)], bench.book)


def test_agency_that_has_the_residue_stops() -> None:
    """An agency's part is inside of the commission, and what is left of the gift is not of that."""
    bench = Bench()
    credit, gift = bench.records("ann +100 grant\nann 1 cora 3333")
    for diamonds in (33, 34):
        body = msgspec.structs.replace(gift.body, agency="stars", agency_diamonds=diamonds)
        shared = msgspec.structs.replace(gift, body=body)
        bench.open([credit, shared])
        book = copy.deepcopy(bench.book)
        if diamonds == 33:
            lines = bench.entries(compose([credit, shared], book)).splitlines()
            platforms = [line for line in lines if line.split()[0] in ("residue", "commission", "stars")]
            assert platforms == ["residue 1 2 +1 1", "stars 1 2 +33 33"]
        else:
            with pytest.raises(InvariantBroken, match="34 of 33 diamonds"):
                compose([credit, shared], book)


def test_part_of_nothing_makes_no_entry() -> None:
    """A creator without a share, or a platform without commission, has no entry of zero."""
    bench = Bench()
    records = bench.records("ann +9 grant\nann 4 cora 10000\nann 5 dora 0")
    bench.open(records)
    lines = bench.entries(compose(records, bench.book))
    assert "cora" not in lines
    assert "dora 1 3 +500 500" in lines
    assert "commission 1 3 +400 400" in lines


def test_days_gather_what_each_creator_earned() -> None:
    """Gifts of one creator on one day are one row to add."""
    bench = Bench()
    records = bench.records("ann +100 grant\nann 1 cora 5000\nann 2 cora 5000\nann 3 dora 0")
    bench.open(records)
    days = compose(records, bench.book).days
    assert {key: (day.earned, day.gifts) for key, day in days.items()} == {("cora", 7): (150, 2), ("dora", 7): (300, 1)}


def test_missing_names_every_account_once() -> None:
    """An empty book lacks two accounts of the gift's people, and the platform's of the partition."""
    bench = Bench()
    records = bench.records("ann +100 grant\nann 1 cora 5000\nann 1 cora 5000")
    kinds = sorted(key.kind.value for key in bench.book.missing(records))
    assert kinds == ["coins_granted", "commission", "issuance", "pending", "spent", "wallet"]
    bench.open(records)
    assert bench.book.missing(records) == set()


@pytest.mark.parametrize(("field", "value"), [("creator_diamonds", 501), ("commission_diamonds", 499)])
def test_gift_that_does_not_split_stops(field: str, value: int) -> None:
    """100 diamonds for each coin, not one more and not one less."""
    bench = Bench()
    credit, gift = bench.records("ann +100 grant\nann 10 cora 5000")
    bench.open([credit, gift])
    gift = msgspec.structs.replace(gift, body=msgspec.structs.replace(gift.body, **{field: value}))
    with pytest.raises(InvariantBroken) as caught:
        compose([credit, gift], bench.book)
    assert caught.value.invariant == "I1"


def test_wallet_below_zero_stops() -> None:
    """Even when journal and books agree, a wallet below zero is not written (I2)."""
    bench = Bench()
    credit, gift = bench.records("ann +5 grant\nann 10 cora 5000")
    bench.open([credit, gift])
    with pytest.raises(InvariantBroken) as caught:
        compose([credit, gift], bench.book)
    assert caught.value.invariant == "I2"


def test_platform_accounts_know_their_unit() -> None:
    """Coins come in and are spent; diamonds are issued and kept."""
    units = {kind: platform(kind, 0).unit for kind in (AccountKind.SPENT, AccountKind.ISSUANCE)}
    assert units == {AccountKind.SPENT: "coins", AccountKind.ISSUANCE: "diamonds"}

"""Balances that were seen at different records, carried to one; and how findings are bounded."""

from ledger.audits.live_audit import Seen
from ledger.audits.partition_audit import carried, last_records, stripe_moved, wallet_moved
from ledger.invariants import TITLES, VIOLATIONS_MAX, Findings, Invariant
from ledger.model import Cause, CreatorId, CreditBody, GiftBody, JournalRecord, Partition, ViewerId


def records(table: str) -> dict[int, JournalRecord]:
    """Lines `seq viewer coins`; a credit when the coins have a plus."""
    made = {}
    for line in table.strip().splitlines():
        seq, viewer, coins = line.split()
        body: GiftBody | CreditBody
        if coins.startswith("+"):
            body = CreditBody(bytes(16), ViewerId(viewer), int(coins), Cause.GRANT, "")
        else:
            paid = int(coins)
            body = GiftBody(
                id=bytes(16),
                viewer=ViewerId(viewer),
                creator=CreatorId("cora"),
                place="room:demo",
                item="rose",
                unit_coins=paid,
                count=1,
                coins=paid,
                creator_diamonds=paid * 70,
                commission_diamonds=paid * 30,
                combo_key="",
                combo_window_ms=0,
                details=b"",
            )
        made[int(seq)] = JournalRecord(Partition(0), 1, int(seq), 0, 0, None, body)
    return made


JOURNAL = records(
    """
    5 ann +9
    6 ann 2
    7 bob +4
    8 ann 1
    9 bob 3
    """
)


def test_each_balance_takes_only_records_after_it_was_seen() -> None:
    """Seen at 6 it still lacks 8; seen at 8 it lacks nothing; never seen it begins at nothing."""
    seen = {"ann": Seen(7, 6), "old": Seen(3, 5)}
    assert carried(seen, JOURNAL, 4, 9, wallet_moved) == {"ann": 6, "old": 3, "bob": 1}
    assert carried({"ann": Seen(6, 8)}, JOURNAL, 4, 9, wallet_moved) == {"ann": 6, "bob": 1}


def test_records_past_the_moment_are_left_out() -> None:
    """Balances are carried to the given record and no further."""
    assert carried({}, JOURNAL, 4, 6, wallet_moved) == {"ann": 7}


def test_stripes_are_moved_by_gifts_only() -> None:
    """A credit earns nobody anything."""
    assert carried({"cora": Seen(140, 6)}, JOURNAL, 4, 9, stripe_moved) == {"cora": 140 + 70 + 210}


def test_last_records_name_the_newest_of_each() -> None:
    """Where a wallet was moved last is where to look first."""
    assert last_records(JOURNAL.values(), wallet_moved) == {"ann": 8, "bob": 9}
    assert last_records(JOURNAL.values(), stripe_moved) == {"cora": 9}


def test_findings_at_the_bound_name_all_and_past_it_count() -> None:
    """At the bound every violation stands there; one more is counted."""
    findings = Findings((Invariant.I1, Invariant.I9))
    findings.count(Invariant.I1, 3)
    for number in range(VIOLATIONS_MAX):
        findings.violate(Invariant.I1, f"number {number}")
    assert len(findings.results()[0].violations) == VIOLATIONS_MAX
    findings.violate(Invariant.I1, "one more")
    first, second = findings.results()
    assert first.violations[-1] == "and 1 more"
    assert (first.ok, first.checked, second.ok, second.checked) == (False, 3, True, 0)


def test_every_invariant_has_a_text() -> None:
    """The table is whole."""
    assert set(TITLES) == set(Invariant)

"""The checker finds every fault that is planted in a perfect run, and none in the perfect run itself."""

from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import SummaryEvent
from loadtest.checker.faults import EXAMPLES_MAX, FaultKind, Faults
from loadtest.record.columns import ComboState
from loadtest.script.naming import FOREIGN

if TYPE_CHECKING:
    from tests.unit.loadtest.conftest import PerfectRun

CHAMPAGNE, COMBO_HEART = 1, 2


def test_perfect_run_has_no_fault(perfect: "PerfectRun") -> None:
    """Gifts, merged gifts, summaries, a refusal, a repeated command and combos in order raise nothing."""
    perfect.give()
    perfect.give(1, CHAMPAGNE, 3)
    merged = [perfect.tell() for _ in range(3)]
    for number in merged:
        perfect.accept(number)
        perfect.see(number)
    perfect.show(perfect.shown_gift(0, "rose", 1, 2, merged=2), SummaryEvent(gifts=1, count=1, coins=1))
    repeated = perfect.give()
    perfect.commands.accept(repeated, 9, 1, 5, replay=True, combo=None, combo_count=0)
    refused = perfect.tell(1, CHAMPAGNE, 1_000)
    perfect.commands.refuse(refused, 9, "insufficient_coins", 925, for_good=True)
    perfect.give_combo("a", 4)
    perfect.give_combo("b", 1)
    kept, late = perfect.hold(), perfect.hold(1)
    perfect.take_back(perfect.hold(1))
    perfect.commands.ask_to_undo(late)
    perfect.commands.refuse_undo(late, "undo_expired", too_late=True)
    assert kept != late
    verdict = perfect.verdict()
    assert verdict.faults == []
    assert verdict.ok
    assert (verdict.gifts_told, verdict.gifts_accepted, verdict.gifts_seen) == (15, 14, 14)
    assert verdict.gifts_undone == 1
    assert (verdict.combos_seen, verdict.viewers_checked, verdict.wallets_checked) == (2, 1, 2)


def test_checker_finds_lost_gift(perfect: "PerfectRun") -> None:
    """An accepted gift that the overlay never saw is lost."""
    perfect.give()
    perfect.accept(perfect.tell())
    assert FaultKind.LOST in perfect.kinds_found()


def test_checker_finds_lost_gift_whose_reply_was_recovered(perfect: "PerfectRun") -> None:
    """A gift known to be accepted only by its replay must have been seen too."""
    perfect.give()
    number = perfect.tell()
    perfect.accept(number)
    perfect.commands.fresh_accepts[number] = 0
    perfect.commands.answer[number] = 2
    assert FaultKind.LOST in perfect.kinds_found()


def test_checker_finds_doubled_gift(perfect: "PerfectRun") -> None:
    """The same id at two positions is doubled, even when the viewer was shown it once."""
    perfect.see(perfect.give())
    assert FaultKind.DOUBLED in perfect.kinds_found()


def test_checker_finds_refused_gift_that_was_shown(perfect: "PerfectRun") -> None:
    """A refused gift on the overlay is a ghost."""
    perfect.give()
    number = perfect.tell()
    perfect.commands.refuse(number, 9, "overloaded", 0, for_good=False)
    perfect.see(number)
    assert FaultKind.GHOST in perfect.kinds_found()


@pytest.mark.parametrize("key", [FOREIGN, 3 << 32 | 99, 4 << 32])
def test_checker_finds_id_never_sent(perfect: "PerfectRun", key: int) -> None:
    """An id of another run, of no command, or of no process of ours is a stranger."""
    perfect.give()
    perfect.see(perfect.give())
    perfect.sightings.key[-1] = key
    assert FaultKind.STRANGER in perfect.kinds_found()


def test_checker_finds_value_without_id(perfect: "PerfectRun") -> None:
    """A complete receiver must be given the id of everything that has a value."""
    perfect.give()
    perfect.give()
    perfect.sightings.key[-1] = -1
    assert FaultKind.STRANGER in perfect.kinds_found()


def test_checker_finds_positions_out_of_order(perfect: "PerfectRun") -> None:
    """An event whose position is not after the last one's is out of order."""
    perfect.give()
    perfect.give(1)
    perfect.swap_seen(0)
    assert perfect.kinds_found() == [FaultKind.REORDERED]


def test_checker_finds_payments_out_of_order(perfect: "PerfectRun") -> None:
    """Positions that rise do not excuse a sender's gifts shown in another order than they were paid in."""
    first, second = perfect.tell(), perfect.tell()
    perfect.accept(first)
    perfect.accept(second)
    perfect.see(second)
    perfect.see(first)
    perfect.show(perfect.shown_gift(0, "rose", 1, 2, merged=2))
    assert perfect.kinds_found() == [FaultKind.REORDERED]


def test_checker_finds_position_given_twice(perfect: "PerfectRun") -> None:
    """Two events cannot have the same position."""
    perfect.give()
    perfect.give(1)
    perfect.sightings.seq[1] = perfect.sightings.seq[0]
    assert FaultKind.REORDERED in perfect.kinds_found()


@pytest.mark.parametrize("column", ["count", "coins", "price", "sender", "gift"])
def test_checker_finds_changed_content(perfect: "PerfectRun", column: str) -> None:
    """Each part of an event must be what was sent and paid."""
    perfect.give()
    perfect.give(1, CHAMPAGNE)
    values = getattr(perfect.sightings, column)
    values[1] = values[1] + 1 if column in {"count", "coins", "price"} else 0
    assert FaultKind.CONTENT in perfect.kinds_found()


def test_checker_finds_gift_in_wrong_room(perfect: "PerfectRun") -> None:
    """A gift that shows in a room it was not sent to is wrong there (and lost where it belongs)."""
    perfect.give()
    perfect.give()
    perfect.commands.room[1] = 1
    assert FaultKind.CONTENT in perfect.kinds_found()


def test_checker_finds_wrong_price_in_reply(perfect: "PerfectRun") -> None:
    """What `accepted` says was paid must be price times count."""
    perfect.commands.coins[perfect.give(0, CHAMPAGNE)] = 24
    assert FaultKind.CONTENT in perfect.kinds_found()


def test_checker_finds_gap(perfect: "PerfectRun") -> None:
    """A hole that a complete receiver was told of is a fault, though it was told."""
    perfect.give()
    perfect.sightings.gaps.append("told of a gap")
    assert perfect.kinds_found() == [FaultKind.GAP]


def test_checker_finds_unresolved_outcome(perfect: "PerfectRun") -> None:
    """A command without a known outcome cannot be judged, which is a fault."""
    perfect.give()
    perfect.tell()
    assert perfect.kinds_found() == [FaultKind.UNRESOLVED]


def test_checker_finds_id_accepted_as_new_twice(perfect: "PerfectRun") -> None:
    """Two answers with `replay` false to one id are two charges."""
    number = perfect.give()
    perfect.commands.accept(number, 9, 1, 998, replay=False, combo=None, combo_count=0)
    assert FaultKind.CHARGED_TWICE in perfect.kinds_found()


def test_checker_finds_contradicting_answers(perfect: "PerfectRun") -> None:
    """Accepted, then refused for good: one of the two is untrue."""
    perfect.commands.refuse(perfect.give(), 9, "id_conflict", 0, for_good=True)
    assert perfect.kinds_found() == [FaultKind.CONTRADICTION]


def test_checker_finds_replay_with_other_price(perfect: "PerfectRun") -> None:
    """A replay says what was paid the first time."""
    perfect.commands.accept(perfect.give(), 9, 7, 999, replay=True, combo=None, combo_count=0)
    assert perfect.kinds_found() == [FaultKind.CONTRADICTION]


def test_checker_excuses_overload_after_acceptance(perfect: "PerfectRun") -> None:
    """The repeat of an accepted command may be turned away for lack of capacity."""
    perfect.commands.refuse(perfect.give(), 9, "overloaded", 0, for_good=False)
    assert perfect.kinds_found() == []


def test_checker_finds_refusal_of_coins_that_were_there(perfect: "PerfectRun") -> None:
    """Insufficient coins cannot be when the wallet ends with enough."""
    perfect.give()
    perfect.commands.refuse(perfect.tell(), 9, "insufficient_coins", 0, for_good=True)
    assert perfect.kinds_found() == [FaultKind.WRONGLY_REFUSED]


def test_checker_finds_balance_in_reply_that_does_not_follow(perfect: "PerfectRun") -> None:
    """The balances told to a sender are its grant less each payment in turn."""
    perfect.give()
    number = perfect.give()
    perfect.commands.balance[number] -= 1
    assert perfect.kinds_found() == [FaultKind.REPLY_BALANCE]


def test_checker_finds_wrong_wallet(perfect: "PerfectRun") -> None:
    """A coin too few in the wallet after the run is found, and one too many as well."""
    perfect.give()
    perfect.wallets[0] = 998
    perfect.wallets[1] = 1_001
    verdict = perfect.verdict()
    assert [(fault.kind, fault.found) for fault in verdict.faults] == [(FaultKind.WALLET, 2)]


def test_checker_finds_unread_wallet(perfect: "PerfectRun") -> None:
    """A wallet that could not be read is not taken to be right."""
    perfect.give()
    perfect.wallets[1] = None
    assert perfect.kinds_found() == [FaultKind.WALLET]


def test_checker_finds_wrong_earnings(perfect: "PerfectRun") -> None:
    """One diamond off is found."""
    perfect.give()
    perfect.diamonds += 1
    assert perfect.kinds_found() == [FaultKind.EARNINGS]


@pytest.mark.parametrize("audit", [None, ["I1: coins sum to 3"]])
def test_checker_finds_failed_audit(perfect: "PerfectRun", audit: list[str] | None) -> None:
    """The server's own audit must have been had, and must have found nothing."""
    perfect.give()
    perfect.audit = audit
    assert perfect.kinds_found() == [FaultKind.AUDIT]


def test_checker_finds_client_that_was_cut_off(perfect: "PerfectRun") -> None:
    """What befell the generator's clients is part of the verdict."""
    perfect.give()
    perfect.client_faults.append("closed with 4502")
    assert perfect.kinds_found() == [FaultKind.CLIENT]


def test_checker_finds_empty_run(perfect: "PerfectRun") -> None:
    """Without an accepted gift nothing was shown to hold."""
    assert FaultKind.VACUOUS in perfect.kinds_found()


def test_checker_finds_room_without_overlay(perfect: "PerfectRun") -> None:
    """Gifts in a room that no complete receiver watched were not checked."""
    perfect.give()
    number = perfect.tell()
    perfect.accept(number)
    perfect.commands.room[number] = 5
    assert FaultKind.VACUOUS in perfect.kinds_found()


# Viewers.


def test_checker_finds_gift_never_shown_to_viewer(perfect: "PerfectRun") -> None:
    """A gift that the overlay saw and the viewer was not shown in any form is missing from its sum."""
    number = perfect.tell()
    perfect.accept(number)
    perfect.see(number)
    assert perfect.kinds_found() == [FaultKind.VIEWER_SUM]


def test_checker_finds_gift_shown_twice_to_viewer(perfect: "PerfectRun") -> None:
    """A frame delivered twice breaks the sum."""
    perfect.give()
    perfect.watch.frames.append(0)
    assert perfect.kinds_found() == [FaultKind.VIEWER_SUM]


@pytest.mark.parametrize(("gifts", "count", "coins"), [(1, 2, 2), (2, 1, 2), (2, 2, 3)])
def test_checker_finds_summary_that_does_not_add_up(perfect: "PerfectRun", gifts: int, count: int, coins: int) -> None:
    """Gifts, items and coins of a summary must each make up the difference."""
    for number in (perfect.tell(), perfect.tell()):
        perfect.accept(number)
        perfect.see(number)
    perfect.show(SummaryEvent(gifts=gifts, count=count, coins=coins))
    assert perfect.kinds_found() == [FaultKind.VIEWER_SUM]


def test_checker_finds_value_moved_between_senders(perfect: "PerfectRun") -> None:
    """The right total under the wrong name is wrong."""
    number = perfect.tell(0)
    perfect.accept(number)
    perfect.see(number)
    perfect.show(perfect.shown_gift(1, "rose", 1, 1))
    assert perfect.kinds_found() == [FaultKind.VIEWER_SUM]


def test_checker_excuses_viewer_that_was_told(perfect: "PerfectRun") -> None:
    """A viewer that knows of its gap is not judged; but one at least must have stayed."""
    number = perfect.tell()
    perfect.accept(number)
    perfect.see(number)
    perfect.watch.lost = "told of a gap"
    assert perfect.kinds_found() == [FaultKind.VACUOUS]
    assert perfect.verdict().viewers_lost == 1


def test_checker_tells_slow_viewers_from_others(perfect: "PerfectRun") -> None:
    """One who reads slowly on purpose and missed something is counted apart."""
    number = perfect.tell()
    perfect.accept(number)
    perfect.see(number)
    perfect.watch.lost, perfect.watch.slow = "told of a gap", True
    verdict = perfect.verdict()
    assert (verdict.viewers_checked, verdict.viewers_lost, verdict.slow_viewers_lost) == (0, 0, 1)


def test_checker_judges_late_viewer_from_where_it_joined(perfect: "PerfectRun") -> None:
    """What was before a viewer's `joined` is not in its sum."""
    early = perfect.tell()
    perfect.accept(early)
    perfect.see(early)
    perfect.watch.since_seq = perfect.seq
    perfect.give()
    assert perfect.kinds_found() == []


# What was undone.


def test_checker_finds_undoing_that_was_not_told(perfect: "PerfectRun") -> None:
    """The overlay, and through it each viewer, must be told what was undone."""
    perfect.undo(perfect.hold())
    assert perfect.kinds_found() == [FaultKind.UNDO]
    perfect.show_undone(0)
    assert perfect.kinds_found() == [FaultKind.UNDO, FaultKind.VIEWER_SUM]


def test_checker_finds_undoing_that_no_viewer_was_shown(perfect: "PerfectRun") -> None:
    """What viewers were shown adds up to what was accepted and not undone."""
    number = perfect.hold()
    perfect.undo(number)
    perfect.see(number, undone=True)
    assert perfect.kinds_found() == [FaultKind.VIEWER_SUM]


def test_checker_finds_undoing_of_what_was_not_undone(perfect: "PerfectRun") -> None:
    """A gift whose sender never took it back, or came too late, must not be shown as undone."""
    number = perfect.hold()
    perfect.see(number, undone=True)
    perfect.show_undone(number)
    assert perfect.kinds_found() == [FaultKind.UNDO]
    perfect.commands.ask_to_undo(number)
    perfect.commands.refuse_undo(number, "undo_expired", too_late=True)
    assert perfect.kinds_found() == [FaultKind.UNDO]


def test_checker_finds_undoing_told_twice(perfect: "PerfectRun") -> None:
    """The room is told once."""
    number = perfect.hold()
    perfect.take_back(number)
    perfect.see(number, undone=True)
    perfect.show_undone(number)
    assert perfect.kinds_found() == [FaultKind.UNDO]


def test_checker_finds_undoing_before_its_gift(perfect: "PerfectRun") -> None:
    """A gift is told before it is taken back."""
    number = perfect.hold()
    perfect.take_back(number)
    perfect.swap_seen(0)
    perfect.sightings.seq[0], perfect.sightings.seq[1] = perfect.sightings.seq[1], perfect.sightings.seq[0]
    assert perfect.kinds_found() == [FaultKind.UNDO]


def test_checker_finds_undoing_at_its_deadline(perfect: "PerfectRun") -> None:
    """A moment before the time is over it can be undone, then not."""
    number = perfect.hold()
    perfect.at_ms += 999
    perfect.take_back(number)
    assert perfect.kinds_found() == []
    perfect.sightings.at_ms[-1] += 1
    assert perfect.kinds_found() == [FaultKind.UNDO]


@pytest.mark.parametrize("column", ["count", "coins", "price", "sender", "gift"])
def test_checker_finds_undoing_with_other_content(perfect: "PerfectRun", column: str) -> None:
    """What is taken off must be what was put on."""
    perfect.give(1)
    perfect.take_back(perfect.hold())
    values = getattr(perfect.sightings, column)
    values[-1] = values[-1] + 1 if column in {"count", "coins", "price"} else 0
    assert FaultKind.CONTENT in perfect.kinds_found()


def test_checker_finds_gift_undone_as_new_twice(perfect: "PerfectRun") -> None:
    """Two answers with `replay` false are coins that came back twice; replays are not."""
    number = perfect.hold()
    perfect.take_back(number)
    perfect.commands.undo(number, 25, replay=True)
    assert perfect.kinds_found() == []
    perfect.commands.undo(number, 25, replay=False)
    assert perfect.kinds_found() == [FaultKind.UNDONE_TWICE]


def test_checker_finds_contradicting_answers_to_an_undo(perfect: "PerfectRun") -> None:
    """Undone and paid for good, other coins than were paid, an accepted gift that is not there: none can be."""
    number = perfect.hold()
    perfect.take_back(number)
    perfect.commands.refuse_undo(number, "undo_expired", too_late=True)
    assert perfect.kinds_found() == [FaultKind.CONTRADICTION]
    perfect.commands.undo(number, 24, replay=True)
    other = perfect.hold()
    perfect.commands.ask_to_undo(other)
    perfect.commands.refuse_undo(other, "not_found", too_late=False)
    [fault] = perfect.verdict().faults
    assert (fault.kind, fault.found) == (FaultKind.CONTRADICTION, 3)


def test_checker_finds_undo_without_an_outcome(perfect: "PerfectRun") -> None:
    """Whether it was undone must be known."""
    perfect.commands.ask_to_undo(perfect.hold())
    assert perfect.kinds_found() == [FaultKind.UNRESOLVED]


def test_checker_finds_coins_that_did_not_come_back(perfect: "PerfectRun") -> None:
    """Wallet and earnings stand as if the gift had not been given."""
    perfect.take_back(perfect.hold())
    perfect.wallets[0] = 975
    perfect.diamonds += 1_250
    assert perfect.kinds_found() == [FaultKind.WALLET, FaultKind.EARNINGS]


def test_checker_excuses_a_refusal_while_coins_were_out(perfect: "PerfectRun") -> None:
    """Coins that came back later were not there when a gift was refused for lack of them; the others were."""
    perfect.take_back(perfect.hold())
    dear = perfect.tell(0, CHAMPAGNE, 40)
    perfect.commands.refuse(dear, 9, "insufficient_coins", 975, for_good=True)
    assert perfect.kinds_found() == []
    perfect.commands.refuse(perfect.tell(0, CHAMPAGNE, 39), 9, "insufficient_coins", 975, for_good=True)
    assert perfect.kinds_found() == [FaultKind.WRONGLY_REFUSED]


# Combos.


def test_checker_finds_missing_combo_end(perfect: "PerfectRun") -> None:
    """A combo that never ends is found."""
    perfect.give_combo("a", 3, ended=False)
    assert perfect.kinds_found() == [FaultKind.COMBO_END]


def test_checker_finds_second_combo_end(perfect: "PerfectRun") -> None:
    """A combo that ends twice is found."""
    perfect.give_combo("a", 3)
    perfect.see_combo_end(("a", 3, 6))
    assert perfect.kinds_found() == [FaultKind.COMBO_END]


def test_checker_finds_combo_without_start(perfect: "PerfectRun") -> None:
    """The first event of a combo says start."""
    perfect.give_combo("a", 3)
    perfect.sightings.combo_state[0] = ComboState.UPDATE
    assert perfect.kinds_found() == [FaultKind.COMBO_START]


def test_checker_finds_combo_that_starts_twice(perfect: "PerfectRun") -> None:
    """Only the first event of a combo says start."""
    perfect.give_combo("a", 3)
    perfect.sightings.combo_state[1] = ComboState.START
    assert perfect.kinds_found() == [FaultKind.COMBO_START]


def test_checker_finds_gift_after_combo_end(perfect: "PerfectRun") -> None:
    """A combo does not go on after its end."""
    perfect.give_combo("a", 2)
    number = perfect.tell(0, COMBO_HEART)
    perfect.accept(number, ("a", 3))
    perfect.at_ms -= 5_000
    perfect.see(number, combo=("a", 3, 6, ComboState.UPDATE))
    perfect.show(perfect.shown_gift(0, "heart", 2, 1))
    assert FaultKind.COMBO_START in perfect.kinds_found()


@pytest.mark.parametrize("column", ["combo_count", "combo_coins"])
@pytest.mark.parametrize("row", [1, 3])
def test_checker_finds_wrong_running_total(perfect: "PerfectRun", column: str, row: int) -> None:
    """Running totals, and those of the end, are the sums of what was shown."""
    perfect.give_combo("a", 3)
    getattr(perfect.sightings, column)[row] += 1
    assert FaultKind.COMBO_TOTAL in perfect.kinds_found()


def test_checker_finds_reply_with_other_combo_count(perfect: "PerfectRun") -> None:
    """The sender is told the same count as the room."""
    numbers = perfect.give_combo("a", 3)
    perfect.commands.combo_count[numbers[1]] += 1
    assert perfect.kinds_found() == [FaultKind.COMBO_REPLY]


def test_checker_finds_combo_gift_outside_any_combo(perfect: "PerfectRun") -> None:
    """A gift sent as part of a combo belongs to one."""
    number = perfect.tell(0, COMBO_HEART)
    perfect.accept(number)
    perfect.see(number)
    perfect.show(perfect.shown_gift(0, "heart", 2, 1))
    assert perfect.kinds_found() == [FaultKind.COMBO_SPLIT]


def test_checker_finds_combo_over_more_than_its_window(perfect: "PerfectRun") -> None:
    """Gifts further apart than the window are not one combo."""
    numbers = perfect.give_combo("a", 2, ended=False)
    perfect.see_combo_end(("a", 2, 4))
    assert numbers
    perfect.sightings.at_ms[1] = perfect.sightings.at_ms[0] + 5_001
    assert perfect.kinds_found() == [FaultKind.COMBO_SPLIT]


def test_checker_finds_combo_split_inside_its_window(perfect: "PerfectRun") -> None:
    """Gifts closer than the window are one combo."""
    perfect.give_combo("a", 2)
    perfect.at_ms -= 5_002
    perfect.give_combo("b", 2)
    assert perfect.kinds_found() == [FaultKind.COMBO_SPLIT]


# The list itself.


def test_faults_keep_few_examples_and_count_all() -> None:
    """A flood of one kind is counted to the last, kept in words up to the bound, and drowns no other kind."""
    faults = Faults()
    for number in range(EXAMPLES_MAX + 1):
        faults.add(FaultKind.LOST, f"gift {number}")
    faults.add(FaultKind.AUDIT, "I1")
    lost, audit = faults.listed()
    assert (lost.found, len(lost.examples)) == (EXAMPLES_MAX + 1, EXAMPLES_MAX)
    assert (audit.kind, audit.found) == (FaultKind.AUDIT, 1)

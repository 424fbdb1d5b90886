"""Each combo starts once, counts right, ends once, and holds the gifts that the window says."""

from msgspec import Struct

from loadtest.checker.faults import FaultKind, Faults
from loadtest.checker.told import Told
from loadtest.record.columns import NO_KEY, NO_NAME, Answer, ComboState, Commands, Sightings


class _Run(Struct):
    count: int = 0
    coins: int = 0
    ended: bool = False


def check_combos(told: Told, sightings: Sightings, window_ms: int, faults: Faults) -> None:
    """Follow the combos that one complete receiver saw.

    Args:
        window_ms: as the server told it on joining; the longest time between two gifts of a combo.
    """
    runs: dict[int, _Run] = {}
    lasts: dict[tuple[int, int], tuple[int, int]] = {}
    for row, combo in enumerate(sightings.combo):
        found = None if sightings.key[row] == NO_KEY else told.find(sightings.key[row])
        if found is not None:
            _check_membership(told, sightings, row, *found, faults)
        if combo == NO_NAME:
            continue
        _follow(told, sightings, row, runs, faults)
        if found is not None:
            _check_window(told, sightings, row, lasts, window_ms, faults)
    for combo, run in runs.items():
        if not run.ended:
            name = sightings.combos.names[combo]
            faults.add(FaultKind.COMBO_END, f"{told.run.room(sightings.room)}: combo {name} never ended")


def _check_membership(told: Told, sightings: Sightings, row: int, book: Commands, number: int, faults: Faults) -> None:
    shown = sightings.combo[row]
    if told.kinds[book.kind[number]].combo != (shown != NO_NAME):
        faults.add(
            FaultKind.COMBO_SPLIT,
            f"{told.describe(book, number)} is {'in no' if shown == NO_NAME else 'in a'} combo",
        )
    elif book.answer[number] == Answer.ACCEPTED and shown != NO_NAME:
        reply = book.combo[number]
        answered = (None if reply == NO_NAME else book.combos.names[reply], book.combo_count[number])
        seen = (sightings.combos.names[shown], sightings.combo_count[row])
        if answered != seen:
            faults.add(FaultKind.COMBO_REPLY, f"{told.describe(book, number)}: told {answered}, shown {seen}")


def _follow(told: Told, sightings: Sightings, row: int, runs: dict[int, _Run], faults: Faults) -> None:
    combo, state = sightings.combo[row], sightings.combo_state[row]
    where = (
        f"{told.run.room(sightings.room)} {sightings.epoch[row]}-{sightings.seq[row]}: "
        f"combo {sightings.combos.names[combo]}"
    )
    run = runs.get(combo)
    if state == ComboState.END and run is not None and run.ended:
        faults.add(FaultKind.COMBO_END, f"{where} ended again")
        return
    if run is None:
        run = runs[combo] = _Run()
        if state != ComboState.START:
            faults.add(FaultKind.COMBO_START, f"{where} was not started")
    elif run.ended:
        faults.add(FaultKind.COMBO_START, f"{where} went on after its end")
    elif state == ComboState.START:
        faults.add(FaultKind.COMBO_START, f"{where} started again")
    run.count += sightings.count[row]
    run.coins += sightings.coins[row]
    told_totals = (sightings.combo_count[row], sightings.combo_coins[row])
    if told_totals != (run.count, run.coins):
        faults.add(
            FaultKind.COMBO_TOTAL,
            f"{where} says (count, coins) {told_totals}, its gifts sum to {(run.count, run.coins)}",
        )
        run.count, run.coins = told_totals
    run.ended = state == ComboState.END


def _check_window(
    told: Told,
    sightings: Sightings,
    row: int,
    lasts: dict[tuple[int, int], tuple[int, int]],
    window_ms: int,
    faults: Faults,
) -> None:
    finger = (sightings.sender[row], sightings.gift[row])
    combo, at_ms = sightings.combo[row], sightings.at_ms[row]
    last = lasts.get(finger)
    lasts[finger] = (combo, at_ms)
    if last is None:
        return
    apart_ms = at_ms - last[1]
    if (combo == last[0] and apart_ms > window_ms) or (combo != last[0] and apart_ms < window_ms):
        together = "one combo" if combo == last[0] else "two combos"
        name = sightings.combos.names[combo]
        faults.add(
            FaultKind.COMBO_SPLIT,
            f"{told.run.room(sightings.room)}: {together} over {apart_ms} ms of {window_ms} ms, at {name}",
        )

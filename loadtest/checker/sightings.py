"""Each accepted gift on each complete receiver exactly once, in order, as it was sent, and each undoing after its gift;
nothing else."""

from loadtest.checker.faults import FaultKind, Faults
from loadtest.checker.told import ACCEPTED, Told
from loadtest.record.columns import NO_KEY, NO_NAME, Answer, ComboState, Commands, Sightings, Undoing


def check_sightings(told: Told, sightings: Sightings, accepted: set[int], undone: set[int], faults: Faults) -> None:
    """Compare what one complete receiver saw with what was accepted in its room.

    Args:
        accepted, undone: keys of the gifts accepted in that room, and of those that were undone.
    """
    for words in sightings.gaps:
        faults.add(FaultKind.GAP, f"{told.run.room(sightings.room)}: {words}")
    _check_positions(told, sightings, faults)
    seen: dict[int, int] = {}
    back: set[int] = set()
    for row, key in enumerate(sightings.key):
        if key == NO_KEY:
            _check_without_gift(told, sightings, row, faults)
            continue
        found = told.find(key)
        if found is None:
            faults.add(FaultKind.STRANGER, f"{_at(told, sightings, row)}: an id that was never sent")
            continue
        if sightings.undone[row]:
            _check_undone(told, sightings, row, seen.get(key), faults, first=key not in back)
            back.add(key)
            continue
        if key in seen:
            faults.add(FaultKind.DOUBLED, f"{_at(told, sightings, row)}: {told.describe(*found)} again")
            continue
        seen[key] = row
        _check_content(told, sightings, row, *found, faults)
    for key in sorted(accepted - seen.keys()):
        found = told.find(key)
        if found is not None:
            faults.add(FaultKind.LOST, f"{told.describe(*found)} was accepted and not seen by the room's overlay")
    for key in sorted(undone - back):
        found = told.find(key)
        if found is not None:
            faults.add(FaultKind.UNDO, f"{told.describe(*found)} was undone, which the room's overlay was not told")
    _check_payment_order(told, sightings, faults)


def _check_positions(told: Told, sightings: Sightings, faults: Faults) -> None:
    last = (-1, -1)
    for row, position in enumerate(zip(sightings.epoch, sightings.seq, strict=True)):
        if position <= last:
            faults.add(FaultKind.REORDERED, f"{_at(told, sightings, row)} came after position {last[0]}-{last[1]}")
        last = max(last, position)


def _check_without_gift(told: Told, sightings: Sightings, row: int, faults: Faults) -> None:
    ends = sightings.combo_state[row] == ComboState.END
    if not ends or sightings.count[row] or sightings.coins[row]:
        faults.add(FaultKind.STRANGER, f"{_at(told, sightings, row)}: value without a gift id")


def _check_undone(
    told: Told, sightings: Sightings, row: int, gift_row: int | None, faults: Faults, *, first: bool
) -> None:
    found = told.find(sightings.key[row])
    if found is None:
        return
    book, number = found
    if book.undoing[number] != Undoing.UNDONE:
        words = "was not undone"
    elif not first:
        words = "is undone again"
    elif gift_row is None:
        words = "is undone before it was shown"
    elif sightings.at_ms[row] >= sightings.undo_until_ms[gift_row]:
        words = f"is undone at {sightings.at_ms[row]}, not before {sightings.undo_until_ms[gift_row]}"
    else:
        _check_content(told, sightings, row, book, number, faults)
        return
    faults.add(FaultKind.UNDO, f"{_at(told, sightings, row)}: {told.describe(book, number)} {words}")


def _check_content(told: Told, sightings: Sightings, row: int, book: Commands, number: int, faults: Faults) -> None:
    if book.answer[number] not in ACCEPTED:
        if book.answer[number] == Answer.REFUSED:
            faults.add(FaultKind.GHOST, f"{_at(told, sightings, row)}: {told.describe(book, number)} was refused")
        return
    kind = told.kinds[book.kind[number]]
    sender = sightings.sender[row]
    shown = (
        sightings.room,
        None if sender == NO_NAME else sightings.senders.names[sender],
        sightings.gifts.names[sightings.gift[row]],
        sightings.price[row],
        sightings.count[row],
        sightings.coins[row],
    )
    meant = (
        book.room[number],
        told.run.sender(book.sender[number]),
        kind.gift,
        kind.price_coins,
        book.count[number],
        book.coins[number],
    )
    if shown != meant:
        faults.add(
            FaultKind.CONTENT,
            f"{_at(told, sightings, row)}: (room, sender, gift, price, count, coins) {shown}, sent {meant}",
        )


def _check_payment_order(told: Told, sightings: Sightings, faults: Faults) -> None:
    # A wallet falls with each payment of the run, so balances tell the order in which a sender's gifts were
    # paid; not those of one who undid something.
    balances: dict[int, int] = {}
    undoers = told.undoers()
    for row, key in enumerate(sightings.key):
        found = None if key == NO_KEY else told.find(key)
        if found is None or found[0].answer[found[1]] != Answer.ACCEPTED:
            continue
        book, number = found
        sender, balance = book.sender[number], book.balance[number]
        if sender in undoers:
            continue
        if balance > balances.get(sender, balance):
            faults.add(
                FaultKind.REORDERED,
                f"{_at(told, sightings, row)}: {told.describe(book, number)} was paid before the last one",
            )
        balances[sender] = balance


def _at(told: Told, sightings: Sightings, row: int) -> str:
    return f"{told.run.room(sightings.room)} {sightings.epoch[row]}-{sightings.seq[row]}"

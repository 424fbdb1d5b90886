"""What viewers were shown adds up to what happened, however it was merged on the way."""

from collections.abc import Sequence

from msgspec import Struct

from loadtest.checker.faults import FaultKind, Faults
from loadtest.record.columns import NO_KEY, NO_NAME, Sightings
from loadtest.record.frames import FrameBook, Tally, Watch

Key = tuple[str | None, str]


class ViewersChecked(Struct, frozen=True):
    """How many viewers of a room were judged, and how many could not be because they had missed something.

    Attributes:
        slow_lost: those of them who read slowly on purpose; they are not in `lost`.
    """

    checked: int
    lost: int
    slow_lost: int


def check_shown(
    room: str, truth: Sightings, book: FrameBook, watches: Sequence[Watch], faults: Faults
) -> ViewersChecked:
    """Compare the sums of each viewer who stayed with the complete events of its room.

    Sums by sender and gift must be equal; where small gifts came as summaries, no sum may be higher than the
    truth and the summaries must make up the difference to the last gift, item and coin.

    Args:
        truth: what a complete receiver of the same room saw from the start.
    """
    alike: dict[tuple[int, int, bytes], list[Watch]] = {}
    lost = slow_lost = 0
    for watch in watches:
        if watch.lost:
            lost += not watch.slow
            slow_lost += watch.slow
        else:
            alike.setdefault((watch.epoch, watch.since_seq, watch.frames.tobytes()), []).append(watch)
    for group in alike.values():
        words = _fault(truth, book, group[0])
        for watch in group if words else ():
            faults.add(FaultKind.VIEWER_SUM, f"{room}: viewer {watch.viewer} {words}")
    return ViewersChecked(len(watches) - lost - slow_lost, lost, slow_lost)


def _fault(truth: Sightings, book: FrameBook, watch: Watch) -> str:
    due = _sums_after(truth, watch.epoch, watch.since_seq)
    shown: dict[Key, Tally] = {}
    hidden = Tally()
    for number in watch.frames:
        frame = book.frames[number]
        hidden.add(frame.hidden.gifts, frame.hidden.count, frame.hidden.coins)
        for key, tally in frame.by_gift.items():
            shown.setdefault(key, Tally()).add(tally.gifts, tally.count, tally.coins)
    for key, tally in shown.items():
        most = due.get(key, Tally())
        if tally.gifts > most.gifts or tally.count > most.count or tally.coins > most.coins:
            return f"was shown {_words(tally)} of {key}, accepted were {_words(most)}"
    all_shown, all_due = _total([*shown.values(), hidden]), _total(list(due.values()))
    if all_shown != all_due:
        return f"was shown {_words(all_shown)} in all, accepted were {_words(all_due)}"
    return ""


def _sums_after(truth: Sightings, epoch: int, since_seq: int) -> dict[Key, Tally]:
    sums: dict[Key, Tally] = {}
    for row, key in enumerate(truth.key):
        if key == NO_KEY or (truth.epoch[row], truth.seq[row]) <= (epoch, since_seq):
            continue
        sender = truth.sender[row]
        name = None if sender == NO_NAME else truth.senders.names[sender]
        gift = truth.gifts.names[truth.gift[row]]
        sign = -1 if truth.undone[row] else 1
        sums.setdefault((name, gift), Tally()).add(sign, sign * truth.count[row], sign * truth.coins[row])
    return sums


def _total(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally.gifts, tally.count, tally.coins)
    return total


def _words(tally: Tally) -> str:
    return f"{tally.gifts} gifts, count {tally.count}, {tally.coins} coins"

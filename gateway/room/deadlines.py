"""When the open combos run out, as the relay knows it. Pure: times come from the journal and the server's clock."""

import heapq

from msgspec import Struct


class OpenEnd(Struct, frozen=True, gc=False):
    """A combo that runs out at `deadline_ms` unless another gift comes. `room` is None on a recorded video."""

    partition: int
    viewer: str
    combo_key: str
    combo_id: bytes
    room: str | None
    epoch: int
    deadline_ms: int


_Place = tuple[int, str, str]


class ComboDeadlines:
    """The open combos by deadline. Each stands in the heap once, under a deadline that it had; it is put back there
    with its present one when that comes. So a combo costs the heap nothing for its later gifts.
    """

    def __init__(self) -> None:
        self._open: dict[_Place, OpenEnd] = {}
        self._heap: list[tuple[int, _Place, bytes]] = []

    def __len__(self) -> int:
        return len(self._open)

    def note(self, end: OpenEnd) -> None:
        """A gift of this combo was seen; it takes the place of an older combo of the same viewer and key.

        What is older than what is known of the same combo changes nothing.
        """
        place = (end.partition, end.viewer, end.combo_key)
        known = self._open.get(place)
        if known is not None and known.combo_id == end.combo_id:
            if end.deadline_ms > known.deadline_ms:
                self._open[place] = end
            return
        self._open[place] = end
        heapq.heappush(self._heap, (end.deadline_ms, place, end.combo_id))

    def next_ms(self) -> int | None:
        """No deadline is earlier than this; None while no combo is open."""
        return self._heap[0][0] if self._heap else None

    def due(self, before_ms: int) -> list[OpenEnd]:
        """Take out the combos whose deadline lies before a time, by which every gift in them must have been noted."""
        due = []
        while self._heap and self._heap[0][0] < before_ms:
            _, place, combo_id = heapq.heappop(self._heap)
            known = self._open.get(place)
            if known is None or known.combo_id != combo_id:
                continue
            if known.deadline_ms >= before_ms:
                heapq.heappush(self._heap, (known.deadline_ms, place, combo_id))
            else:
                del self._open[place]
                due.append(known)
        return due

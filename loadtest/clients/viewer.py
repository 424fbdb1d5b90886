"""A viewer who only watches. A crowd of them costs one decoding per distinct frame."""

import time

from gateway.wire.messages import Events, Join, Joined, Notice, Position, Refused, Welcome
from loadtest.clients.connection import Client, Line, Payload, Reply
from loadtest.record.frames import FrameBook, Watch


class ViewerClient(Client):
    """One viewer of one room, and the list of frames that it was shown.

    Args:
        slow: on a bad line, which `stall` stops.
    """

    def __init__(
        self, line: Line, name: str, token: str, number: int, room: str, book: FrameBook, *, slow: bool = False
    ) -> None:
        super().__init__(line, name, token)
        self.bad_line = slow
        self.watch: Watch | None = None
        self.room = room
        self._number = number
        self._book = book

    @property
    def room_number(self) -> int:
        """The number of its room in the run."""
        return self._book.room

    @property
    def seq(self) -> int:
        """The last position shown."""
        if self.watch is None:
            return 0
        frames = self.watch.frames
        return self._book.frames[frames[-1]].seq if frames else self.watch.since_seq

    def on_frame(self, payload: Payload) -> None:
        """Recognise a frame that another viewer of the room was shown; else decode it."""
        data = bytes(payload)
        number = self._book.find(data)
        watch = self.watch
        if number is not None and watch is not None:
            watch.frames.append(number)
            watch.seen_ns.append(time.monotonic_ns())
            return
        self.dispatch(self.decode(data), data)

    def on_welcome(self, welcome: Welcome) -> None:
        """Enter the room; after a reconnect, ask for what was missed."""
        self._join()

    def _join(self) -> None:
        since = None
        if self.watch is not None:
            epoch = self._book.frames[self.watch.frames[-1]].epoch if self.watch.frames else self.watch.epoch
            since = Position(epoch, self.seq)
        self.send(Join(ref="join", room=self.room, since=since))

    def on_reply(self, message: Reply) -> None:
        """Entered, or kept out."""
        if isinstance(message, Refused):
            if not self.ask_again(message, self._join):
                self.give_up(f"join refused: {message.code} {message.message}")
        elif isinstance(message, Joined):
            if self.watch is None:
                self.watch = Watch(self._number, message.epoch, message.seq, slow=self.bad_line)
                self.settled.set_result(None)
            elif not message.recovered:
                self._lose("came back and was not given what it missed")

    def on_events(self, events: Events, payload: Payload) -> None:
        """A frame that no one was shown lately."""
        if self.watch is None:
            return
        self.watch.frames.append(self._book.add(bytes(payload), events))
        self.watch.seen_ns.append(time.monotonic_ns())

    def on_notice(self, notice: Notice) -> None:
        """Told that ticks are missing: its sums will not agree, and it knows."""
        if notice.code == "resync":
            self._lose("told of a gap")

    def on_closed(self, code: int, *, again: bool) -> None:
        """Closed for good: it cannot have seen the rest."""
        if not again and not self.line.closing:
            self._lose(f"closed with {code}")

    def _lose(self, reason: str) -> None:
        if self.watch is not None and not self.watch.lost:
            self.watch.lost = reason

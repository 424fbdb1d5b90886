"""What goes on in a thread of its own beside a run, until the run ends."""

import threading
from types import TracebackType
from typing import Self


class Aside:
    """Runs `go_on` from the beginning of the block on. Use as a context.

    Args:
        name: of the thread.
        ends_within_s: how long `go_on` may take to return once `ended` is set.

    Attributes:
        ended: set when the block ends; `go_on` waits on it and returns then.
    """

    def __init__(self, name: str, ends_within_s: float) -> None:
        self.ended = threading.Event()
        self._ends_within_s = ends_within_s
        self._thread = threading.Thread(target=self.go_on, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._thread.join(self._ends_within_s)

    def go_on(self) -> None:
        """What a subclass does there."""

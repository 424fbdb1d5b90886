"""How much longer the pauses between ticks become while writing them takes too much of the process's time.

Pure: the shell says how long it wrote, and looks at regular times. One pace serves all rooms of a gateway, since they
share its event loop, and answers about money need it too.
"""

from typing import Final

from gateway.room.config import RoomConfig

UP_MAX: Final = 1.5
"""The most by which pauses grow from one look to the next."""
DOWN: Final = 0.7
"""What they shrink by: within a second of quiet they are as before."""


class Pace:
    """How pauses are stretched now.

    Attributes:
        stretch: the factor by which pauses are longer than in quiet times; from 1 to `tick_ms_max` / `tick_ms`.
    """

    def __init__(self, config: RoomConfig) -> None:
        self.stretch = 1.0
        self._share_max = config.tick_share_permille_max / 1000
        self._stretch_max = max(1.0, config.tick_ms_max / config.tick_ms)
        self._wrote_s = 0.0

    def wrote(self, seconds: float) -> None:
        """So long ticks were built and written just now."""
        self._wrote_s += seconds

    def look(self, elapsed_s: float) -> None:
        """Take stock: ticks were written as `wrote` said, in the time since the last look.

        Args:
            elapsed_s: more than 0.
        """
        load = self._wrote_s / elapsed_s / self._share_max
        self._wrote_s = 0.0
        wanted = self.stretch * min(max(load, DOWN), UP_MAX)
        self.stretch = min(max(1.0, wanted), self._stretch_max)

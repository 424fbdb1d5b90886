"""What this machine does by itself, beside every measurement: constants are told as ratios to it, too.

Three small things that the server's work is made of: Python that parses and builds a gift's messages, a write of a
frame into a socket, and bringing a block to disk.
"""

import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Struct

from gateway.wire.messages import ClientMessage, Events, GiftEvent, Sender
from loadtest.server.aside import Aside

LOOPS: Final = 4_000
WRITES: Final = 4_000
FRAME_BYTES: Final = 512
FSYNCS: Final = 60
BLOCK_BYTES: Final = 4_096
SYNC_REST_S: Final = 0.05
SYNC_S_MAX: Final = 10.0
BEAT_LOOPS: Final = 40
BEAT_REST_S: Final = 0.05
BEAT_S_MAX: Final = 5.0
_GIFT: Final = b'{"type":"gift","ref":"1","id":"01890a5d-ac96-774b-bcce-b302099a8057","room":"r","gift":"rose"}'
_FRAME: Final = bytes(FRAME_BYTES)
_decode: Final = msgspec.json.Decoder(ClientMessage).decode
_encode: Final = msgspec.json.Encoder().encode


class Reference(Struct, frozen=True):
    """One look at the machine.

    Attributes:
        python_us: of CPU, to parse a gift and to build the event that tells of it.
        write_us: of CPU, to write a frame into a socket and to read it.
        fsync_ms: each of FSYNCS appends that were brought to disk, in the order of time.
    """

    python_us: float
    write_us: float
    fsync_ms: list[float]


def look(folder: Path | None = None) -> Reference:
    """Measure: half a second or so.

    Args:
        folder: on the disk that is meant; the one for temporary files if None.
    """
    return Reference(_python_us(), _write_us(), _fsync_ms(folder))


class Syncs(Aside):
    """Brings a block to disk again and again beside a run. Use as a context.

    What the servers write meanwhile makes it slower than it is alone, as it makes theirs.

    Attributes:
        took_ms: in the order of time.
    """

    def __init__(self) -> None:
        super().__init__("syncs", SYNC_S_MAX)
        self.took_ms: list[float] = []

    def go_on(self) -> None:
        """Sync, rest, sync."""
        with tempfile.TemporaryFile(buffering=0) as file:
            while not self.ended.wait(SYNC_REST_S):
                self.took_ms.append(_synced_ms(file))


class Beats(Aside):
    """A small piece of the server's work beside a run, again and again: what it costs says how fast the cores are then.

    It takes a hundredth of a core. Use as a context.

    Attributes:
        took_us: of CPU each time, to parse a gift, build the event that tells of it, and write and read a frame.
    """

    def __init__(self) -> None:
        super().__init__("beats", BEAT_S_MAX)
        self.took_us: list[float] = []

    @property
    def median_us(self) -> float:
        """Over the run so far.

        Raises:
            statistics.StatisticsError: it was shorter than one beat.
        """
        return statistics.median(self.took_us)

    def go_on(self) -> None:
        """Work, rest, work."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            while not self.ended.wait(BEAT_REST_S):
                began_s = time.thread_time()
                for seq in range(BEAT_LOOPS):
                    _parse_and_build(seq)
                    _write_and_read(ours, theirs)
                self.took_us.append((time.thread_time() - began_s) / BEAT_LOOPS * 1e6)


def _synced_ms(file: IO[bytes]) -> float:
    began_s = time.perf_counter()
    file.write(bytes(BLOCK_BYTES))
    os.fdatasync(file.fileno())
    return (time.perf_counter() - began_s) * 1e3


def _python_us() -> float:
    began_s = time.process_time()
    for seq in range(LOOPS):
        _parse_and_build(seq)
    return (time.process_time() - began_s) / LOOPS * 1e6


def _write_us() -> float:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        began_s = time.process_time()
        for _ in range(WRITES):
            _write_and_read(ours, theirs)
        return (time.process_time() - began_s) / WRITES * 1e6


def _parse_and_build(seq: int) -> None:
    _decode(_GIFT)
    _encode(Events("r", 1, seq, [GiftEvent(seq, Sender("s", "s"), "c", "rose", 1, 1, 1, 0)]))


def _write_and_read(ours: socket.socket, theirs: socket.socket) -> None:
    os.write(ours.fileno(), _FRAME)
    os.read(theirs.fileno(), FRAME_BYTES)


def _fsync_ms(folder: Path | None) -> list[float]:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return [_synced_ms(file) for _ in range(FSYNCS)]

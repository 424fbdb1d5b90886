"""What all gateways of one data folder counted: a scrape that reaches any of them tells the sum.

Each process keeps a file with its numbers up to date, and holds a lock beside it for as long as it lives. What a dead
process had counted goes on counting, since a counter that falls looks to Prometheus like one that began anew; what it
held (sockets, rooms) is gone with it. A process that starts puts the files of the dead together into one.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from gateway.run.keeping.folder import put_in_place

WRITE_S: Final = 2.0
"""How old the numbers of the other processes may be."""
FOLDER: Final = "metrics"
_DEAD: Final = "dead"
_GAUGE: Final = "gauge"
_log = structlog.get_logger()


class Family(Struct, frozen=True, array_like=True):
    """One metric with all its samples.

    Attributes:
        kind: Prometheus' word for it: `counter`, `gauge` or `histogram`.
        samples: name, label pairs, value.
    """

    name: str
    kind: str
    text: str
    samples: list[tuple[str, list[tuple[str, str]], float]]


_decoder = msgspec.msgpack.Decoder(list[Family])
_encoder = msgspec.msgpack.Encoder()


def families_of(registry: CollectorRegistry) -> list[Family]:
    """What a registry holds now. When a series was made is left out: nobody asks, and it cannot be summed."""
    return [
        Family(
            family.name,
            family.type,
            family.documentation,
            [
                (sample.name, sorted(sample.labels.items()), float(sample.value))
                for sample in family.samples
                if not sample.name.endswith("_created")
            ],
        )
        for family in registry.collect()
    ]


def summed(parts: Iterable[list[Family]]) -> list[Family]:
    """Sample by sample; what only some of them have is taken as it is."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for part in parts:
        for family in part:
            families.setdefault(family.name, family)
            sums = values.setdefault(family.name, {})
            for name, labels, value in family.samples:
                key = (name, tuple(labels))
                sums[key] = sums.get(key, 0.0) + value
    return [
        Family(name, family.kind, family.text, [(key[0], list(key[1]), value) for key, value in values[name].items()])
        for name, family in families.items()
    ]


def without_gauges(families: list[Family]) -> list[Family]:
    """What a process that is gone leaves: how it was no longer counts."""
    return [family for family in families if family.kind != _GAUGE]


def text_of(families: list[Family]) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Ready(families))
    return generate_latest(registry)


class SharedMetrics:
    """This process' place among the gateways of a folder.

    Args:
        run: the folder of what lives while the server runs; shared by its processes and theirs alone.
        own: what this process counted until now.
    """

    def __init__(self, run: Path, own: Callable[[], list[Family]]) -> None:
        self._folder = run / FOLDER
        self._own = own
        self._name = secrets.token_hex(8)
        self._lock: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Join the others. On a disk that cannot be written this process counts for itself."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder / f"{self._name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._bury()
            self._write()
        except OSError as exc:
            _log.warning("metrics_not_shared", error=str(exc))
        self._task = asyncio.create_task(self._keep_writing(), name="shared-metrics")

    async def stop(self) -> None:
        """Leave the last numbers behind."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lock is not None:
            self._write()
            os.close(self._lock)
            self._lock = None

    def text(self) -> bytes:
        """The sum of this process' numbers, now, and those that the others wrote last."""
        return text_of(summed([self._own(), *self._others()]))

    def _others(self) -> Iterator[list[Family]]:
        for file in sorted(self._folder.glob("*.msgpack")):
            if file.stem != self._name:
                families = _read(file)
                yield families if self._lives(file.stem) else without_gauges(families)

    def _lives(self, name: str) -> bool:
        """Whether somebody holds its lock."""
        try:
            handle = os.open(self._folder / f"{name}.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _bury(self) -> None:
        """Put the files of the dead together, one process at a time. Killed in between, it may count some twice."""
        with _locked(self._folder / "burial.lock"):
            names = [file.stem for file in self._folder.glob("*.msgpack")]
            dead = [name for name in names if name not in (self._name, _DEAD) and not self._lives(name)]
            if dead:
                parts = [_read(self._folder / f"{name}.msgpack") for name in [_DEAD, *dead]]
                put_in_place(self._folder / f"{_DEAD}.msgpack", _encoder.encode(without_gauges(summed(parts))))
            for name in dead:
                (self._folder / f"{name}.msgpack").unlink(missing_ok=True)
                (self._folder / f"{name}.lock").unlink(missing_ok=True)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            self._write()

    def _write(self) -> None:
        try:
            put_in_place(self._folder / f"{self._name}.msgpack", _encoder.encode(self._own()))
        except OSError as exc:
            _log.warning("metrics_not_shared", error=str(exc))


class _Ready(Collector):
    """Families that are there already."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            made = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                made.add_sample(name, dict(labels), value)
            yield made


def _read(file: Path) -> list[Family]:
    """Empty when it is gone, or holds something else."""
    try:
        return _decoder.decode(file.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as exc:
        _log.warning("metrics_unreadable", file=file.name, error=str(exc))
        return []


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

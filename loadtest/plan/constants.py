"""What each thing costs, as it was measured: each constant with its interval, the machine, and its references.

A constant is the cost of one of what is counted. Costs of processors are in µs, those of `base` and `socket` in µs a
second. An interval holds nine of ten draws of the bootstrap; it says how far the measurement carries, not how far your
machine is from ours.
"""

from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

VERSION: Final = 2
GATEWAY: Final = (*("base", "socket", "gift", "commit", "message", "fact", "wallet", "tick", "frame", "call"),)
VALKEY: Final = ("base", "gift", "part", "batch", "tell", "delivery", "call")
WORKER: Final = ("base", "gift", "batch", "tell", "transaction")
POSTGRES: Final = ("base", "gift", "transaction")
FRAME_BYTES: Final = ("gift", "frame", "event", "board")
AOF_BYTES: Final = ("gift", "part", "batch", "tell", "presence")
WAL_BYTES: Final = ("gift", "transaction")
PUBLISHED_BYTES: Final = ("gift", "commit", "fact", "wallet")
ROWS: Final = ("gift", "transaction")
MEMORY: Final = (
    *("gateway_base_mb", "socket_kb", "valkey_base_mb", "gift_id_bytes", "history_fact_bytes"),
    *("worker_base_mb", "postgres_base_mb"),
)
GENERATOR: Final = ("base", "gift", "sighting", "frame")
REFERENCES: Final = ("python_us", "write_us", "beat_us", "fsync_ms")
FITTED: Final = {
    "gateway": GATEWAY,
    "valkey": VALKEY,
    "worker": WORKER,
    "postgres": POSTGRES,
    "frame_bytes": FRAME_BYTES,
    "published_bytes": PUBLISHED_BYTES,
    "aof_bytes": AOF_BYTES,
    "wal_bytes": WAL_BYTES,
    "rows": ROWS,
}
"""Those that are fitted to runs of the grid, by part."""
PARTS: Final = {**FITTED, "memory": MEMORY, "generator": GENERATOR, "references": REFERENCES}
"""Every constant there is, by part."""


class ConstantsUnusable(Exception):
    """The file of constants cannot be read, or is not one of this version."""


class Constant(Struct, frozen=True):
    """A measured number, and between what 9 of 10 draws lay."""

    value: float
    low: float
    high: float

    def times(self, scale: float) -> "Constant":
        """So many times as much."""
        return Constant(self.value * scale, self.low * scale, self.high * scale)

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


Costs = dict[str, Constant]


class Place(Struct, frozen=True):
    """Where and how constants were measured.

    Attributes:
        runs: of the grid; `seconds` each of them sent gifts.
        gifts: accepted in all of them.
        foreign_cores: that others used meanwhile, in the median of the runs.
    """

    date: str
    version: str
    python: str
    machine: str
    cores: int
    kernel: str
    command: str
    runs: int
    seconds: float
    gifts: int
    foreign_cores: float = 0.0


class Constants(Struct, frozen=True, forbid_unknown_fields=True):
    """All that was measured.

    Attributes:
        version: of this shape.
        gateway, valkey, worker, postgres: µs of a processor for each; `part` is a partition in a commit.
        frame_bytes: that clients are sent for each: the answer and the overlay's event of a gift, a frame of viewers,
            an event in one, a top list in one.
        published_bytes: that Valkey sends for each: all answers about a gift, around those of a commit, a fact that a
            gateway hears, a wallet that it hears of.
        aof_bytes, wal_bytes, rows: written by Valkey and by PostgreSQL for each.
        memory: see MEMORY; of a fact in a room's history, and of a gift elsewhere in Valkey as long as its id is known.
        generator: µs of the load generator for each gift sent, gift seen by an overlay, frame of a viewer; `base` of
            each of its processes.
        references: what this machine does in µs or ms: parse and build a gift in Python, write a frame into a socket,
            both beside the runs (processors are told at the median of that), bring 4 KB to disk.
        fsync_ms: the times of such fsyncs beside the runs, from fastest to slowest in equal steps, without the slowest.
        errors: by part, how far the fit lies from its runs (median, in parts of the measured).
    """

    version: int
    place: Place
    gateway: Costs
    valkey: Costs
    worker: Costs
    postgres: Costs
    frame_bytes: Costs
    published_bytes: Costs
    aof_bytes: Costs
    wal_bytes: Costs
    rows: Costs
    memory: Costs
    generator: Costs
    references: Costs
    fsync_ms: list[float]
    errors: dict[str, float]

    def part(self, name: str) -> Costs:
        """The constants of a part."""
        costs: Costs = getattr(self, name)
        return costs

    def at_beat(self, beat_us: float) -> "Constants":
        """On cores on which the beat beside the runs takes so long: what is done in Python takes longer by as much."""
        scale = beat_us / self.references["beat_us"].value
        changed = {
            part: {name: one.times(scale) for name, one in self.part(part).items()}
            for part in ("gateway", "worker", "generator")
        }
        references = self.references | {"beat_us": self.references["beat_us"].times(scale)}
        return msgspec.structs.replace(self, references=references, **changed)

    def drawn(self, where: str) -> "Constants":
        """With every constant at the `low` or `high` end of its interval: the bounds of what follows from them."""
        changed = {
            part: {name: _at(one, where) for name, one in self.part(part).items()}
            for part in PARTS
            if part != "references"
        }
        return msgspec.structs.replace(self, **changed)


def _at(constant: Constant, where: str) -> Constant:
    value: float = getattr(constant, where)
    return Constant(value, value, value)


def load_constants(file: Path | None = None) -> Constants:
    """The constants of a file, or those that come with the package.

    Raises:
        ConstantsUnusable: see there.
    """
    try:
        if file is None:
            content = (resources.files("loadtest.plan") / "constants.json").read_bytes()
        else:
            content = file.read_bytes()
        found = msgspec.json.decode(content, type=Constants)
    except OSError as exc:
        raise ConstantsUnusable(f"{file}: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise ConstantsUnusable(f"{file or 'constants.json'} holds no constants: {exc}") from exc
    faults = [] if found.version == VERSION else [f"version {found.version} is not {VERSION}"]
    for part, names in PARTS.items():
        costs = found.part(part)
        if set(costs) != set(names):
            faults.append(f"{part} must have {', '.join(names)}")
        elif any(not 0 <= one.low <= one.value <= one.high < float("inf") for one in costs.values()):
            faults.append(f"{part}: 0 ≤ low ≤ value ≤ high does not hold")
    if not found.fsync_ms or any(not 0 <= one < float("inf") for one in found.fsync_ms):
        faults.append("fsync_ms is empty, or no time")
    if faults:
        raise ConstantsUnusable(f"{file or 'constants.json'}: {'; '.join(faults)}")
    return found


def save_constants(constants: Constants, file: Path) -> None:
    """Write them, in digits that people can compare."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(constants), indent=2) + b"\n")

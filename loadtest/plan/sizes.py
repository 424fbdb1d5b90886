"""The answers that docs/scale.md holds: a hundred thousand, a million and ten million viewers.

They are kept in a file with the digest of the constants that they follow from, so that a test sees when they are old.
"""

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.plan.answer import Asked, answer
from loadtest.plan.constants import Constants
from loadtest.plan.flows import Demand
from loadtest.plan.simulation.piece import times_at
from loadtest.plan.simulation.simulate import Overrun

VIEWERS: Final = (100_000, 1_000_000, 10_000_000)
VIEWERS_PER_ROOM: Final = 50
VIEWERS_PER_GIFT_S: Final = 20
VIEWERS_PER_GIVER: Final = 10
_FILE: Final = "sizes.json"


class Broken(Struct, frozen=True):
    """A limit of today's code, and at how many viewers it is reached; None where it was not found below ten times as
    many."""

    name: str
    share: float
    viewers: float | None
    helps: str
    built: bool


class Size(Struct, frozen=True):
    """One answer.

    Attributes:
        enough: whether there is a number of each part that is.
        cores: in use, by part; `bounds` of all of them, by the constants' intervals.
        p99_ms: gift → accepted, overlay, viewer; empty where there is no steady state, and `why_not` says why.
        limits: those first that break first.
    """

    viewers: int
    rooms: int
    gifts_per_s: float
    together: bool
    gateways: int
    workers: int
    primaries: int
    partitions: int
    enough: bool
    cores: dict[str, float]
    bounds: tuple[float, float]
    primary_today: float
    gateways_gb: float
    valkey_gb: float
    client_gbit: float
    published_gbit: float
    rows_per_s: float
    wal_mb_per_s: float
    aof_mb_per_s: float
    p99_ms: list[float]
    why_not: str
    limits: list[Broken]


class Sizes(Struct, frozen=True):
    """All of them, and the digest of their constants."""

    constants: str
    sizes: list[Size]


def question(viewers: int, *, together: bool = False) -> Asked:
    """So many viewers with rooms of 50 on the average, a tenth of them giving, each twentieth once a second."""
    return Asked(
        Demand(
            viewers=viewers,
            rooms=max(viewers // VIEWERS_PER_ROOM, 1),
            gifts_per_s=viewers / VIEWERS_PER_GIFT_S,
            givers=max(viewers // VIEWERS_PER_GIVER, 1),
        ),
        together=together,
    )


def all_sizes(constants: Constants, told: Callable[[str], None] = lambda _: None) -> Sizes:
    """Work them all out."""
    rows = []
    for viewers in VIEWERS:
        for together in (False, True):
            told(f"{viewers:,} viewers, rooms {'kept together' if together else 'spread by chance'}")
            rows.append(size_of(question(viewers, together=together), constants))
    return Sizes(digest(constants), rows)


def size_of(asked: Asked, constants: Constants) -> Size:
    """One answer, with latencies."""
    found = answer(asked, constants)
    needed, used, demand = found.needed, found.needed.usage, asked.demand
    p99_ms, why_not = [], ""
    try:
        times = times_at(asked, needed, constants)
        p99_ms = [one.p99 or 0.0 for one in (times.accepted_ms, times.overlay_ms, times.viewer_ms)]
    except Overrun as exc:
        why_not = str(exc)
    return Size(
        viewers=demand.viewers,
        rooms=demand.rooms,
        gifts_per_s=demand.gifts_per_s,
        together=asked.together,
        gateways=needed.layout.gateways,
        workers=needed.layout.workers,
        primaries=needed.layout.primaries,
        partitions=needed.layout.partitions,
        enough=found.enough,
        cores={part: getattr(used, part) for part in ("gateway", "valkey", "worker", "postgres")},
        bounds=(found.bounds.low.cores, found.bounds.high.cores),
        primary_today=found.today.usage.primary,
        gateways_gb=used.gateway_mb / 1024,
        valkey_gb=used.valkey_mb / 1024,
        client_gbit=used.frame_bytes * 8 / 1e9,
        published_gbit=used.published_bytes * 8 / 1e9,
        rows_per_s=used.rows,
        wal_mb_per_s=used.wal_bytes / 1e6,
        aof_mb_per_s=used.aof_bytes / 1e6,
        p99_ms=p99_ms,
        why_not=why_not,
        limits=[
            Broken(
                limit.name,
                limit.share,
                None if limit.breaks_at is None else demand.viewers * limit.breaks_at,
                limit.helps,
                limit.built,
            )
            for limit in found.limits
        ],
    )


def digest(constants: Constants) -> str:
    """Of everything that an answer follows from."""
    return hashlib.sha256(msgspec.json.encode(constants, order="sorted")).hexdigest()[:16]


def kept_sizes() -> Sizes:
    """Those that come with the package."""
    content = (resources.files("loadtest.plan") / _FILE).read_bytes()
    return msgspec.json.decode(content, type=Sizes)


def save_sizes(sizes: Sizes, file: Path) -> None:
    """Write them."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(sizes), indent=2) + b"\n")

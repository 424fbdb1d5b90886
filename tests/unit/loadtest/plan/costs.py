"""Constants in round numbers, for tests of what is made of them."""

from collections.abc import Mapping

import msgspec

from loadtest.plan.constants import PARTS, VERSION, Constant, Constants, Place

ROUND: Mapping[str, Mapping[str, float]] = {
    "gateway": {
        "base": 20_000,
        "socket": 2,
        "gift": 30,
        "commit": 80,
        "message": 40,
        "fact": 3,
        "wallet": 1,
        "tick": 50,
        "frame": 6,
        "call": 200,
    },
    "valkey": {"base": 10_000, "gift": 10, "part": 60, "batch": 60, "tell": 40, "delivery": 6, "call": 30},
    "worker": {"base": 20_000, "gift": 16, "batch": 150, "tell": 40, "transaction": 300},
    "postgres": {"base": 10_000, "gift": 8, "transaction": 200},
    "frame_bytes": {"gift": 500, "frame": 100, "event": 200, "board": 600},
    "published_bytes": {"gift": 150, "commit": 50, "fact": 180, "wallet": 30},
    "aof_bytes": {"gift": 500, "part": 80, "batch": 70, "tell": 40, "presence": 10},
    "wal_bytes": {"gift": 650, "transaction": 1_000},
    "rows": {"gift": 3, "transaction": 4},
    "memory": {
        "gateway_base_mb": 60,
        "socket_kb": 3,
        "valkey_base_mb": 10,
        "gift_id_bytes": 120,
        "history_fact_bytes": 200,
        "worker_base_mb": 60,
        "postgres_base_mb": 100,
    },
    "generator": {"base": 5_000, "gift": 30, "sighting": 10, "frame": 3},
    "references": {"python_us": 3, "write_us": 3, "beat_us": 6, "fsync_ms": 0.2},
}


def exactly(value: float) -> Constant:
    """A constant without doubt."""
    return Constant(value, value, value)


def constants(**changed: Mapping[str, float]) -> Constants:
    """Round numbers, some of them changed by part."""
    parts = {
        part: {name: exactly((dict(ROUND[part]) | dict(changed.get(part, {})))[name]) for name in names}
        for part, names in PARTS.items()
    }
    place = Place("2026-01-01", "0.1.0", "3.11", "a machine", 2, "6.1", "giftwire plan measure", 3, 1.0, 1_000)
    return Constants(version=VERSION, place=place, **parts, fsync_ms=[0.2, 0.2], errors={})


def without_costs() -> Constants:
    """Everything is free, and at once."""
    nothing = {part: dict.fromkeys(names, 0.0) for part, names in PARTS.items()}
    return msgspec.structs.replace(constants(**nothing), fsync_ms=[0.0])

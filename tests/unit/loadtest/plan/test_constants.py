"""Constants are read as they were written, and a file that does not fit is refused in words."""

from pathlib import Path

import msgspec
import pytest

from loadtest.plan.constants import PARTS, Constant, ConstantsUnusable, load_constants, save_constants
from tests.unit.loadtest.plan.costs import constants, exactly


def test_constants_are_read_as_they_were_written(tmp_path: Path) -> None:
    """All of them."""
    file = tmp_path / "constants.json"
    save_constants(constants(), file)
    assert load_constants(file) == constants()


def test_constants_that_come_along() -> None:
    """Each has a value, most are not 0, and they name no folder of a machine."""
    found = load_constants()
    assert all(set(found.part(part)) == set(names) for part, names in PARTS.items())
    for part in ("gateway", "valkey", "worker", "postgres"):
        assert sum(one.value > 0 for one in found.part(part).values()) > len(PARTS[part]) / 2
    assert "/" not in found.place.command


def test_ends_of_the_intervals() -> None:
    """Costs go to their low or high ends; references stay."""
    found = msgspec.structs.replace(constants(), rows={"gift": Constant(3, 2, 4), "transaction": exactly(4)})
    assert found.drawn("low").rows["gift"] == exactly(2)
    assert found.drawn("high").rows["gift"] == exactly(4)
    assert found.drawn("high").references == found.references


def test_slower_cores_make_python_dearer() -> None:
    """By as much as the beat is longer; Valkey, PostgreSQL, bytes and memory stay."""
    good = constants()
    found = good.at_beat(2 * good.references["beat_us"].value)
    for part in ("gateway", "worker", "generator"):
        assert found.part(part) == {name: exactly(2 * one.value) for name, one in good.part(part).items()}
    for part in ("valkey", "postgres", "aof_bytes", "memory"):
        assert found.part(part) == good.part(part)
    assert found.references["beat_us"].value == 2 * good.references["beat_us"].value


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """No file, no JSON, another version, a part that lacks something, an interval that is none, no fsync."""
    file = tmp_path / "constants.json"
    good = constants()
    wrong = {
        "version 9 is not": msgspec.structs.replace(good, version=9),
        "rows must have": msgspec.structs.replace(good, rows={"gift": exactly(1)}),
        "rows: 0 ≤": msgspec.structs.replace(good, rows=good.rows | {"gift": Constant(1, 2, 3)}),
        "worker: 0 ≤": msgspec.structs.replace(good, worker=good.worker | {"gift": exactly(-1)}),
        "fsync_ms": msgspec.structs.replace(good, fsync_ms=[]),
    }
    for words, one in wrong.items():
        save_constants(one, file)
        with pytest.raises(ConstantsUnusable, match=words):
            load_constants(file)
    file.write_text("{")
    with pytest.raises(ConstantsUnusable, match="holds no constants"):
        load_constants(file)
    with pytest.raises(ConstantsUnusable, match="No such file"):
        load_constants(tmp_path / "none.json")

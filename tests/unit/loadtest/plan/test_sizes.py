"""The answers that come along follow from the constants that come along."""

import pytest

from loadtest.plan.check import kept_checked
from loadtest.plan.constants import load_constants
from loadtest.plan.display import SIZE_COLUMNS, checked_rows, size_row
from loadtest.plan.measuring.grid import HELD_OUT
from loadtest.plan.sizes import VIEWERS, digest, kept_sizes, question, size_of
from tests.unit.loadtest.plan.costs import constants


def test_kept_answers_are_of_the_kept_constants() -> None:
    """`giftwire plan sizes --json-out loadtest/plan/sizes.json` makes them anew after a measurement."""
    kept = kept_sizes()
    assert kept.constants == digest(load_constants())
    asked = [(size.viewers, size.together) for size in kept.sizes]
    assert asked == [(viewers, together) for viewers in VIEWERS for together in (False, True)]


def test_a_kept_answer_is_what_is_answered_now() -> None:
    """The smallest of them, worked out anew."""
    kept = next(size for size in kept_sizes().sizes if size.together)
    found = size_of(question(kept.viewers, together=True), load_constants())
    assert (found.gateways, found.workers, found.primaries) == (kept.gateways, kept.workers, kept.primaries)
    assert found.cores == pytest.approx(kept.cores, rel=1e-6)
    assert found.p99_ms == pytest.approx(kept.p99_ms, rel=1e-6)
    assert [limit.name for limit in found.limits] == [limit.name for limit in kept.limits]


def test_cells_of_an_answer() -> None:
    """One for each title; where no number is enough, and where nothing is steady, words stand."""
    size = size_of(question(1_000), constants())
    assert len(size_row(size)) == len(SIZE_COLUMNS)
    assert size_row(size)[:3] == ("1k", "20, by chance", "50")
    assert size.enough
    assert all(one > 0 for one in size.p99_ms)
    large = size_of(question(1_000_000), constants(valkey={"delivery": 500}))
    cells = dict(zip((title for title, _ in SIZE_COLUMNS), size_row(large), strict=True))
    assert cells["Valkey primaries"] == "no number is enough"
    assert cells["p99 ms accepted / overlay / viewer"] == "no steady state"
    assert "cores, and can use one" in large.why_not


def test_kept_check_is_of_what_is_held_out() -> None:
    """Every point of it, with a row for each quantity."""
    kept = kept_checked()
    assert [one.prediction.point for one in kept] == [point for block in HELD_OUT for point in block.points]
    for one in kept:
        assert len(checked_rows(one)) == len(one.compared) > 10

"""The search for the highest rate that holds, over servers of which that rate is known."""

import msgspec
import pytest

from loadtest.report.climb import DOWN_MAX, REFINEMENTS, Climb, climb, find_max, words_of
from loadtest.report.report import Report
from loadtest.script.scenario import Scenario
from tests.unit.loadtest.reports import SCENARIO, report


@pytest.mark.parametrize("limit", [1.6, 90.0, 100.0, 101.0, 777.0, 4_321.0])
def test_limit_is_enclosed(limit: float) -> None:
    """Wherever it lies, the rates at the end are on both sides of it, and closer than the step that passed it."""
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    low, high = climb(100.0, 1e6, holds)
    assert high is not None
    assert low <= limit < high
    assert (high - low) / low <= 1.0 / 2**REFINEMENTS + 1e-9
    assert {low, high} <= set(tried)


def test_search_ends_at_the_bound() -> None:
    """No rate above it is tried; when all hold, nothing is known above."""
    tried: list[float] = []
    low, high = climb(100.0, 300.0, lambda rate: not tried.append(rate))  # type: ignore[func-returns-value]
    assert (low, high) == (225.0, None)
    assert tried == [100.0, 150.0, 225.0]


def test_search_gives_up_on_a_server_that_holds_nothing() -> None:
    """The first rate is halved so often and no more."""
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return False

    assert climb(64.0, 1e6, holds) == (0.0, 64.0 / 2**DOWN_MAX)
    assert len(tried) == 1 + DOWN_MAX


def report_of(scenario: Scenario, *, limit: float, loses: bool = False, limited: bool = False) -> Report:
    """The run of a server that carries so many gifts a second, and may lose one beyond that."""
    held = scenario.rate_per_s <= limit
    whole = report(scenario=scenario)
    return msgspec.structs.replace(
        whole,
        ok=held,
        verdict=msgspec.structs.replace(whole.verdict, ok=held or not loses),
        gifts_per_s=min(scenario.rate_per_s, limit),
        generator=msgspec.structs.replace(
            whole.generator, limited_by=["process 1 was busy"] if limited and not held else []
        ),
    )


def found(limit: float, **more: bool) -> Climb:
    """A search over such a server."""
    return find_max(SCENARIO, 1e6, lambda scenario: report_of(scenario, limit=limit, **more))


def test_search_says_what_it_tried() -> None:
    """Each step in its order with what was accepted, and in words what held and what did not."""
    climbed = found(160.0)
    assert [step.rate_per_s for step in climbed.steps[:3]] == [100.0, 150.0, 225.0]
    assert (climbed.max_per_s, climbed.failed_per_s, climbed.ok) == (159.375, 168.75, True)
    assert words_of([climbed]) == ["t: 159 gifts/s held, 169 did not"]
    assert msgspec.json.decode(msgspec.json.encode(climbed))["steps"][2]["held"] is False


def test_search_names_a_generator_that_was_the_limit() -> None:
    """A rate that failed with a busy generator says nothing sure about the server."""
    assert "generator may have been the limit" in words_of([found(160.0, limited=True)])[0]


def test_lost_gift_at_a_rate_too_high_is_no_success() -> None:
    """Too slow is allowed while one searches; lost is not."""
    climbed = found(160.0, loses=True)
    assert (climbed.max_per_s, climbed.ok) == (159.375, False)


def test_search_without_success_says_so() -> None:
    """No rate held."""
    climbed = found(0.1)
    assert (climbed.ok, words_of([climbed])) == (False, ["t: no rate held"])

"""Numbers as people write them."""

import click
import pytest

from loadtest.plan.quantities import COUNT, RATE, TIME, count_of, millis_of, rate_of, short


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1500", 1_500), ("20k", 20_000), ("1M", 1e6), ("1m", 1e6), ("2.5k", 2_500), ("1_000", 1_000)),
        *(("1,000", 1_000), (" 1 M ", 1e6), ("1G", 1e9), ("1e6", 1e6), ("0", 0), ("1000G", 1e12)),
    ],
)
def test_counts(text: str, value: float) -> None:
    """With and without a suffix, in either case."""
    assert count_of(text) == value


@pytest.mark.parametrize("text", ["", "k", "1X", "-1", "1.2.3", "1kk", "nan", "inf", "1001G", "1e99999", "20 people"])
def test_what_is_no_count(text: str) -> None:
    """It is said what would be one."""
    with pytest.raises(ValueError, match=r"no number|more than"):
        count_of(text)


@pytest.mark.parametrize(
    ("text", "value"), [("50k/s", 50_000), ("50k", 50_000), ("30k/min", 500), ("36k/h", 10), ("0/s", 0)]
)
def test_rates(text: str, value: float) -> None:
    """A second unless it is said otherwise."""
    assert rate_of(text) == value


@pytest.mark.parametrize("text", ["5/y", "5/", "/s", "5/s/s", "5k/ms"])
def test_what_is_no_rate(text: str) -> None:
    """Another time, none, or no number."""
    with pytest.raises(ValueError, match=r"no rate|no number"):
        rate_of(text)


def test_times() -> None:
    """Milliseconds and seconds, and nothing without a unit."""
    assert (millis_of("50ms"), millis_of("0.2s")) == (50, 200)
    for text in ("50", "0ms", "-1ms", "1m", ""):
        with pytest.raises(ValueError, match="no time"):
            millis_of(text)


def test_options_say_what_is_wrong() -> None:
    """The words of the parser, and a bound."""
    for kind, text in ((COUNT, "0"), (COUNT, "x"), (RATE, "1/y"), (TIME, "0.5ms")):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)
    assert (COUNT.convert("2k", None, None), RATE.convert(5, None, None)) == (2_000, 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.351, "0.351"), (12.34, "12.3"), (999.6, "1k"), (1_500, "1.5k"), (2e6, "2M"), (3.21e9, "3.21G")],
)
def test_short_numbers(value: float, text: str) -> None:
    """Three digits, and a suffix."""
    assert short(value) == text

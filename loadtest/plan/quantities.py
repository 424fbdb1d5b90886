"""Numbers as people write them: `1M` viewers, `50k/s` gifts, a tick of `50ms`; and back."""

import re
from typing import Any, Final

import click

_NUMBER: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:e\d+)?)\s*(?P<suffix>[kKmMgG]?)", re.ASCII)
_FACTORS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
COUNT_MAX: Final = 1e12
"""Nobody means more than this: a slip of the keys."""


def count_of(text: str) -> float:
    """`1M`, `20k`, `1500`, `2.5k`, `1_000_000` as a number from 0 to COUNT_MAX.

    Raises:
        ValueError: it is none of them.
    """
    found = _NUMBER.fullmatch(text.strip().replace("_", "").replace(",", ""))
    if found is None:
        raise ValueError(f"{text!r} is no number: write 1500, 20k or 1M")
    value = float(found["number"]) * _FACTORS[found["suffix"].lower()]
    if value > COUNT_MAX:
        raise ValueError(f"{text!r} is more than {COUNT_MAX:.0e}")
    return value


def rate_of(text: str) -> float:
    """`50k/s` or `50k`, a second; `30k/min` and `1M/h` too.

    Raises:
        ValueError: it is none of them.
    """
    number, slash, per = text.strip().partition("/")
    seconds = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
    if (slash and not per) or per not in seconds:
        raise ValueError(f"{text!r} is no rate: write 50k/s, 30k/min or 1M/h")
    return count_of(number) / seconds[per]


def millis_of(text: str) -> float:
    """`50ms` or `0.2s` in milliseconds, more than 0.

    Raises:
        ValueError: it is none of them.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip(), re.ASCII)
    value = 0.0 if found is None else float(found[1]) * (1000.0 if found[2] == "s" else 1.0)
    if value <= 0:
        raise ValueError(f"{text!r} is no time: write 50ms or 0.2s")
    return value


def short(value: float, digits: int = 3) -> str:
    """A number for a table: `1.2M`, `20k`, `0.35`."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


class _Parsed(click.ParamType[float]):
    def __init__(self, name: str, least: float) -> None:
        self.name = name
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a value that is one already stays."""
        if isinstance(value, int | float):
            return float(value)
        reader = {"count": count_of, "rate": rate_of, "time": millis_of}[self.name]
        try:
            number = reader(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if number < self._least:
            self.fail(f"{value} is less than {self._least:g}", param, ctx)
        return number


COUNT: Final = _Parsed("count", 1.0)
COUNT_OR_NONE: Final = _Parsed("count", 0.0)
RATE: Final = _Parsed("rate", 0.0)
TIME: Final = _Parsed("time", 1.0)

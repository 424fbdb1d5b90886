"""A viewer's own caps: a cut holds at once, a raise waits; and the packed form keeps everything."""

import struct

import pytest

from ledger.guards.ages import AgeStep
from ledger.live.guard_state import NO_SETTINGS, GuardSettings, OwnCap, pack_settings, read_guard
from ledger.model import AMOUNT_MAX, Limit, Refusal

WISHES = """
# in force  pending from | wish now | in force pending from
  -         -       -    | 500   10 | 500      -       -
  -         -       -    | -     10 | -        -       -
  500       -       -    | 500   10 | 500      -       -
  500       -       -    | 499   10 | 499      -       -
  500       -       -    | 0     10 | 0        -       -
  500       -       -    | 501   10 | 500      501     110
  500       -       -    | -     10 | 500      -       110
  500       900     110  | 900   20 | 500      900     110
  500       900     110  | 700   20 | 500      700     110
  500       900     110  | 901   20 | 500      901     120
  500       900     110  | -     20 | 500      -       120
  500       -       110  | -     20 | 500      -       110
  500       -       110  | 900   20 | 500      900     110
  500       900     110  | 500   20 | 500      -       -
  500       900     110  | 400   20 | 400      -       -
  500       900     110  | 900  109 | 500      900     110
  500       900     110  | 900  110 | 900      -       -
  500       900     110  | 800  110 | 800      -       -
  500       900     110  | 901  110 | 900      901     210
  500       -       110  | 900  110 | 900      -       -
  500       -       110  | -    110 | -        -       -
  0         -       -    | 1     10 | 0        1       110
"""


def number(text: str) -> int | None:
    """A cell of the table."""
    return None if text == "-" else int(text)


@pytest.mark.parametrize("line", WISHES.strip().splitlines()[1:])
def test_wish_for_a_cap(line: str) -> None:
    """Each line of the table: what was, the wish and its time, what is; a raise waits for 100 ms."""
    before, wish, after = (part.split() for part in line.split("|"))
    coins, now_ms = wish
    cap = OwnCap(*map(number, before)).changed(number(coins), int(now_ms), 100)
    assert cap == OwnCap(*map(number, after))


@pytest.mark.parametrize("frozen", [None, "", "Ask the support. 🧊"])
def test_settings_packed_and_read(frozen: str | None) -> None:
    """Every number and the reason come back, also the largest, nought and none."""
    caps = (OwnCap(), OwnCap(0), OwnCap(5, AMOUNT_MAX, 1_800_000_000_000), OwnCap(5, None, 1))
    for ages in ((), AGES):
        settings = GuardSettings(2**40, frozen, caps, ages)
        live = read_guard(bytes(56) + pack_settings(settings))
        assert (live.settings, live.counted) == (settings, ((0, 0), (0, 0), (0, 0)))


def test_settings_without_age_are_packed_as_ever() -> None:
    """What an older version wrote is read, and what is written says nothing more than it did then."""
    packed = struct.pack(">dB12d", 3, 1, *[-1, -1, 0] * 4) + b"Ask."
    settings = GuardSettings(3, "Ask.", (OwnCap(),) * 4)
    assert pack_settings(settings) == packed
    assert read_guard(bytes(56) + packed).settings == settings


REFUSED = """
# at  known | refusal
  0   no    | -
  0   yes   | age_unknown 0
  9   yes   | age_unknown 0
  10  no    | under_age 8
  19  yes   | under_age 8
  20  yes   | guardian_needed 17
  30  yes   | own_caps_needed 0
  40  yes   | -
"""


@pytest.mark.parametrize("line", REFUSED.strip().splitlines()[1:])
def test_refusal_by_age_at_a_time(line: str) -> None:
    """Each line of the table: the step that holds decides, and an unknown age where it must be known."""
    given, told = (part.split() for part in line.split("|"))
    steps = (
        AgeStep(10, Refusal.UNDER_AGE, 8),
        AgeStep(20, Refusal.GUARDIAN_NEEDED, 17),
        AgeStep(30, None, own_caps_needed=(Limit.GIFT, Limit.DAY)),
        AgeStep(40, None, own_caps_needed=(Limit.GIFT,)),
    )
    settings = GuardSettings(1, None, (OwnCap(5), OwnCap(), OwnCap(), OwnCap()), steps)
    refusal = settings.age_refusal(int(given[0]), known=given[1] == "yes")
    assert (refusal and [refusal.refusal.value, str(refusal.age)]) == (None if told == ["-"] else told)


AGES = (
    AgeStep(0, Refusal.UNDER_AGE, 8),
    AgeStep(1, Refusal.GUARDIAN_NEEDED, 17),
    AgeStep(2, Refusal.AGE_UNKNOWN, own_caps_needed=(Limit.DAY,)),
    AgeStep(2**41, None, 0, (0, None, AMOUNT_MAX, 5), (Limit.GIFT, Limit.WEEK, Limit.MONTH)),
)


def test_guard_of_a_viewer_who_has_none() -> None:
    """No caps, no freeze, nothing counted."""
    assert read_guard(None).settings == NO_SETTINGS

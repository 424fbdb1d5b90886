"""How many gifts may wait: learned from what was judged while more waited than a commit takes."""

from collections.abc import Sequence

import pytest

from ledger.live.taking_in import LEARNED_LOOKS, LOOKS, TAKEN_IN_MIN, WAIT_AIM, TakingIn

WAITING_MAX = 20_000
WAIT_S_MAX = 0.5
COMMIT = 256
LOOK_S = WAIT_S_MAX / LOOKS


def bounds(*looks: tuple[int, int]) -> Sequence[int]:
    """The bound after each look; a look is what waits and what was judged since the one before."""
    taking_in, judged, found = TakingIn(WAITING_MAX, WAIT_S_MAX, COMMIT), 0, []
    for number, (waiting, fresh) in enumerate(looks):
        judged += fresh
        taking_in.look(number * LOOK_S, waiting, judged)
        found.append(taking_in.bound)
    return found


def aim(per_look: int) -> int:
    """The bound at a steady rate."""
    return int(per_look / LOOK_S * WAIT_S_MAX * WAIT_AIM)


def test_rate_that_was_asked_for_is_no_bound() -> None:
    """A few gifts wait at every look, since one always comes while a commit is on its way: that is no overload."""
    assert set(bounds(*[(COMMIT, 50)] * 50)) == {WAITING_MAX}


def test_burst_that_can_be_paid_is_taken_in() -> None:
    """After quiet times, many at once, which are paid at once: nothing was learned from the quiet times."""
    quiet = [(3, 10)] * 20
    assert set(bounds(*quiet, (5_000, 900), (3_900, 1_000), (200, 3_700), *quiet)) == {WAITING_MAX}


def test_ledger_that_stands_still_for_moments_is_not_overloaded() -> None:
    """One look less than it takes to learn: what waits is paid when it goes on."""
    still = [(150 * number, 0) for number in range(2, LEARNED_LOOKS + 1)]
    assert set(bounds((10, 150), *still, (50, 600), (10, 150))) == {WAITING_MAX}


@pytest.mark.parametrize("per_look", [200, 900, 1_500])
def test_more_than_is_judged_makes_the_rate_the_bound(per_look: int) -> None:
    """As many are taken in as are paid in time, by the rate of the last looks."""
    found = bounds(*[(4_000, per_look)] * LEARNED_LOOKS)
    assert found[:-1] == [WAITING_MAX] * (LEARNED_LOOKS - 1)
    assert found[-1] == pytest.approx(max(aim(per_look), TAKEN_IN_MIN), abs=1)


def test_bound_follows_a_rate_that_sinks_and_rises() -> None:
    """Only the last looks count."""
    found = bounds(*[(4_000, 1_000)] * 4, *[(4_000, 500)] * 4, *[(4_000, 2_000)] * 4)
    assert [found[3], found[7], found[11]] == [pytest.approx(aim(rate), abs=1) for rate in (1_000, 500, 2_000)]


def test_bound_is_never_above_what_may_wait_nor_too_low_to_rise() -> None:
    """At both ends."""
    assert bounds(*[(19_000, 100_000)] * 4)[-1] == WAITING_MAX
    assert bounds(*[(19_000, 0)] * 9)[-1] == TAKEN_IN_MIN


def test_bound_is_lifted_after_calm_looks_only() -> None:
    """One look at which little waited may be chance: readers pause for moments under overload."""
    found = bounds(*[(4_000, 1_000)] * 4, (100, 1_000), (4_000, 1_000), (100, 1_000), (100, 1_000))
    assert found[4] == found[5] == found[6] == pytest.approx(aim(1_000), abs=1)
    assert found[7] == WAITING_MAX

"""The state table of withdrawals: nothing is stuck, and diamonds are held exactly while money is on its way."""

import pytest

from ledger.payouts.payout_states import CAME_BACK, HOLDING, STEPS, HoldEffect, PayoutState, effect_of, next_states


@pytest.mark.parametrize("state", PayoutState)
def test_state_can_be_reached_and_left(state: PayoutState) -> None:
    """Every state but the first has a way in; a state that holds has a way to pay or to give back."""
    assert state is PayoutState.REQUESTED or any(after is state for _, after in STEPS)
    if state in HOLDING:
        reached, seen = [state], set()
        while reached:
            one = reached.pop()
            seen.add(one)
            reached += [after for after in next_states(one) if after not in seen]
        assert seen & CAME_BACK
        assert PayoutState.PAID in seen


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_step_moves_the_hold(before: PayoutState, after: PayoutState) -> None:
    """The effect of a step is the difference between where the diamonds are before and after."""
    expected = {
        (True, True): HoldEffect.NONE,
        (True, False): HoldEffect.PAY_OUT if after is PayoutState.PAID else HoldEffect.GIVE_BACK,
        (False, False): HoldEffect.TAKE_BACK,
    }
    assert effect_of(before, after) is expected[before in HOLDING, after in HOLDING]


@pytest.mark.parametrize("state", sorted(CAME_BACK))
def test_end_is_an_end(state: PayoutState) -> None:
    """What came back does not move again, and no step leads to itself."""
    assert next_states(state) == []
    assert effect_of(state, state) is None

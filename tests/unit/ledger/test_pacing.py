"""A paced task works for its share of the time, and no more."""

import pytest

from ledger.audits.pacing import CHARGED_S_MAX, Pacer, rest_s


class Time:
    """A clock that only work and rest move."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rested_s = 0.0

    def clock(self) -> float:
        """The time."""
        return self.now_s

    async def sleep(self, rest_s: float) -> None:
        """Let it pass."""
        self.now_s += rest_s
        self.rested_s += rest_s


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 1.0])
async def test_pacer_keeps_to_its_share(share: float) -> None:
    """Work is the share of work and rest, whatever the slices take."""
    time = Time()
    pacer = Pacer(share, time.clock, time.sleep)
    for took_s in (0.001, 0.02, 0.1, 0.004):
        async with pacer.slice():
            time.now_s += took_s
    assert pacer.slices == 4
    assert pacer.busy_s == pytest.approx(0.125)
    assert pacer.busy_s / time.now_s == pytest.approx(share)


def test_rest_after_a_wait() -> None:
    """A slice that waited long for a server is charged for the most that a slice can work."""
    assert rest_s(30.0, 0.01) == rest_s(CHARGED_S_MAX, 0.01) == pytest.approx(CHARGED_S_MAX * 99)

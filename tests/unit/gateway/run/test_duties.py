"""Duties are done until the end; one that fails begins again, one that finds money contradicting itself stops."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.run.duties import (
    Duty,
    DutyCondition,
    DutyState,
    do_duties,
    forget_duties,
    read_duties,
    write_duties,
)
from ledger.errors import InvariantBroken, LedgerUnavailable


class Watched:
    """The states that were told, and an end of the duties once one of them is as wished."""

    def __init__(self, wish: Callable[[DutyState], bool]) -> None:
        self.stop = asyncio.Event()
        self.last: dict[str, DutyState] = {}
        self._wish = wish

    def told(self, states: list[DutyState]) -> None:
        self.last = {state.name: state for state in states}
        if any(map(self._wish, states)):
            self.stop.set()

    async def do(self, *duties: tuple[str, Callable[[], Awaitable[None]]]) -> None:
        """Do the duties until the wish has come true."""
        async with asyncio.timeout(30):
            expected = (LedgerUnavailable,)
            await do_duties([Duty(name, run) for name, run in duties], self.stop, self.told, expected)


async def for_ever() -> None:
    """Goes on until it is cancelled."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("error", [LedgerUnavailable("away"), ZeroDivisionError("ours")])
async def test_duty_that_fails(error: Exception) -> None:
    """It begins again, is counted, and the others are left alone."""
    begun = 0

    async def fails_twice() -> None:
        nonlocal begun
        begun += 1
        if begun <= 2:
            raise error
        await for_ever()

    watched = Watched(lambda state: state.failures == 2 and state.condition is DutyCondition.RUNNING)
    await watched.do(("a", fails_twice), ("b", for_ever))
    assert begun in (2, 3)
    assert watched.last["a"].error == f"{type(error).__name__}: {error}"
    assert watched.last["b"] == DutyState("b", DutyCondition.RUNNING)


async def test_duty_that_finds_a_broken_invariant() -> None:
    """It is stopped for good and says which; the others go on."""
    begun = 0

    async def broken() -> None:
        nonlocal begun
        begun += 1
        raise InvariantBroken("I9", "a record is missing")

    rounds = 0

    async def goes_on() -> None:
        nonlocal rounds
        rounds += 1
        if rounds > 3:
            watched.stop.set()
        raise LedgerUnavailable("once more")

    watched = Watched(lambda _: False)
    await watched.do(("a", broken), ("b", goes_on))
    assert begun == 1
    assert watched.last["a"] == DutyState("a", DutyCondition.STOPPED, 1, "I9: a record is missing")


async def test_duty_that_ends_by_itself() -> None:
    """It begins again: nothing is told to be done when it is not."""

    async def ends() -> None:
        return

    watched = Watched(lambda state: state.failures == 2)
    await watched.do(("a", ends))
    assert watched.last["a"].error == "it ended by itself"


async def test_duties_that_are_stopped() -> None:
    """Each is cancelled and given the time to finish what it has in hand."""
    finished = []

    async def finishes() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            finished.append(time.monotonic())

    watched = Watched(lambda _: True)
    await watched.do(("a", finishes), ("b", finishes))
    assert len(finished) == 2 or watched.last["a"].condition is DutyCondition.RUNNING


def test_duties_in_their_file(tmp_path: Path) -> None:
    """What was written is read, nothing where nothing was, and a damaged file is told."""
    assert read_duties(tmp_path) == []
    states = [DutyState("relay", DutyCondition.FAILING, 3, "why")]
    write_duties(tmp_path, states)
    assert read_duties(tmp_path) == states
    forget_duties(tmp_path)
    assert read_duties(tmp_path) == []
    (tmp_path / "duties.json").write_text("[{]")
    with pytest.raises(ValueError, match="malformed"):
        read_duties(tmp_path)


def test_duties_that_cannot_be_written(tmp_path: Path) -> None:
    """A full disk or a folder that is gone does not end the duties."""
    write_duties(tmp_path / "gone", [])


async def test_numbers_of_a_duty() -> None:
    """Its whole numbers are told with its state."""

    class Stats(msgspec.Struct):
        """What is counted."""

        gifts: int = 0
        words: str = "not a number"

    stats = Stats()
    told: list[list[DutyState]] = []
    stop = asyncio.Event()

    async def counts() -> None:
        stats.gifts = 7
        stop.set()
        raise LedgerUnavailable("once")

    async def go_on() -> None:
        await do_duties([Duty("a", counts, stats)], stop, told.append, (LedgerUnavailable,))

    await asyncio.wait_for(go_on(), 30)
    assert told[0][0].numbers == {"gifts": 0}
    assert told[-1][0].numbers == {"gifts": 7}

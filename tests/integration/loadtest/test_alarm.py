"""The fine timer rings when it should, on both kinds of event loop."""

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from loadtest.server.alarm import Alarm

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("make_loop", LOOPS)
def test_alarm_rings_once_for_each_time_set_and_never_early(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A time in the future, then one in the past: each rings once, the first not before its time."""
    loop = make_loop()
    rung_ns: list[int] = []
    done = loop.create_future()

    def ring() -> None:
        rung_ns.append(time.monotonic_ns())
        if len(rung_ns) == 1:
            alarm.set(0)
        else:
            done.set_result(None)

    alarm = Alarm(loop, ring)
    due_ns = time.monotonic_ns() + 3_000_000
    alarm.set(due_ns)
    try:
        loop.run_until_complete(asyncio.wait_for(done, 10))
    finally:
        alarm.close()
        loop.close()
    assert len(rung_ns) == 2
    assert rung_ns[0] >= due_ns


def test_alarm_that_is_set_anew_forgets_the_earlier_time() -> None:
    """Only the last time set counts."""
    loop = asyncio.new_event_loop()
    rung_ns: list[int] = []
    done = loop.create_future()

    def ring() -> None:
        rung_ns.append(time.monotonic_ns())
        done.set_result(None)

    alarm = Alarm(loop, ring)
    due_ns = time.monotonic_ns() + 20_000_000
    alarm.set(time.monotonic_ns() + 10_000_000)
    alarm.set(due_ns)
    try:
        loop.run_until_complete(asyncio.wait_for(done, 10))
    finally:
        alarm.close()
        loop.close()
    assert rung_ns[0] >= due_ns

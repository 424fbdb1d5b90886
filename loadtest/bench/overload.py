"""Twice the gifts that the server can carry: what it accepts, how soon it refuses the rest, and how it recovers.

The maximum is what the server accepts in a second of whatever is offered: rates are raised until more offered brings no
more accepted. A rate that is answered soon (the highest rate that held) is said beside it; on a machine that others use
too it may be far lower, and twice of it no overload. Server and sender share this machine. So the maximum is found with
the same cheap sender, and where it could not send on time the bench says so and judges nothing.
"""

import asyncio
import itertools
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
import numpy as np
import numpy.typing as npt
import uvloop
from msgspec import Struct

from loadtest.bench.flood import Fate, Flood, FloodFailed, Gifts, text_frame
from loadtest.bench.server import BenchServer
from loadtest.play.run import Options, prepare
from loadtest.record.latency import Latencies
from loadtest.script.casting import set_stage
from loadtest.script.naming import GiftIds, Run, new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.server.procfs import cpu_by_part, pss_kb
from loadtest.tokens import KEY_FILE, TokenSigner

RATIO_MIN: Final = 0.9
REFUSED_P99_MS_MAX: Final = 1_000.0
NORMAL_MS_MAX: Final = 1_000.0
GROWTH_MB_MAX: Final = 100.0
"""What the server must reach: so much of its maximum accepted, 99 % of the refusals so soon, itself again so soon after
the load has fallen, and the gateway grown by no more."""
ACCEPTED_P99_MS_MAX: Final = 250.0
"""A rate holds, and the server is itself, when nothing is refused and gifts are accepted this soon."""
SENT_LATE_P99_MS_MAX: Final = 100.0
SENT_SHARE_MIN: Final = 0.95
"""A sender that is later, or sends less of what is due, has not offered the load."""
FIRST_RATE: Final = 2_000.0
STEP_FACTOR: Final = 1.4
STEP_S: Final = 3.0
TRIES: Final = 2
FRUITLESS_MAX: Final = 2
"""The search ends after so many rates in a row that brought no more than lower ones."""
FOUND_SHARE_MAX: Final = 1.1
"""More of the maximum than this cannot be accepted, unless another one than the maximum was found."""
SETTLE_S: Final = 1.0
"""Of the beginning of a step or of the overload, which is not counted."""
AFTER_S: Final = 5.0
"""How long the half of the maximum is offered after the overload."""
SLICE_NS: Final = 100_000_000
NORMAL_SLICES: Final = 5
ANSWERS_S_MAX: Final = 15.0
SENDERS_MIN: Final = 400
GIFTS_PER_SENDER_S: Final = 100.0
"""Half of what one connection may send."""
GIFT: Final = "rose"

_Numbers = npt.NDArray[np.int64]


class OverloadResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        max_per_s: the most that was accepted a second, whatever was offered; the one that was given, if one was.
        held_per_s: the highest rate offered that held; None when a maximum was given, 0 when no rate held.
        offered_per_s, sent_per_s, accepted_per_s: in the overload, after its first second.
        ratio: of `accepted_per_s` to `max_per_s`.
        refused: as `overloaded`; `otherwise` by other codes.
        unanswered: gifts without an answer, long after.
        wrong_balances: senders whose wallet is not what was given less what was accepted, and what may have been.
        normal_after_ms: from the fall of the load to the first half second in which nothing was refused and, of each
            tenth of a second, 99 % were accepted soon; None if there was none.
        gateway_mb: memory before, at most, and after.
        cpu_share: of one core, in the overload, by part and for the sender.
        not_offered: why this was no overload, or the sender and not the server may be what was measured.
        missed: aims that were not reached.
    """

    max_per_s: float
    held_per_s: float | None
    offered_per_s: float
    sent_per_s: float
    accepted_per_s: float
    ratio: float
    accepted_p99_ms: float | None
    refused: int
    refused_p99_ms: float | None
    otherwise: dict[str, int]
    unanswered: int
    wrong_balances: int
    normal_after_ms: float | None
    gateway_mb: tuple[float, float, float]
    cpu_share: dict[str, float]
    not_offered: list[str]
    missed: list[str]


class Capacity(Struct, frozen=True):
    """What rising rates have shown: gifts a second that were accepted at most, and at most offered and held."""

    most_per_s: float
    held_per_s: float | None


class Step(Struct, frozen=True):
    """What came of one rate: gifts a second that were accepted, and whether all were, and soon."""

    accepted_per_s: float
    held: bool


class _Load(Struct, frozen=True):
    """So many gifts a second for so long."""

    per_s: float
    seconds: float


class _Sender:
    """Makes the books and frames of one flood after another, and sends them.

    Args:
        coins: that each sender was given.
    """

    def __init__(self, flood: Flood, run: Run, senders: int, coins: int) -> None:
        self._flood = flood
        self._run = run
        self._senders = senders
        self._coins = coins
        self._numbers = itertools.count(1)
        self._first = 0
        self._accepted = [0] * senders
        self._unknown = [0] * senders
        self._balances = [coins] * senders

    async def send(self, loads: Sequence[_Load]) -> Gifts:
        """Offer these loads one after another."""
        ids, at_ms = GiftIds(self._run, next(self._numbers)), int(time.time() * 1000)
        total = sum(int(load.per_s * load.seconds) for load in loads)
        room, first = self._run.room(0), self._first
        frames = [text_frame(_gift(first + n, ids.make(n, at_ms), room)) for n in range(total)]
        self._first += total
        gifts = Gifts(frames, _due_ns(loads, time.monotonic_ns() + 200_000_000), self._senders, first)
        await self._flood.send(gifts, ANSWERS_S_MAX)
        for sender, accepted in enumerate(gifts.accepted_of):
            self._accepted[sender] += accepted
            self._unknown[sender] += gifts.unknown_of[sender]
            if accepted:
                self._balances[sender] = gifts.balance_of[sender]
        return gifts

    def wrong_balances(self) -> int:
        """Senders whose wallet is not what they were given less what they paid; a rose costs a coin."""
        return sum(
            not accepted <= self._coins - balance <= accepted + unknown
            for balance, accepted, unknown in zip(self._balances, self._accepted, self._unknown, strict=True)
        )


def measure_overload(server: BenchServer, *, rate: float | None, rate_max: float, seconds: float) -> OverloadResult:
    """Find the most that is accepted, offer twice of it, then half.

    Args:
        rate: what the server can carry, where that is known.
        rate_max: where the search ends.

    Raises:
        FloodFailed: the senders could not connect, or lost their sockets, or nothing was accepted.
    """
    return uvloop.run(_measure(server, rate, rate_max, seconds))


async def _measure(server: BenchServer, rate: float | None, rate_max: float, seconds: float) -> OverloadResult:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("bench", "operator"), signer)
    senders = max(SENDERS_MIN, int((rate or rate_max / 2) * 2 / GIFTS_PER_SENDER_S))
    run = new_run()
    ground = await prepare(set_stage(run, _scenario(senders, rate_max, seconds)), options)
    address = urlsplit(server.url)
    flood = Flood(
        str(address.hostname), address.port or 80, [signer.token(run.sender(n), "viewer") for n in range(senders)]
    )
    try:
        await flood.open()
        sender = _Sender(flood, run, senders, ground.granted_coins[0])
        await sender.send([_Load(FIRST_RATE / 2, SETTLE_S)])
        if rate is None:
            capacity = await climb(lambda per_s: _step(sender, per_s), rate_max)
            if not capacity.most_per_s:
                raise FloodFailed("no gift was accepted, however few were offered")
        else:
            capacity = Capacity(rate, None)
        return await _overload(server, sender, capacity, seconds)
    finally:
        flood.close()


async def climb(offer: Callable[[float], Awaitable[Step]], rate_max: float) -> Capacity:
    """Raise the rate until more offered brings no more accepted.

    Args:
        offer: offers a rate for some seconds.
        rate_max: of what is offered.
    """
    most, held, rate, fruitless = 0.0, 0.0, FIRST_RATE, 0
    while rate <= rate_max and fruitless < FRUITLESS_MAX:
        step = await offer(rate)
        held = rate if step.held else held
        fruitless = 0 if step.accepted_per_s > most else fruitless + 1
        most, rate = max(most, step.accepted_per_s), rate * STEP_FACTOR
    return Capacity(most, held)


async def _step(sender: _Sender, rate: float) -> Step:
    # Tried again: on a machine that others use too a step may fail for no fault of the server's.
    accepted_per_s = 0.0
    for _ in range(TRIES):
        seen = _Seen(await sender.send([_Load(rate, STEP_S)]))
        accepted_per_s = max(accepted_per_s, seen.accepted_between(SETTLE_S, STEP_S) / (STEP_S - SETTLE_S))
        after = seen.due_s >= SETTLE_S
        p99_ms = _p99_ms(seen.took_ns[after])
        if bool(np.all(seen.fate[after] == Fate.ACCEPTED)) and p99_ms is not None and p99_ms <= ACCEPTED_P99_MS_MAX:
            return Step(accepted_per_s, held=True)
    return Step(accepted_per_s, held=False)


async def _overload(server: BenchServer, sender: _Sender, capacity: Capacity, seconds: float) -> OverloadResult:
    pid, before = server.gateway_pid, cpu_by_part(server.processes)
    began_s, own_s = time.monotonic(), time.process_time()
    weights_kb = [pss_kb(pid)]
    weighing = asyncio.create_task(_weigh(pid, weights_kb))
    max_per_s = capacity.most_per_s
    offered = 2 * max_per_s
    try:
        gifts = await sender.send([_Load(offered, seconds), _Load(max_per_s / 2, AFTER_S)])
    finally:
        weighing.cancel()
        await asyncio.gather(weighing, return_exceptions=True)
    wall_s = time.monotonic() - began_s
    used = {part: used_s - before.get(part, 0.0) for part, used_s in cpu_by_part(server.processes).items()}
    used["sender"] = time.process_time() - own_s
    weights_kb.append(pss_kb(pid))
    seen, mb = _Seen(gifts), [kb / 1024 for kb in weights_kb]
    counted = (seen.due_s >= SETTLE_S) & (seen.due_s < seconds)
    accepted, refused = seen.fate == Fate.ACCEPTED, seen.fate == Fate.OVERLOADED
    accepted_per_s = seen.accepted_between(SETTLE_S, seconds) / (seconds - SETTLE_S)
    result = OverloadResult(
        max_per_s=round(max_per_s, 1),
        held_per_s=None if capacity.held_per_s is None else round(capacity.held_per_s, 1),
        offered_per_s=round(offered, 1),
        sent_per_s=round(seen.sent_between(SETTLE_S, seconds) / (seconds - SETTLE_S), 1),
        accepted_per_s=round(accepted_per_s, 1),
        ratio=round(accepted_per_s / max_per_s, 3),
        accepted_p99_ms=_p99_ms(seen.took_ns[counted & accepted]),
        refused=int(np.count_nonzero(refused)),
        refused_p99_ms=_p99_ms(seen.took_ns[refused]),
        otherwise=gifts.otherwise,
        unanswered=gifts.unanswered,
        wrong_balances=sender.wrong_balances(),
        normal_after_ms=_normal_after_ms(seen, seconds),
        gateway_mb=(round(mb[0], 1), round(max(mb), 1), round(mb[-1], 1)),
        cpu_share={part: round(used_s / wall_s, 2) for part, used_s in sorted(used.items())},
        not_offered=_not_offered(seen, max_per_s, accepted_per_s, seconds),
        missed=[],
    )
    return msgspec.structs.replace(result, missed=_missed(result, gifts.late_hints))


class _Seen:
    """The book of a flood as columns."""

    def __init__(self, gifts: Gifts) -> None:
        self.due_ns: _Numbers = np.frombuffer(gifts.due_ns, dtype=np.int64)
        self.sent_ns: _Numbers = np.frombuffer(gifts.sent_ns, dtype=np.int64)
        self.answered_ns: _Numbers = np.frombuffer(gifts.answered_ns, dtype=np.int64)
        self.fate = np.frombuffer(gifts.fate, dtype=np.uint8)
        self.took_ns: _Numbers = self.answered_ns - self.due_ns
        self.late_ns: _Numbers = self.sent_ns - self.due_ns
        self.due_s = (self.due_ns - self.due_ns[0]) / 1e9
        self.sent_s = (self.sent_ns - self.due_ns[0]) / 1e9
        self.answered_s = (self.answered_ns - self.due_ns[0]) / 1e9

    def sent_between(self, from_s: float, to_s: float) -> int:
        """Gifts that were sent in this time."""
        return int(np.count_nonzero((self.sent_s >= from_s) & (self.sent_s < to_s)))

    def accepted_between(self, from_s: float, to_s: float) -> int:
        """Gifts of which it was said in this time that they were accepted."""
        then = (self.answered_s >= from_s) & (self.answered_s < to_s)
        return int(np.count_nonzero(then & (self.fate == Fate.ACCEPTED)))


def _normal_after_ms(seen: _Seen, fell_s: float) -> float | None:
    """Until the first row of slices in each of which nothing is refused and 99 % are accepted soon."""
    bad = seen.fate != Fate.ACCEPTED
    slow = seen.took_ns > ACCEPTED_P99_MS_MAX * 1e6
    slices = (seen.due_ns - seen.due_ns[0] - int(fell_s * 1e9)) // SLICE_NS
    good_so_far = 0
    for number in range(int(slices[-1])):
        here = slices == number
        good_so_far = 0 if bad[here].any() or slow[here].mean() > 0.01 else good_so_far + 1
        if good_so_far == NORMAL_SLICES:
            return (number + 1 - NORMAL_SLICES) * SLICE_NS / 1e6
    return None


def _not_offered(seen: _Seen, max_per_s: float, accepted_per_s: float, seconds: float) -> list[str]:
    reasons = []
    share = seen.sent_between(SETTLE_S, seconds) / (2 * max_per_s * (seconds - SETTLE_S))
    if share < SENT_SHARE_MIN:
        reasons.append(f"only {share:.0%} of the gifts were sent in time")
    late_ms = _p99_ms(seen.late_ns[seen.due_s < seconds])
    if late_ms is not None and late_ms > SENT_LATE_P99_MS_MAX:
        reasons.append(f"gifts were sent {late_ms:.0f} ms late (p99)")
    if not np.any(seen.fate == Fate.OVERLOADED):
        reasons.append("nothing was refused: the server can carry more than was thought")
    if accepted_per_s > FOUND_SHARE_MAX * max_per_s:
        reasons.append(f"{accepted_per_s / max_per_s:.2f} of the maximum was accepted: it was not the maximum")
    return reasons


def _missed(result: OverloadResult, late_hints: int) -> list[str]:
    growth_mb = result.gateway_mb[1] - result.gateway_mb[0]
    aims = {
        f"{RATIO_MIN:.0%} of the maximum accepted": result.ratio >= RATIO_MIN,
        f"refused within {REFUSED_P99_MS_MAX:.0f} ms": (result.refused_p99_ms or 0.0) <= REFUSED_P99_MS_MAX,
        "each refusal says when to come back": late_hints == 0,
        "refused as overloaded only": not result.otherwise,
        "an answer to every gift": result.unanswered == 0,
        "every wallet right": result.wrong_balances == 0,
        f"normal after {NORMAL_MS_MAX:.0f} ms": (
            result.normal_after_ms is not None and result.normal_after_ms <= NORMAL_MS_MAX
        ),
        f"a gateway grown by {GROWTH_MB_MAX:.0f} MB at most": growth_mb <= GROWTH_MB_MAX,
    }
    return [aim for aim, reached in aims.items() if not reached]


async def _weigh(pid: int, weights_kb: list[int]) -> None:
    while True:
        await asyncio.sleep(SETTLE_S)
        weights_kb.append(pss_kb(pid))


def _gift(ref: int, gift_id: str, room: str) -> bytes:
    return f'{{"type":"gift","ref":"{ref}","id":"{gift_id}","room":"{room}","gift":"{GIFT}"}}'.encode()


def _due_ns(loads: Sequence[_Load], start_ns: int) -> "array[int]":
    due_ns, begin_ns = array("q"), start_ns
    for load in loads:
        due_ns.extend(begin_ns + int(n * 1e9 / load.per_s) for n in range(int(load.per_s * load.seconds)))
        begin_ns += int(load.seconds * 1e9)
    return due_ns


def _p99_ms(took_ns: _Numbers) -> float | None:
    latencies = Latencies()
    latencies.record_ns(took_ns)
    return latencies.percentile_ms(99)


def _scenario(senders: int, rate_max: float, seconds: float) -> Scenario:
    """What decides the coins of each sender: enough for all that could be accepted."""
    return Scenario(
        name="overload",
        summary="Single gifts of many senders in one room.",
        rate_per_s=rate_max,
        duration_s=seconds + AFTER_S + STEP_S,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix(GIFT)],
        population=Population(senders=senders),
        poisson=False,
    )

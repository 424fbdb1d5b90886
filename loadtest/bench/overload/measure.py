"""Twice the gifts that the server can carry: what it accepts, how soon it refuses the rest, and how it recovers.

The maximum is what the server accepts in a second of whatever is offered: rates are raised until more offered brings no
more accepted. A rate that is answered soon (the highest rate that held) is said beside it; on a machine that others use
too it may be far lower, and twice of it no overload. Then come rounds: the maximum is offered for some seconds, twice
of it, and half of it. A round's overload is held against what the same round accepted of the maximum, since the most of
many tries is a lucky one, and machines that others use change within minutes.

Server and sender share this machine. So the sender is a cheap one, and where it could not send on time the bench says
so and judges nothing.
"""

import asyncio
import itertools
import statistics
import time
from array import array
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
import numpy as np
import uvloop
from msgspec import Struct

from loadtest.bench.overload.flood import Fate, Flood, FloodFailed, Gifts, text_frame
from loadtest.bench.overload.search import Capacity, Step, climb
from loadtest.bench.overload.seen import ACCEPTED_P99_MS_MAX, Seen, normal_after_ms, p99_ms
from loadtest.bench.server import BenchServer
from loadtest.play.run import Options, prepare
from loadtest.script.casting import set_stage
from loadtest.script.naming import GiftIds, Run, new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.server.procfs import cpu_by_part, pss_kb
from loadtest.tokens import KEY_FILE, TokenSigner

RATIO_MIN: Final = 0.9
REFUSED_P99_MS_MAX: Final = 1_000.0
NORMAL_MS_MAX: Final = 1_000.0
GROWTH_MB_MAX: Final = 100.0
"""What the server must reach, in the middle one of the rounds: so much of what it accepts of its maximum, 99 % of the
refusals so soon, itself again so soon after the load has fallen; and the gateway grown by no more in any."""
SENT_LATE_P99_MS_MAX: Final = 100.0
SENT_SHARE_MIN: Final = 0.95
"""A sender that is later, or sends less of what is due, has not offered the load."""
STEP_S: Final = 3.0
TRIES: Final = 2
FOUND_SHARE_MAX: Final = 1.1
"""More of the maximum than this cannot be accepted, unless another one than the maximum was found."""
SETTLE_S: Final = 1.0
"""Of the beginning of a step or of the overload, which is not counted."""
AFTER_S: Final = 5.0
"""How long the half of the maximum is offered after the overload."""
ANSWERS_S_MAX: Final = 15.0
SENDERS_MIN: Final = 400
GIFTS_PER_SENDER_S: Final = 100.0
"""Half of what one connection may send."""
GIFT: Final = "rose"


class Round(Struct, frozen=True):
    """The maximum, twice of it, and half of it, one after another.

    Attributes:
        of_max_per_s: accepted a second while the maximum was offered.
        offered_per_s, sent_per_s, accepted_per_s: in the overload, after its first second.
        ratio: of `accepted_per_s` to `of_max_per_s`.
        accepted_p99_ms: in the overload.
        refused: as `overloaded`; `otherwise` by other codes.
        unanswered: gifts without an answer, long after.
        late_hints: refusals without a time after which to come back.
        normal_after_ms: from the fall of the load to the first half second in which nothing was refused and, of each
            tenth of a second, 99 % were accepted soon; None if there was none.
        cpu_share: of one core, in the overload, by part and for the sender.
        not_offered: why this was no overload, or the sender and not the server may be what was measured.
    """

    of_max_per_s: float
    offered_per_s: float
    sent_per_s: float
    accepted_per_s: float
    ratio: float
    accepted_p99_ms: float | None
    refused: int
    refused_p99_ms: float | None
    otherwise: dict[str, int]
    unanswered: int
    late_hints: int
    normal_after_ms: float | None
    cpu_share: dict[str, float]
    not_offered: list[str]


class OverloadResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        max_per_s: the most that was accepted a second, whatever was offered; the one that was given, if one was.
        held_per_s: the highest rate offered that held; None when a maximum was given, 0 when no rate held.
        rounds: at least one.
        wrong_balances: senders whose wallet is not what was given less what was accepted, and what may have been.
        gateway_mb: memory before, at most, and after.
        not_offered: why nothing is judged.
        missed: aims that were not reached.
    """

    max_per_s: float
    held_per_s: float | None
    rounds: list[Round]
    wrong_balances: int
    gateway_mb: tuple[float, float, float]
    not_offered: list[str]
    missed: list[str]


class Load(Struct, frozen=True):
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

    async def send(self, loads: Sequence[Load]) -> Gifts:
        """Offer these loads one after another."""
        ids, at_ms = GiftIds(self._run, next(self._numbers)), int(time.time() * 1000)
        total = sum(int(load.per_s * load.seconds) for load in loads)
        room, first = self._run.room(0), self._first
        frames = [text_frame(_gift(first + n, ids.make(n, at_ms), room)) for n in range(total)]
        self._first += total
        gifts = Gifts(frames, due_ns(loads, time.monotonic_ns() + 200_000_000), self._senders, first)
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


def measure_overload(
    server: BenchServer, *, rate: float | None, rate_max: float, seconds: float, rounds: int
) -> OverloadResult:
    """Find the most that is accepted, then offer it, twice of it and half of it, round after round.

    Args:
        rate: what the server can carry, where that is known.
        rate_max: where the search ends.
        seconds: how long the maximum and twice of it are offered, each; more than `SETTLE_S`.
        rounds: at least 1.

    Raises:
        FloodFailed: the senders could not connect, or lost their sockets, or nothing was accepted.
    """
    return uvloop.run(_measure(server, rate, rate_max, seconds, rounds))


async def _measure(
    server: BenchServer, rate: float | None, rate_max: float, seconds: float, rounds: int
) -> OverloadResult:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("bench", "operator"), signer)
    senders = max(SENDERS_MIN, int((rate or rate_max / 2) * 2 / GIFTS_PER_SENDER_S))
    run = new_run()
    ground = await prepare(set_stage(run, _scenario(senders, rate_max, seconds * rounds * 2)), options)
    address = urlsplit(server.url)
    flood = Flood(
        str(address.hostname), address.port or 80, [signer.token(run.sender(n), "viewer") for n in range(senders)]
    )
    try:
        await flood.open()
        sender = _Sender(flood, run, senders, ground.granted_coins[0])
        await sender.send([Load(1_000.0, SETTLE_S)])
        if rate is None:
            capacity = await climb(lambda per_s: _step(sender, per_s), rate_max)
            if not capacity.most_per_s:
                raise FloodFailed("no gift was accepted, however few were offered")
        else:
            capacity = Capacity(rate, None)
        return await _overload(server, sender, capacity, seconds, rounds)
    finally:
        flood.close()


async def _step(sender: _Sender, rate: float) -> Step:
    # Tried again: on a machine that others use too a step may fail for no fault of the server's.
    accepted_per_s = 0.0
    for _ in range(TRIES):
        seen = Seen(await sender.send([Load(rate, STEP_S)]))
        accepted_per_s = max(accepted_per_s, seen.accepted_between(SETTLE_S, STEP_S) / (STEP_S - SETTLE_S))
        after = seen.due_s >= SETTLE_S
        took_p99_ms = p99_ms(seen.took_ns[after])
        soon = took_p99_ms is not None and took_p99_ms <= ACCEPTED_P99_MS_MAX
        if soon and bool(np.all(seen.fate[after] == Fate.ACCEPTED)):
            return Step(accepted_per_s, held=True)
    return Step(accepted_per_s, held=False)


async def _overload(
    server: BenchServer, sender: _Sender, capacity: Capacity, seconds: float, rounds: int
) -> OverloadResult:
    pid = server.gateway_pid
    weights_kb = [pss_kb(pid)]
    weighing = asyncio.create_task(_weigh(pid, weights_kb))
    try:
        done = [await _round(server, sender, capacity.most_per_s, seconds) for _ in range(rounds)]
    finally:
        weighing.cancel()
        await asyncio.gather(weighing, return_exceptions=True)
    weights_kb.append(pss_kb(pid))
    mb = [kb / 1024 for kb in weights_kb]
    result = OverloadResult(
        max_per_s=round(capacity.most_per_s, 1),
        held_per_s=None if capacity.held_per_s is None else round(capacity.held_per_s, 1),
        rounds=done,
        wrong_balances=sender.wrong_balances(),
        gateway_mb=(round(mb[0], 1), round(max(mb), 1), round(mb[-1], 1)),
        not_offered=[words for one in done for words in one.not_offered],
        missed=[],
    )
    return msgspec.structs.replace(result, missed=missed(result))


async def _round(server: BenchServer, sender: _Sender, max_per_s: float, seconds: float) -> Round:
    seen_max = Seen(await sender.send([Load(max_per_s, seconds)]))
    of_max_per_s = seen_max.accepted_between(SETTLE_S, seconds) / (seconds - SETTLE_S)
    before, began_s, own_s = cpu_by_part(server.processes), time.monotonic(), time.process_time()
    gifts = await sender.send([Load(2 * max_per_s, seconds), Load(max_per_s / 2, AFTER_S)])
    wall_s = time.monotonic() - began_s
    used = {part: used_s - before.get(part, 0.0) for part, used_s in cpu_by_part(server.processes).items()}
    used["sender"] = time.process_time() - own_s
    seen = Seen(gifts)
    counted = (seen.due_s >= SETTLE_S) & (seen.due_s < seconds)
    accepted, refused = seen.fate == Fate.ACCEPTED, seen.fate == Fate.OVERLOADED
    accepted_per_s = seen.accepted_between(SETTLE_S, seconds) / (seconds - SETTLE_S)
    return Round(
        of_max_per_s=round(of_max_per_s, 1),
        offered_per_s=round(2 * max_per_s, 1),
        sent_per_s=round(seen.sent_between(SETTLE_S, seconds) / (seconds - SETTLE_S), 1),
        accepted_per_s=round(accepted_per_s, 1),
        ratio=round(accepted_per_s / of_max_per_s, 3) if of_max_per_s else 0.0,
        accepted_p99_ms=p99_ms(seen.took_ns[counted & accepted]),
        refused=int(np.count_nonzero(refused)),
        refused_p99_ms=p99_ms(seen.took_ns[refused]),
        otherwise=gifts.otherwise,
        unanswered=gifts.unanswered,
        late_hints=gifts.late_hints,
        normal_after_ms=normal_after_ms(seen, seconds),
        cpu_share={part: round(used_s / wall_s, 2) for part, used_s in sorted(used.items())},
        not_offered=_not_offered(seen, max_per_s, accepted_per_s, seconds),
    )


def _not_offered(seen: Seen, max_per_s: float, accepted_per_s: float, seconds: float) -> list[str]:
    reasons = []
    share = seen.sent_between(SETTLE_S, seconds) / (2 * max_per_s * (seconds - SETTLE_S))
    if share < SENT_SHARE_MIN:
        reasons.append(f"only {share:.0%} of the gifts were sent in time")
    late_ms = p99_ms(seen.late_ns[seen.due_s < seconds])
    if late_ms is not None and late_ms > SENT_LATE_P99_MS_MAX:
        reasons.append(f"gifts were sent {late_ms:.0f} ms late (p99)")
    if not np.any(seen.fate == Fate.OVERLOADED):
        reasons.append("nothing was refused: the server can carry more than was thought")
    if accepted_per_s > FOUND_SHARE_MAX * max_per_s:
        reasons.append(f"{accepted_per_s / max_per_s:.2f} of the maximum was accepted: it was not the maximum")
    return reasons


def missed(result: OverloadResult) -> list[str]:
    """The aims that were not reached: what machines disturb is judged in the middle round, what must not be in all."""
    rounds, growth_mb = result.rounds, result.gateway_mb[1] - result.gateway_mb[0]
    never_ms = (AFTER_S + ANSWERS_S_MAX) * 1_000
    ratio = statistics.median(one.ratio for one in rounds)
    refused_ms = statistics.median(one.refused_p99_ms or 0.0 for one in rounds)
    normal_ms = statistics.median(never_ms if one.normal_after_ms is None else one.normal_after_ms for one in rounds)
    aims = {
        f"{RATIO_MIN:.0%} of the maximum accepted": ratio >= RATIO_MIN,
        f"refused within {REFUSED_P99_MS_MAX:.0f} ms": refused_ms <= REFUSED_P99_MS_MAX,
        "each refusal says when to come back": not any(one.late_hints for one in rounds),
        "refused as overloaded only": not any(one.otherwise for one in rounds),
        "an answer to every gift": not any(one.unanswered for one in rounds),
        "every wallet right": result.wrong_balances == 0,
        f"normal after {NORMAL_MS_MAX:.0f} ms": normal_ms <= NORMAL_MS_MAX,
        f"a gateway grown by {GROWTH_MB_MAX:.0f} MB at most": growth_mb <= GROWTH_MB_MAX,
    }
    return [aim for aim, reached in aims.items() if not reached]


async def _weigh(pid: int, weights_kb: list[int]) -> None:
    while True:
        await asyncio.sleep(SETTLE_S)
        weights_kb.append(pss_kb(pid))


def _gift(ref: int, gift_id: str, room: str) -> bytes:
    return f'{{"type":"gift","ref":"{ref}","id":"{gift_id}","room":"{room}","gift":"{GIFT}"}}'.encode()


def due_ns(loads: Sequence[Load], start_ns: int) -> "array[int]":
    """When each gift of these loads is meant to be sent, evenly, one load after another."""
    times_ns, begin_ns = array("q"), start_ns
    for load in loads:
        times_ns.extend(begin_ns + int(n * 1e9 / load.per_s) for n in range(int(load.per_s * load.seconds)))
        begin_ns += int(load.seconds * 1e9)
    return times_ns


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

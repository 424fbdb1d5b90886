"""Runs as rows for the fit: what happened in each of them, and what each part of the server took for it. Pure.

What the server counts of itself is taken as counted; what it does not count is worked out from that by the same flows
with which the plan predicts.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from loadtest.plan.constants import (
    FITTED,
    Constant,
    Costs,
)
from loadtest.plan.flows import Flows, Layout, Pacing, Rhythm, flows
from loadtest.plan.measuring.fit import Fitted, Row, fit, ratio
from loadtest.plan.measuring.observe import SENDERS, Observed
from loadtest.plan.measuring.probe import Probed

Rows = dict[str, list[Row]]
Known = dict[str, dict[str, Constant]]


class Idle(Struct, frozen=True):
    """Viewers who only sit there: what they use of the gateway.

    Attributes:
        kb_by_step: memory of each socket of a step.
        cpu_s: of the gateway in `seconds`, with so many `sockets`.
        rooms: in which they are.
        beat_us: of the cores meanwhile, as beside every run.
    """

    sockets: int
    rooms: int
    seconds: float
    cpu_s: float
    kb_by_step: list[float]
    beat_us: float = 0.0


class Rest(Struct, frozen=True):
    """A server with nobody on it.

    Attributes:
        cpu: seconds of a processor by part, in `seconds`; of one gateway.
        beat_us: of the cores meanwhile, as beside every run.
    """

    seconds: float
    cpu: dict[str, float]
    beat_us: float = 0.0


def counted_flows(run: Observed) -> Flows:
    """What happened in a run, in all of it and not a second, with the audience on one gateway or on the server's own.

    Counts of the server's stand in the place of what the model would say of them.
    """
    demand = msgspec.structs.replace(run.point.demand, gifts_per_s=run.accepted_per_s)
    if run.point.rooms > SENDERS:
        demand = msgspec.structs.replace(demand, givers=run.point.rooms, senders_apart=run.point.rooms)
    counts = {name: count / run.seconds for name, count in run.counts.items()}
    rhythm = Rhythm(counts["commits"], counts["batches"], counts["transactions"])
    hearers = 1 if run.point.apart else run.gateways
    found = flows(demand, Layout(gateways=hearers), Pacing(), rhythm)
    by_model = found.frames
    found = msgspec.structs.replace(
        found,
        ticks=counts["ticks"],
        frames=counts["frames"],
        events=found.events * (counts["frames"] / by_model if by_model else 1.0),
        facts=counts["facts"],
        wallet_messages=found.wallet_messages / hearers,
        wallet_changes=found.wallet_changes / hearers,
    )
    totals = {name: getattr(found, name) * run.seconds for name in Flows.__struct_fields__}
    # Presence and heartbeats go on while it is quiet.
    quiet = run.wall_s / run.seconds
    return Flows(**totals | {"presences": totals["presences"] * quiet, "sockets": totals["sockets"] * quiet})


def rows_of(runs: Sequence[Observed], idle: Sequence[Idle] = (), probes: Sequence[Probed] = ()) -> Rows:
    """The rows of every part."""
    rows: Rows = {part: [] for part in FITTED}
    for run in runs:
        happened = counted_flows(run)
        all_gateways = run.gateways + run.listeners
        for part, counts in _counts(run, happened, all_gateways).items():
            rows[part].append(Row(counts, _took(run, part)))
        rows["gateway"] += _gateway_rows(run, happened)
    for one in idle:
        calls = one.rooms * one.seconds / (Pacing().presence_ms / 1000)
        counts = {"base": one.seconds, "socket": one.sockets * one.seconds, "call": calls}
        rows["gateway"].append(Row(counts, one.cpu_s * 1e6))
    for probe in probes:
        if probe.hearers:
            heard = {"message": float(probe.messages), "wallet": float(probe.messages * probe.changes)}
            rows["gateway"] += [Row({"base": probe.seconds} | heard, used_s * 1e6) for used_s in probe.gateway_cpu]
    return rows


def known_of(probes: Sequence[Probed], rests: Sequence[Rest] = ()) -> Known:
    """What was measured alone: µs of Valkey for each gateway that hears a message, what it took with them less what it
    took with none; bytes of each wallet that a gateway hears of, those of full messages less those of empty ones; and
    what Valkey, worker and PostgreSQL take a second when nobody is there.

    Raises:
        FitFailed: nothing was published.
    """
    alone = {probe.changes: probe for probe in probes if not probe.hearers}
    heard = [probe for probe in probes if probe.hearers]
    empty = [probe for probe in heard if not probe.changes]
    used, sent = [], []
    for probe in heard:
        if probe.changes in alone:
            base = alone[probe.changes]
            used_s = probe.valkey_cpu - base.valkey_cpu * probe.messages / base.messages
            used.append((used_s * 1e6, float(probe.messages * probe.hearers)))
    for full, other in zip((probe for probe in heard if probe.changes), empty, strict=False):
        wallets = full.messages * full.hearers * full.changes
        sent.append((full.published_bytes - other.published_bytes, float(wallets)))
    known: Known = {"valkey": {"delivery": ratio(used)}, "published_bytes": {"wallet": ratio(sent)}}
    for part in ("valkey", "worker", "postgres") if rests else ():
        took = [(rest.cpu.get(part, 0.0) * 1e6, rest.seconds) for rest in rests]
        known[part] = known.get(part, {}) | {"base": ratio(took)}
    return known


def fit_all(rows: Rows, known: Known, *, seed: int = 1) -> dict[str, Fitted]:
    """The constants of every part.

    Args:
        known: by part, what was measured alone: it is taken from the runs, and the rest is fitted.

    Raises:
        FitFailed: the runs do not say enough of one.
    """
    found = {}
    for part, names in FITTED.items():
        alone = known.get(part, {})
        rest = [
            Row(row.counts, max(row.took - sum(one.value * row.counts[name] for name, one in alone.items()), 0.0))
            for row in rows[part]
        ]
        fitted = fit(rest, [name for name in names if name not in alone], seed=seed)
        found[part] = Fitted(fitted.costs | alone, fitted.error)
    return found


def generator_costs(runs: Sequence[Observed], *, seed: int = 1) -> Costs:
    """µs of the generator for each gift, sighting and frame, and a second of each process for itself (the mean).

    Raises:
        FitFailed: the runs do not say enough.
    """
    parts: Mapping[str, tuple[str, list[tuple[Observed, int]]]] = {
        "gift": ("senders", [(run, run.gifts) for run in runs]),
        "sighting": ("overlays", [(run, run.sighted) for run in runs]),
        "frame": ("viewers", [(run, run.shown) for run in runs if run.shown]),
    }
    costs, bases = {}, []
    for name, (process, pairs) in parts.items():
        rows = [Row({"base": run.wall_s, name: float(count)}, run.generator_cpu[process] * 1e6) for run, count in pairs]
        found = fit(rows, ("base", name), seed=seed).costs
        costs[name] = found[name]
        bases.append(found["base"])
    ends = (sum(getattr(one, end) for one in bases) / len(bases) for end in ("value", "low", "high"))
    return {"base": Constant(*ends)} | costs


def kept_facts(run: Observed) -> float:
    """Facts that the histories of a run's rooms hold after it."""
    return float(min(run.gifts, Pacing().history_facts_max * run.point.rooms))


def _counts(run: Observed, happened: Flows, gateways: int) -> dict[str, dict[str, float]]:
    """By part, without the gateways."""
    wallets = happened.wallet_messages * gateways
    changes = happened.wallet_changes * gateways
    return {
        "valkey": {
            "base": run.wall_s,
            "gift": run.gifts,
            "part": happened.commit_parts,
            "batch": happened.batches,
            "tell": happened.tells,
            "delivery": happened.room_messages + wallets,
            "call": happened.calls,
        },
        "worker": {
            "base": run.wall_s,
            "gift": run.gifts,
            "batch": happened.batches,
            "tell": happened.tells,
            "transaction": happened.postings,
        },
        "postgres": {"base": run.wall_s, "gift": run.gifts, "transaction": happened.postings},
        "frame_bytes": {
            "gift": run.gifts,
            "frame": happened.frames,
            "event": happened.events,
            "board": happened.board_frames,
        },
        "published_bytes": {"gift": run.gifts, "commit": happened.commits, "fact": happened.facts, "wallet": changes},
        "aof_bytes": {
            "gift": run.gifts,
            "part": happened.commit_parts,
            "batch": happened.batches,
            "tell": happened.tells,
            "presence": happened.presences,
        },
        "wal_bytes": {"gift": run.gifts, "transaction": happened.postings},
        "rows": {"gift": run.gifts, "transaction": happened.postings},
    }


def _took(run: Observed, part: str) -> float:
    if part == "frame_bytes":
        return run.counts["frame_bytes"]
    if part in ("published_bytes", "aof_bytes", "wal_bytes", "rows"):
        took: float = getattr(run.stored, part)
        return took
    return run.cpu.get(part, 0.0) * 1e6


def _gateway_rows(run: Observed, happened: Flows) -> list[Row]:
    """One for the server's own gateways, one for each listener: the first of them may have the audience."""
    hears = {"message": happened.wallet_messages, "wallet": happened.wallet_changes}
    gives = {"gift": float(run.gifts), "commit": happened.commits}
    shows = {
        "message": happened.room_messages,
        "fact": happened.facts,
        "tick": happened.ticks,
        "frame": happened.frames,
        "call": happened.calls,
    }
    own = _added({"base": run.wall_s * run.gateways}, *([hears] * run.gateways), gives)
    there = _added({"base": run.wall_s}, hears)
    sockets = {"socket": happened.sockets}
    if run.point.apart:
        audience = _added(there, shows, sockets)
    else:
        own, audience = _added(own, shows, sockets), there
    rows = [Row(own, run.cpu.get("gateway", 0.0) * 1e6)]
    for number, used_s in enumerate(run.listener_cpu):
        rows.append(Row(there if number else audience, used_s * 1e6))
    return rows


def _added(*counts: Mapping[str, float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0.0) + count
    return total

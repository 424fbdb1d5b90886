"""What was seen, as the bench's answer: the arithmetic of phases, bound and memory."""

from typing import Final

from loadtest.bench.outage.checks import faults_of
from loadtest.bench.outage.course import CATCH_UP_S_MAX, Course
from loadtest.bench.outage.gifts import Book, SteadyGifts, Tally
from loadtest.bench.outage.looking import HELD_BY_VALKEY, Looking
from loadtest.bench.outage.result import (
    Bound,
    CatchUp,
    Checks,
    End,
    Look,
    Megabytes,
    Memory,
    OutageResult,
    Phase,
    PhaseName,
    Plan,
)
from loadtest.bench.outage.stores import MB
from loadtest.bench.server import ServerFailed

FAULTS_SHOWN: Final = 10


def answer_of(plan: Plan, course: Course, gifts: SteadyGifts, checks: Checks) -> OutageResult:
    """The answer.

    Raises:
        ServerFailed: the course did not come to its end.
    """
    book, looking, catch_up = gifts.book, course.looking, course.catch_up
    if catch_up is None:
        raise ServerFailed("the outage did not come to its end")
    bound = None if looking.bound is None else bound_of(book, looking.bound, course.went_s, course.back_s)
    not_measured = course.absence.faults[:FAULTS_SHOWN]
    if course.answered_us:
        not_measured.append("PostgreSQL answered while it was meant to be away")
    return OutageResult(
        plan=plan,
        away_s=round(course.absence.away_s, 2),
        phases=[
            phase_of(tally, course.ends[tally.phase].seconds, looking.untold_max.get(tally.phase, 0))
            for tally in book.tallies
        ],
        bound=bound,
        catch_up=catch_up,
        memory=_memory(plan, course, course.absence.away_s if bound is None else bound.first_after_s),
        checks=checks,
        sent_late_p99_ms=book.late.percentile_ms(99),
        reconnects=gifts.line.reconnects,
        died=course.died,
        not_measured=not_measured,
        faults=[*faults_of(checks), *_late(catch_up), *gifts.line.faults[:FAULTS_SHOWN]],
        looks=looking.looks,
    )


def phase_of(tally: Tally, seconds: float, untold_max: int) -> Phase:
    """A tally with its percentiles."""
    took = tally.latencies
    return Phase(
        name=tally.phase,
        seconds=round(seconds, 2),
        sent=tally.sent,
        accepted=tally.accepted,
        refused=dict(tally.refused),
        asked_again=dict(tally.asked_again),
        accepted_per_s=round(tally.accepted / seconds, 1),
        p50_ms=took.percentile_ms(50),
        p99_ms=took.percentile_ms(99),
        p999_ms=took.percentile_ms(99.9),
        max_ms=took.percentile_ms(100),
        untold_max=untold_max,
    )


def bound_of(book: Book, look: Look, went_s: float, back_s: float) -> Bound:
    """When gifts were refused and accepted again, from the going and the return of PostgreSQL."""
    again_ns = book.accepted_again_ns
    return Bound(
        first_after_s=round(book.first_overloaded_ns / 1e9 - went_s, 2),
        unflushed=look.unflushed,
        fullest=look.fullest,
        accepted_again_after_s=round(again_ns / 1e9 - back_s, 3) if again_ns else None,
        last_after_s=round(book.last_overloaded_ns / 1e9 - back_s, 3),
    )


def memory_of(
    plan: Plan,
    before: End,
    away: End,
    *,
    filling_s: float,
    journal_bytes: int,
    valkey_mb: Megabytes,
    rss_mb: dict[str, Megabytes],
) -> Memory:
    """What an unflushed gift costs, and how long that could go on.

    Args:
        before, away: when PostgreSQL went, and when it came back.
        filling_s: how long the fullest partition filled: the outage, or until its bound.
    """
    accepted = max(away.accepted - before.accepted, 1)
    bytes_per_gift = (away.held.used - before.held.used) / accepted
    bytes_per_s = bytes_per_gift * plan.rate
    fullest_per_s = (away.standing.fullest - before.standing.fullest) / filling_s
    fills_s = plan.unflushed_max / fullest_per_s if fullest_per_s > 0 else None
    limit_left = away.held.limit - before.held.used
    return Memory(
        bytes_per_gift=round(bytes_per_gift, 1),
        journal_bytes_per_record=round(journal_bytes / max(away.standing.unflushed, 1), 1),
        aof_bytes_per_gift=round((away.held.aof - before.held.aof) / accepted, 1),
        valkey_mb=valkey_mb,
        rss_mb=rss_mb,
        fullest_per_s=round(fullest_per_s, 2),
        bound_after_h=None if fills_s is None else round(fills_s / 3600, 4),
        bound_gb=None if fills_s is None else round((before.held.used + bytes_per_s * fills_s) / 1e9, 3),
        memory_after_h=(round(limit_left / bytes_per_s / 3600, 2) if away.held.limit and bytes_per_s > 0 else None),
    )


def _memory(plan: Plan, course: Course, filling_s: float) -> Memory:
    looking, ends = course.looking, course.ends
    before, away, after = (ends[phase].held.used / MB for phase in (PhaseName.BEFORE, PhaseName.AWAY, PhaseName.AFTER))
    return memory_of(
        plan,
        ends[PhaseName.BEFORE],
        ends[PhaseName.AWAY],
        filling_s=filling_s,
        journal_bytes=course.journal_bytes,
        valkey_mb=_course_of(before, away, looking.peaks.get(HELD_BY_VALKEY, 0.0), after),
        rss_mb=_rss(looking),
    )


def _rss(looking: Looking) -> dict[str, Megabytes]:
    before, away, last = looking.of(PhaseName.BEFORE)[-1], looking.of(PhaseName.AWAY)[-1], looking.looks[-1]
    return {
        part: _course_of(mb, away.rss_mb.get(part, 0.0), looking.peaks[part], last.rss_mb.get(part, 0.0))
        for part, mb in before.rss_mb.items()
    }


def _course_of(before: float, away: float, most: float, after: float) -> Megabytes:
    return round(before, 1), round(away, 1), round(max(before, away, most, after), 1), round(after, 1)


def _late(catch_up: CatchUp) -> list[str]:
    return [] if catch_up.seconds is not None else [f"{CATCH_UP_S_MAX:.0f} s after its return the books lag still"]

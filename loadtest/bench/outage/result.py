"""What is asked of the bench, and what it answers."""

import enum

from msgspec import Struct

Megabytes = tuple[float, float, float, float]
"""Of memory: before the outage, at its end, most of all, and at the end of the bench."""


class PhaseName(enum.StrEnum):
    """What the bench goes through, one after the other."""

    BEFORE = "before"
    AWAY = "away"
    BACK = "back"
    """PostgreSQL is back, and the books have not caught up yet."""
    AFTER = "after"


class Plan(Struct, frozen=True):
    """How PostgreSQL is to be away.

    Attributes:
        seconds: how long it is away.
        rate: gifts a second, all the time.
        before_s, after_s: how long gifts are given before it goes, and after the books have caught up.
        unflushed_max: records that a partition may have which the books lack; then gifts are refused.
    """

    seconds: float
    rate: float
    before_s: float
    after_s: float
    unflushed_max: int


class Standing(Struct, frozen=True):
    """How far the books and the rooms are behind the live ledger, in records.

    Attributes:
        last: records of all partitions.
        unflushed, untold: that the books lack, and that the rooms were not told.
        fullest: of `unflushed`, in the partition that has most.
    """

    last: int
    unflushed: int
    fullest: int
    untold: int


class Held(Struct, frozen=True):
    """What Valkey holds, in bytes; `limit` 0 for none."""

    used: int
    aof: int
    limit: int


class Look(Struct, frozen=True):
    """The server at one time, from outside.

    Attributes:
        at_s: since the first gift.
        sent, accepted, refused: gifts so far; refusals by code.
        p50_ms, p99_ms, max_ms: of the gifts that were accepted since the look before, from their intended times.
        unflushed, fullest: records that the books lack in all partitions, and in the one that lacks most.
        untold: records that the rooms were not told yet.
        valkey_mb, aof_mb: what Valkey holds, and its append-only file.
        rss_mb: resident memory of the processes of each part; a Valkey that rewrites its file is two that share pages.
    """

    at_s: float
    phase: PhaseName
    sent: int
    accepted: int
    refused: dict[str, int]
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    unflushed: int
    fullest: int
    untold: int
    valkey_mb: float
    aof_mb: float
    rss_mb: dict[str, float]


class Phase(Struct, frozen=True):
    """What became of the gifts that were due in a phase.

    Attributes:
        refused: by code, for good.
        asked_again: answers after which the same gift was asked for again, by code.
        accepted_per_s: over its length.
        untold_max: most records that the rooms were not told yet, at any look.
    """

    name: PhaseName
    seconds: float
    sent: int
    accepted: int
    refused: dict[str, int]
    asked_again: dict[str, int]
    accepted_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None
    untold_max: int


class Bound(Struct, frozen=True):
    """Gifts that were refused since the books were too far behind.

    Attributes:
        first_after_s: from the going of PostgreSQL to the first refusal.
        unflushed, fullest: records that the books lacked then, at the look within a second after it.
        accepted_again_after_s: from the return of PostgreSQL to the first gift accepted of somebody who had last been
            refused; None if there was none.
        last_after_s: from the return to the last refusal; below 0 when it came before.
    """

    first_after_s: float
    unflushed: int
    fullest: int
    accepted_again_after_s: float | None
    last_after_s: float


class CatchUp(Struct, frozen=True):
    """How the books caught up.

    Attributes:
        lag_before: most records that they lacked while all was well.
        lag: what they lacked when PostgreSQL came back.
        answers_after_s: until PostgreSQL answered us.
        begins_after_s: until the first records were written.
        seconds: until the lag was what it had been; None if it never was.
        records: written meanwhile, also those that came in then.
        per_s: of them, from when writing began; `ratio` of it to the live rate.
        ratio_from_return: the same from the return on.
    """

    lag_before: int
    lag: int
    answers_after_s: float
    begins_after_s: float
    seconds: float | None
    records: int
    per_s: float
    ratio: float
    ratio_from_return: float


class Memory(Struct, frozen=True):
    """What the outage cost, and how long one the server would bear at this rate.

    Attributes:
        bytes_per_gift: growth of what Valkey holds, by gift accepted in the outage: journal, gift ids, and the room's
            history, which fills up in a while: in a short outage a gift seems to take more than in a long one.
        journal_bytes_per_record: of the journal alone, by record that it held at the end.
        aof_bytes_per_gift: growth of the append-only file, less what a rewrite took away.
        valkey_mb, rss_mb: what Valkey holds, and what the processes of each part do.
        fullest_per_s: records a second that the fullest partition grew by.
        bound_after_h: hours after which that one reaches its bound.
        bound_gb: what Valkey would hold by then, at most: gift ids are let go after an hour or so.
        memory_after_h: hours after which Valkey holds all that it may; None where it may hold anything.
    """

    bytes_per_gift: float
    journal_bytes_per_record: float
    aof_bytes_per_gift: float
    valkey_mb: Megabytes
    rss_mb: dict[str, Megabytes]
    fullest_per_s: float
    bound_after_h: float | None
    bound_gb: float | None
    memory_after_h: float | None


class End(Struct, frozen=True):
    """How things stood at the end of a phase.

    Attributes:
        seconds: that it lasted.
        accepted: gifts so far.
    """

    seconds: float
    accepted: int
    standing: Standing
    held: Held


class Checks(Struct, frozen=True):
    """What stands in the books and wallets against what was answered.

    Attributes:
        accepted: gifts, as answered.
        in_books: records of gifts of the run.
        lost: accepted gifts that are not in the books.
        doubled: records beyond the first of a gift.
        refused_in_books: records of gifts that were refused, or never sent.
        coins_answered, coins_in_books: sums.
        wrong_wallets: senders whose wallet is not what they were given less what they paid.
        wrong_earnings: diamonds that the creator has too many, or too few (below 0).
        unanswered: gifts without an answer, long after.
        audit_ok, audit_s: what `giftwire audit` said, and how long it took.
    """

    accepted: int
    in_books: int
    lost: int
    doubled: int
    refused_in_books: int
    coins_answered: int
    coins_in_books: int
    wrong_wallets: int
    wrong_earnings: int
    unanswered: int
    audit_ok: bool
    audit_s: float


class OutageResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        away_s: how long all processes of PostgreSQL were stopped.
        bound: None when nothing was refused for it.
        sent_late_p99_ms: of the sender itself.
        reconnects: sockets of senders that were lost and came back.
        died: processes of the server that are others than before.
        not_measured: why this was no outage.
        faults: what was lost, doubled or contradicts the arithmetic, in words.
    """

    plan: Plan
    away_s: float
    phases: list[Phase]
    bound: Bound | None
    catch_up: CatchUp
    memory: Memory
    checks: Checks
    sent_late_p99_ms: float | None
    reconnects: int
    died: list[str]
    not_measured: list[str]
    faults: list[str]
    looks: list[Look]

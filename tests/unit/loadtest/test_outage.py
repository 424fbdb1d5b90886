"""The bench of an outage: its book of gifts, when it was no outage, and what it makes of what it saw."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from gateway.wire.messages import SendGift
from loadtest.bench.outage import gifts
from loadtest.bench.outage.absence import Absence
from loadtest.bench.outage.answer import bound_of, memory_of, phase_of
from loadtest.bench.outage.checks import faults_of
from loadtest.bench.outage.gifts import Book, Fate
from loadtest.bench.outage.looking import HELD_BY_VALKEY, LOOKS_KEPT, Looking
from loadtest.bench.outage.result import (
    Bound,
    CatchUp,
    Checks,
    End,
    Held,
    Look,
    OutageResult,
    PhaseName,
    Plan,
    Standing,
)
from loadtest.bench.outage.shown import Silent, outage_rows
from loadtest.bench.overload.flood import FloodFailed
from loadtest.bench.server import ServerFailed
from loadtest.server.procfs import ServerProcess, state

if TYPE_CHECKING:
    from loadtest.bench.outage.stores import Stores

S = 1_000_000_000
MS = 1_000_000
RIGHT = Checks(
    accepted=3,
    in_books=3,
    lost=0,
    doubled=0,
    refused_in_books=0,
    coins_answered=3,
    coins_in_books=3,
    wrong_wallets=0,
    wrong_earnings=0,
    unanswered=0,
    audit_ok=True,
    audit_s=1.0,
)


def book_of(sent: int, senders: int = 2) -> Book:
    """A book of gifts that were sent in time, a millisecond apart."""
    book = Book(senders)
    for number in range(sent):
        book.add(SendGift(str(number), "id", "rose", room="r"), number * MS, number * MS)
    return book


def test_gifts_in_the_book() -> None:
    """Each has one fate, whatever is answered again; coins and latencies count for its sender and its phase."""
    book = book_of(3)
    book.begin_phase(PhaseName.AWAY)
    book.add(SendGift("3", "id", "rose", room="r"), 3 * MS, 5 * MS)
    book.accept(0, 1, 10 * MS)
    book.accept(0, 1, 20 * MS)
    book.refuse(0, "overloaded", 20 * MS)
    book.accept(3, 2, 7 * MS)
    book.refuse(1, "rate_limited", 9 * MS)
    assert list(book.fate) == [Fate.ACCEPTED, Fate.REFUSED, Fate.WAITING, Fate.ACCEPTED]
    assert (book.sent, book.accepted, book.coins_of, dict(book.refused)) == (4, 2, [1, 2], {"rate_limited": 1})
    assert list(book.waiting) == [2]
    assert len(book.gather()) == 2
    assert len(book.gather()) == 0
    before, away = (phase_of(tally, 2.0, 7) for tally in book.tallies)
    assert (before.sent, before.accepted, before.refused, before.accepted_per_s) == (3, 1, {"rate_limited": 1}, 0.5)
    assert (away.name, away.sent, away.accepted, away.untold_max) == (PhaseName.AWAY, 1, 1, 7)
    assert before.p99_ms == pytest.approx(10, rel=0.01)
    assert away.max_ms == pytest.approx(4, rel=0.01)
    assert book.late.percentile_ms(100) == pytest.approx(2, rel=0.01)


def test_phase_that_goes_on_is_begun_once() -> None:
    """The first phase has its tally from the beginning."""
    book = Book(1)
    book.begin_phase(PhaseName.BEFORE)
    assert [tally.phase for tally in book.tallies] == [PhaseName.BEFORE]


def test_gifts_without_answers_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may wait do; one more ends the bench."""
    monkeypatch.setattr(gifts, "WAITING_MAX", 3)
    book = book_of(3)
    with pytest.raises(FloodFailed, match="3 gifts have no answer"):
        book.add(SendGift("3", "id", "rose", room="r"), 0, 0)
    assert book.sent == 3


def test_first_refusal_and_first_acceptance_after_it() -> None:
    """Only `overloaded` counts, and of the acceptances only those of a refused sender once PostgreSQL is back."""
    book = book_of(10)
    book.refuse(0, "insufficient_coins", 1 * S)
    assert book.first_overloaded_ns == 0
    book.refuse(1, "overloaded", 2 * S)
    book.refuse(3, "overloaded", 3 * S)
    book.accept(5, 1, 4 * S)
    assert book.accepted_again_ns == 0
    book.refuse(7, "overloaded", 5 * S)
    book.watch_for_return()
    book.accept(2, 1, 7 * S)
    assert book.accepted_again_ns == 0
    book.accept(9, 1, 8 * S)
    bound = bound_of(book, look_of(PhaseName.AWAY, unflushed=9, fullest=4), went_s=1.5, back_s=6.0)
    assert (bound.first_after_s, bound.unflushed, bound.fullest) == (0.5, 9, 4)
    assert (bound.accepted_again_after_s, bound.last_after_s) == (2.0, -1.0)


def looking_at(book: Book, *, seconds: float = 1.0) -> Looking:
    """Looks that are brought by a test, of an outage with a bound of 4 records a partition."""
    plan = Plan(seconds=seconds, rate=1.0, before_s=2.0, after_s=1.0, unflushed_max=4)
    return Looking(cast("Stores", None), book, plan, Silent())


class Deaf:
    """A store whose client loses a cancellation, as redis-py's may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def standing(self) -> None:
        """Waits until it is cancelled, and then says that nothing was answered."""
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TimeoutError from None


async def test_looking_ends_though_its_cancellation_was_lost() -> None:
    """Else a bench that is told to end would wait for ever, and leave its server behind."""
    deaf = Deaf()
    looking = Looking(cast("Stores", deaf), book_of(1), Plan(1.0, 1.0, 1.0, 1.0, 4), Silent())
    task = asyncio.create_task(looking.run())
    await deaf.asked.wait()
    task.cancel()
    await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 30.0)
    assert task.done()


def test_refusal_for_load_is_not_that_of_the_bound() -> None:
    """It is told by the lag: the first refusal that counts is one with a partition at its bound."""
    book = book_of(10)
    looking = looking_at(book)
    book.refuse(1, "overloaded", 1 * S)
    looking.note(look_of(PhaseName.AWAY, fullest=3))
    assert (looking.bound, book.first_overloaded_ns) == (None, 0)
    book.refuse(3, "overloaded", 2 * S)
    looking.note(look_of(PhaseName.AWAY, fullest=4))
    book.refuse(5, "overloaded", 3 * S)
    looking.note(look_of(PhaseName.AWAY, fullest=4, unflushed=7))
    assert looking.bound == look_of(PhaseName.AWAY, fullest=4)
    assert book.first_overloaded_ns == 2 * S


def test_looks_at_a_long_outage() -> None:
    """As many as a reader can use are kept, beside those of the other phases; peaks are of all of them."""
    looking = looking_at(Book(1), seconds=4.0 * LOOKS_KEPT)
    for second in range(20):
        mb = 100.0 if second == 18 else 60.0
        looking.note(replace(look_of(PhaseName.AWAY), at_s=float(second), untold=second, rss_mb={"gateway": mb}))
    for second in (20, 21):
        looking.note(replace(look_of(PhaseName.BACK), at_s=float(second)))
    assert [look.at_s for look in looking.of(PhaseName.AWAY)] == [0, 4, 8, 12, 16]
    assert [look.at_s for look in looking.of(PhaseName.BACK)] == [20, 21]
    assert looking.peaks == {"gateway": 100.0, HELD_BY_VALKEY: 1.0}
    assert looking.untold_max == {PhaseName.AWAY: 19, PhaseName.BACK: 0}
    with pytest.raises(ServerFailed, match="in the phase `after`"):
        looking.of(PhaseName.AFTER)


def look_of(phase: PhaseName, *, unflushed: int = 0, fullest: int = 0) -> Look:
    """A look at a server whose gateway holds 60 MB."""
    return Look(
        at_s=1.0,
        phase=phase,
        sent=0,
        accepted=0,
        refused={},
        p50_ms=None,
        p99_ms=None,
        max_ms=None,
        unflushed=unflushed,
        fullest=fullest,
        untold=0,
        valkey_mb=1.0,
        aof_mb=1.0,
        rss_mb={"gateway": 60.0},
    )


def test_memory_of_an_outage_that_its_bound_did_not_end() -> None:
    """Bytes by accepted gift and by record of the journal; hours until the fullest partition, or Valkey, is full."""
    before = End(10.0, 1_000, Standing(1_000, 40, 10, 0), Held(used=1_000_000, aof=50_000, limit=1_000_000_000))
    away = End(100.0, 11_000, Standing(11_000, 10_040, 1_260, 0), Held(5_000_000, 10_050_000, 1_000_000_000))
    plan = Plan(seconds=100.0, rate=100.0, before_s=10.0, after_s=10.0, unflushed_max=45_000)
    mb = (1.0, 2.0, 3.0, 2.0)
    memory = memory_of(
        plan, before, away, filling_s=100.0, journal_bytes=2_008_000, valkey_mb=mb, rss_mb={"worker": mb}
    )
    assert (memory.bytes_per_gift, memory.journal_bytes_per_record, memory.aof_bytes_per_gift) == (
        400.0,
        200.0,
        1_000.0,
    )
    assert (memory.fullest_per_s, memory.bound_after_h) == (12.5, 1.0)
    assert memory.bound_gb == pytest.approx(0.001 + 0.144)
    assert memory.memory_after_h == pytest.approx(999_000_000 / 40_000 / 3_600, abs=0.01)


def test_memory_of_an_outage_in_which_nothing_grew() -> None:
    """Nothing is divided by nothing, and there is no hour at which it ends."""
    end = End(1.0, 5, Standing(5, 0, 0, 0), Held(1_000, 1_000, limit=0))
    mb = (0.0, 0.0, 0.0, 0.0)
    memory = memory_of(Plan(1, 1, 2, 1, 9), end, end, filling_s=1.0, journal_bytes=0, valkey_mb=mb, rss_mb={})
    assert (memory.bytes_per_gift, memory.journal_bytes_per_record) == (0.0, 0.0)
    assert (memory.bound_after_h, memory.bound_gb, memory.memory_after_h) == (None, None, None)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lost": 2}, "2 accepted gifts are not in the books"),
        ({"doubled": 1}, "1 gifts are in the books more than once"),
        ({"refused_in_books": 1}, "1 refused gifts are in the books"),
        ({"coins_in_books": 2}, "1 coins were answered that the books do not have"),
        ({"wrong_wallets": 1}, "1 wallets are wrong"),
        ({"wrong_earnings": -50}, "-50 diamonds too many are the creator's"),
        ({"unanswered": 1_000}, "1,000 gifts have no answer"),
        ({"audit_ok": False}, "the audit does not hold"),
    ],
)
def test_checks_that_fail(wrong: dict[str, int], words: str) -> None:
    """Each is told with its number."""
    assert faults_of(replace(RIGHT, **wrong)) == [words]


def test_checks_that_hold() -> None:
    """There is nothing to tell."""
    assert faults_of(RIGHT) == []


def test_answer_for_people() -> None:
    """What was refused and lost stands there in words, and how long it could go on."""
    end = End(1.0, 5, Standing(5, 0, 0, 0), Held(1_000, 1_000, limit=0))
    full = End(1.0, 9, Standing(5, 4, 4, 0), Held(1_000, 1_000, limit=0))
    plan, mb = Plan(seconds=2, rate=4, before_s=2, after_s=1, unflushed_max=28_800), (1.0, 2.0, 3.0, 2.0)
    book = book_of(3)
    book.refuse(0, "overloaded", 1)
    result = OutageResult(
        plan=plan,
        away_s=2.0,
        phases=[phase_of(book.tally, 2.0, 7)],
        bound=Bound(1.5, 5, 4, None, 0.5),
        catch_up=CatchUp(4, 5, 0.1, 0.2, None, 10, 20.0, 5.0, 4.0),
        memory=memory_of(plan, end, full, filling_s=1.0, journal_bytes=8, valkey_mb=mb, rss_mb={"worker": mb}),
        checks=RIGHT,
        sent_late_p99_ms=None,
        reconnects=0,
        died=["worker"],
        not_measured=["it answered"],
        faults=["1 wallets are wrong"],
        looks=[],
    )
    rows = dict(outage_rows(result))
    assert "0 of 3 accepted" in rows["before, 2 s"]
    assert "refused 1 overloaded" in rows["before, 2 s"]
    assert rows["accepted again after its return"] == "never; last refusal after 0.5 s"
    assert rows["caught up"] == "not"
    assert "28,800 records of a partition is reached after 2.0 hours" in rows["what it bears"]
    assert rows["worker, resident"] == "1.0 → 2.0 MB, at most 3.0, 2.0 at the end"
    assert (rows["died meanwhile"], rows["no outage was measured"]) == ("worker", "it answered")
    assert rows["WRONG"] == "1 wallets are wrong"


@pytest.fixture
def server() -> Iterator[list[ServerProcess]]:
    """Two processes that stand for PostgreSQL, and a gateway."""
    parts = ("postgres", "postgres", "gateway")
    wait = "import sys; print(1, flush=True); sys.stdin.read()"
    children = [
        subprocess.Popen([sys.executable, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in parts
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    yield [ServerProcess(child.pid, part) for child, part in zip(children, parts, strict=True)]
    for child in children:
        child.kill()
        child.communicate()


async def test_absence_stops_postgresql_and_nothing_else(server: list[ServerProcess]) -> None:
    """All of it stands still until the end, and nothing is noted then."""
    absence = Absence(lambda: server)
    await absence.begin()
    assert [state(process.pid) for process in server[:2]] == ["T", "T"]
    assert state(server[2].pid) != "T"
    absence.look()
    absence.end()
    assert "T" not in [state(process.pid) for process in server]
    assert absence.faults == []
    assert absence.away_s > 0


async def test_absence_that_somebody_ends(server: list[ServerProcess]) -> None:
    """A process that runs again, and one that is new, are noted."""
    shown = server[:1]
    absence = Absence(lambda: shown)
    await absence.begin()
    os.kill(server[0].pid, signal.SIGCONT)
    shown.append(server[1])
    absence.look()
    absence.end()
    assert len(absence.faults) == 1
    assert "2 processes of PostgreSQL ran, 1 were new and 0 gone" in absence.faults[0]


async def test_absence_of_a_server_without_postgresql(server: list[ServerProcess]) -> None:
    """There is nothing to take away: the bench cannot be run."""
    with pytest.raises(ServerFailed, match="could not be stopped"):
        await Absence(lambda: server[2:]).begin()

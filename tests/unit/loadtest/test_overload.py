"""The arithmetic of the bench of overload: when gifts are due, what their answers say, and when all is as before."""

from array import array
from collections.abc import Sequence

import msgspec
import pytest

from loadtest.bench.overload.flood import Answers, Fate, Gifts, text_frame
from loadtest.bench.overload.measure import Load, OverloadResult, Round, due_ns, missed
from loadtest.bench.overload.search import FIRST_RATE, STEP_FACTOR, Capacity, Step, climb
from loadtest.bench.overload.seen import Seen, normal_after_ms

MS = 1_000_000


def gifts(count: int, *, senders: int = 2, first: int = 100) -> Gifts:
    """A book of gifts that are due every 10 ms."""
    return Gifts([b""] * count, array("q", range(0, count * 10 * MS, 10 * MS)), senders, first)


@pytest.mark.parametrize("size", [0, 125, 126, 300])
def test_frame_of_a_client(size: int) -> None:
    """Masked, as RFC 6455 wants it of clients, with the shortest length; the text stands there as it is."""
    frame = text_frame(b"x" * size)
    head = 2 if size < 126 else 4
    length = frame[1] & 0x7F if size < 126 else int.from_bytes(frame[2:4], "big")
    assert (frame[0], frame[1] >> 7, length) == (0x81, 1, size)
    assert frame[head:] == bytes(4) + b"x" * size


def test_due_times_of_loads_one_after_another() -> None:
    """Even within a load; the next begins where it ends."""
    times_ns = due_ns([Load(4.0, 1.0), Load(2.0, 1.0)], 1_000 * MS)
    assert [at // MS for at in times_ns] == [1_000, 1_250, 1_500, 1_750, 2_000, 2_500]


async def test_answers_in_the_book() -> None:
    """Each gift counts once, by its own number; what belongs to another flood, or is no answer, counts nowhere."""
    book = gifts(4)
    for number, payload in enumerate(
        (
            b'{"type":"accepted","ref":"100","id":"a","coins":1,"balance_coins":9,"replay":false}',
            b'{"type":"refused","code":"overloaded","ref":"101","retry_after_ms":1000}',
            b'{"type":"accepted","ref":"101","id":"a","coins":1,"balance_coins":8,"replay":true}',
            b'{"type":"refused","code":"unavailable","ref":"102","retry_after_ms":1000}',
            b'{"type":"refused","code":"overloaded","ref":"103"}',
            b'{"type":"accepted","ref":"99","id":"a","coins":1,"balance_coins":7,"replay":false}',
            b'{"type":"accepted","ref":"104","id":"a","coins":1,"balance_coins":7,"replay":false}',
            b'{"type":"balance","balance_coins":5}',
        )
    ):
        book.hear(payload, number * MS, 2)
    assert list(book.fate) == [Fate.ACCEPTED, Fate.OVERLOADED, Fate.OTHERWISE, Fate.OVERLOADED]
    assert [at // MS for at in book.answered_ns] == [0, 1, 3, 4]
    assert (book.accepted_of, book.unknown_of, book.balance_of) == ([1, 0], [1, 0], [9, -1])
    assert (book.otherwise, book.late_hints, book.unanswered) == ({"unavailable": 1}, 1, 0)


async def test_answers_are_counted_as_they_come() -> None:
    """Unread: the last answer ends the waiting, and what is no answer does not count."""
    answers = Answers(2)
    for payload in (b'{"type":"balance","balance_coins":5}', b'{"type":"accepted","ref":"100"}'):
        answers.take(payload, MS)
    assert not answers.all_came.is_set()
    answers.take(b'{"type":"refused","ref":"101"}', 2 * MS)
    assert answers.all_came.is_set()
    assert [now_ns for _, now_ns in answers.came] == [MS, MS, 2 * MS]


@pytest.mark.parametrize(
    ("bad", "slow", "normal_ms"),
    [
        ((), (), 0.0),
        ((90,), (), 0.0),
        ((120,), (), 300.0),
        ((), (130,), 400.0),
        ((), (150,), 0.0),
        ((), range(100, 135), 400.0),
        ((290,), (), 0.0),
        (range(100, 300, 40), (), None),
    ],
)
def test_time_until_all_is_as_before(bad: Sequence[int], slow: Sequence[int], normal_ms: float | None) -> None:
    """The beginning of the first half second in which no gift was refused or, but for 1 %, late."""
    book = gifts(300, first=0)
    for number in range(300):
        book.fate[number] = Fate.OVERLOADED if number in bad else Fate.ACCEPTED
        book.answered_ns[number] = book.due_ns[number] + (300 if number in slow else 20) * MS
    assert normal_after_ms(Seen(book), 1.0) == normal_ms


def rates(count: int) -> list[float]:
    """The first rates of a search."""
    return [FIRST_RATE * STEP_FACTOR**n for n in range(count)]


@pytest.mark.parametrize(
    ("limit", "slow_from", "rate_max", "expected", "steps"),
    [
        # Rates up to 10,756 a second are below the limit; two more bring nothing.
        (9_000.0, 6_000.0, 1e6, Capacity(9_000.0, 5_488.0), 8),
        # One slow moment of the machine is not the limit.
        (9_000.0, 2_500.0, 1e6, Capacity(9_000.0, 2_000.0), 8),
        (1e6, 1e6, 5_000.0, Capacity(3_920.0, 3_920.0), 3),
        (0.0, 0.0, 1e6, Capacity(0.0, 0.0), 2),
    ],
)
async def test_search_goes_on_until_more_brings_no_more(
    limit: float, slow_from: float, rate_max: float, expected: Capacity, steps: int
) -> None:
    """The most that is accepted, however slowly; and the highest rate whose answers came soon."""
    offered: list[float] = []

    async def offer(per_s: float) -> Step:
        offered.append(per_s)
        return Step(min(per_s, limit), held=per_s < slow_from and per_s <= limit)

    found = await climb(offer, rate_max)
    assert offered == pytest.approx(rates(steps))
    assert (found.most_per_s, found.held_per_s) == pytest.approx((expected.most_per_s, expected.held_per_s))


async def test_accepted_in_a_time() -> None:
    """Counted by when it was said, whenever the gift was due; refusals do not count."""
    book = gifts(4)
    for number, answered_ms in enumerate((5, 1_500, 2_500)):
        book.hear(b'{"type":"accepted","ref":"%d","balance_coins":9}' % (100 + number), answered_ms * MS, 2)
    book.hear(b'{"type":"refused","code":"overloaded","ref":"103","retry_after_ms":1000}', 1_600 * MS, 2)
    assert Seen(book).accepted_between(1.0, 2.0) == 1
    assert Seen(book).accepted_between(0.0, 3.0) == 3


def round_of(**told: object) -> Round:
    """One that reached everything, but for what is told."""
    good = Round(
        of_max_per_s=1_000.0,
        offered_per_s=2_000.0,
        sent_per_s=2_000.0,
        accepted_per_s=950.0,
        ratio=0.95,
        accepted_p99_ms=200.0,
        refused=8_000,
        refused_p99_ms=300.0,
        otherwise={},
        unanswered=0,
        late_hints=0,
        normal_after_ms=100.0,
        cpu_share={},
        not_offered=[],
    )
    return msgspec.structs.replace(good, **told)


@pytest.mark.parametrize(
    ("rounds", "wrong_balances", "expected"),
    [
        ([{}, {}, {}], 0, []),
        ([{"ratio": 0.5}, {}, {}], 0, []),
        ([{"ratio": 0.5}, {"ratio": 0.89}, {}], 0, ["90% of the maximum accepted"]),
        ([{"refused_p99_ms": None}], 0, []),
        ([{"refused_p99_ms": 1_001.0}], 0, ["refused within 1000 ms"]),
        ([{"normal_after_ms": None}, {}, {}], 0, []),
        ([{"normal_after_ms": None}, {"normal_after_ms": 1_001.0}, {}], 0, ["normal after 1000 ms"]),
        ([{}, {"late_hints": 1}, {}], 0, ["each refusal says when to come back"]),
        ([{}, {"otherwise": {"unavailable": 1}}, {}], 0, ["refused as overloaded only"]),
        ([{}, {"unanswered": 1}, {}], 0, ["an answer to every gift"]),
        ([{}, {}, {}], 1, ["every wallet right"]),
    ],
)
def test_aims_of_rounds(rounds: Sequence[dict[str, object]], wrong_balances: int, expected: Sequence[str]) -> None:
    """Speed is judged in the middle one of the rounds; what must never be is looked for in each."""
    result = OverloadResult(
        max_per_s=1_000.0,
        held_per_s=None,
        rounds=[round_of(**told) for told in rounds],
        wrong_balances=wrong_balances,
        gateway_mb=(60.0, 100.0, 60.0),
        not_offered=[],
        missed=[],
    )
    assert missed(result) == expected
    grown = msgspec.structs.replace(result, gateway_mb=(60.0, 161.0, 60.0))
    assert missed(grown) == [*expected, "a gateway grown by 100 MB at most"]

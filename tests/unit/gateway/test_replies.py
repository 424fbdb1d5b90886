"""What the ledger refuses has one code on the wire, and the code's promises are kept."""

import pytest
from msgspec import UNSET

from gateway.http.viewer.gifts import problem_of_refused
from gateway.replies import CODES, IN_FLIGHT, RETRY_AFTER_MS, Bar, refused, refused_by_ledger, too_many_in_flight
from gateway.undos import CODES as CODES_OF_UNDOS
from gateway.wire.codes import FACTS, Code
from ledger.model import AMOUNT_MAX, Bound, BoundReached, CapPassed, GiftRefused, Limit, Refusal, UndoRefusal


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_code(refusal: Refusal) -> None:
    """The table is complete: a new refusal without a row fails here."""
    reply = refused_by_ledger(GiftRefused(refusal), ref="r", id="i")
    assert reply.code == CODES[refusal]
    assert (reply.ref, reply.id) == ("r", "i")


def test_every_refusal_of_an_undo_has_a_code() -> None:
    """The table is complete, and only what is not known can be asked for again."""
    assert CODES_OF_UNDOS.keys() == set(UndoRefusal)
    assert [refusal for refusal, code in CODES_OF_UNDOS.items() if FACTS[code].retryable] == [UndoRefusal.UNKNOWN]


@pytest.mark.parametrize("code", list(Code))
def test_only_a_code_that_can_be_tried_again_says_when(code: Code) -> None:
    """`retry_after_ms` stands in a refusal exactly when its code is retryable."""
    reply = refused(code, retry_after_ms=50)
    assert reply.retryable == FACTS[code].retryable
    assert (reply.retry_after_ms is not UNSET) == reply.retryable


CAPS = """
# limit        cap  spent resets | limit_coins spent_coins resets_at_ms
  gift         50   0     -      | 50          -           -
  day          50   8     9000   | 50          8           9000
  week         0    0     9000   | 0           0           9000
  month        70   70    9000   | 70          70          9000
  creator_day  70   1     9000   | 70          1           9000
"""


@pytest.mark.parametrize("line", CAPS.strip().splitlines()[1:])
def test_refusal_over_a_cap_says_which_and_how_far(line: str) -> None:
    """The cap's name, its number, what was counted before, and when it begins anew; a gift's cap counts nothing."""
    given, told = (part.split() for part in line.split("|"))
    cap = CapPassed(Limit(given[0]), int(given[1]), int(given[2]), None if given[3] == "-" else int(given[3]))
    reply = refused_by_ledger(GiftRefused(Refusal.LIMIT_EXCEEDED, 7, cap=cap), ref="r", id="i")
    assert (reply.code, reply.limit, reply.balance_coins) == (Code.LIMIT_EXCEEDED, given[0], UNSET)
    shown = (reply.limit_coins, reply.spent_coins, reply.resets_at_ms)
    assert shown == tuple(UNSET if word == "-" else int(word) for word in told)


def test_refusal_of_a_frozen_account_says_why() -> None:
    """The operator's reason stands in the message."""
    reply = refused_by_ledger(GiftRefused(Refusal.FROZEN, 7, reason="Ask us."), ref="r", id="i")
    assert (reply.code, reply.message) == (Code.NOT_ALLOWED, "This account is frozen. Ask us.")


AGES = """
# refusal         age caps      | code              age_min limits_needed
  under_age       8   -         | under_age         8       -
  guardian_needed 17  -         | guardian_needed   17      -
  age_unknown     -   -         | age_unknown       -       -
  own_caps_needed -   gift,day  | own_limits_needed -       gift,day
"""


@pytest.mark.parametrize("line", AGES.strip().splitlines()[1:])
def test_refusal_by_age_says_what_explains_it(line: str) -> None:
    """The age from which it ends, or the limits that are to be set, and nothing else; no retry helps."""
    given, told = (part.split() for part in line.split("|"))
    caps = () if given[2] == "-" else tuple(map(Limit, given[2].split(",")))
    refusal = GiftRefused(Refusal(given[0]), 7, age=None if given[1] == "-" else int(given[1]), caps_needed=caps)
    reply = refused_by_ledger(refusal, ref="r", id="i")
    assert (reply.code, reply.retryable, reply.balance_coins) == (told[0], False, UNSET)
    assert reply.age_min == (UNSET if told[1] == "-" else int(told[1]))
    assert reply.limits_needed == (UNSET if told[2] == "-" else told[2].split(","))


def test_refusal_by_the_rate_says_when_to_come_back() -> None:
    """What the script worked out takes the place of the usual pause."""
    reply = refused_by_ledger(GiftRefused(Refusal.RATE_LIMITED, 7, retry_after_ms=123), ref="r", id="i")
    assert (reply.code, reply.retryable, reply.retry_after_ms) == (Code.RATE_LIMITED, True, 123)


def test_refusal_of_a_barred_gift_says_what_bars_it() -> None:
    """The rule that is the gateway's own is told with its code, in its words or in the code's."""
    barred = GiftRefused(Refusal.BARRED, 7)
    reply = refused_by_ledger(barred, ref="r", id="i", bar=Bar(Code.NOT_ALLOWED, "Not here."))
    assert (reply.code, reply.message) == (Code.NOT_ALLOWED, "Not here.")
    reply = refused_by_ledger(barred, ref="r", id="i", bar=Bar(Code.UNKNOWN_GIFT))
    assert (reply.code, reply.message) == (Code.UNKNOWN_GIFT, FACTS[Code.UNKNOWN_GIFT].title)


def test_refusal_of_a_barred_gift_for_another_reason() -> None:
    """What the ledger found first is told, not the bar."""
    bar = Bar(Code.UNKNOWN_GIFT)
    reply = refused_by_ledger(GiftRefused(Refusal.ID_EXPIRED), ref="r", id="i", bar=bar)
    assert (reply.code, reply.message) == (Code.ID_EXPIRED, FACTS[Code.ID_EXPIRED].title)


def test_refusal_for_want_of_coins_says_how_many_there_are() -> None:
    """The sender sees the wallet; no other refusal shows it."""
    assert refused_by_ledger(GiftRefused(Refusal.INSUFFICIENT_COINS, 7), ref="r", id="i").balance_coins == 7
    assert refused_by_ledger(GiftRefused(Refusal.ID_EXPIRED, 7), ref="r", id="i").balance_coins is UNSET


BOUNDS = """
# refusal         bound           most             | code          words of the message
  amount_overflow amount          9007199254740991 | not_allowed   would pass 9007199254740991
  too_many_holds  viewer_holds    20               | limit_reached 20 holds of this user
  too_many_holds  partition_holds 10000            | limit_reached 10000 holds are open
  overloaded      waiting         512              | overloaded    all that it can
  overloaded      wait_ms         500              | overloaded    all that it can
  overloaded      books_lag       1000000          | overloaded    all that it can
  overloaded      memory          1048576          | overloaded    all that it can
"""


@pytest.mark.parametrize("line", BOUNDS.strip().splitlines()[1:])
def test_refusal_at_a_bound_says_which_and_its_number(line: str) -> None:
    """In fields of their own, over both ways; and when to come back, where that helps."""
    given, told = (part.split(maxsplit=2) for part in line.split("|"))
    bound = BoundReached(Bound(given[1]), int(given[2]))
    reply = refused_by_ledger(GiftRefused(Refusal(given[0]), 7, bound=bound), ref="r", id="i")
    assert (reply.code, reply.bound, reply.bound_max, reply.balance_coins) == (told[0], given[1], int(given[2]), UNSET)
    assert " ".join(told[1:]) in reply.message
    assert reply.retry_after_ms == (RETRY_AFTER_MS if reply.code == Code.OVERLOADED else UNSET)
    document = problem_of_refused(reply).document()
    assert (document.code, document.bound, document.bound_max) == (reply.code, reply.bound, reply.bound_max)


def test_every_bound_has_its_line() -> None:
    """A new one fails here."""
    assert {line.split()[1] for line in BOUNDS.strip().splitlines()[1:]} == set(Bound)


def test_bound_whose_number_is_not_known() -> None:
    """A server that did not tell how much memory it may use: what is full is told all the same."""
    refusal = GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.MEMORY, None))
    reply = refused_by_ledger(refusal, ref="r", id="i")
    assert (reply.bound, reply.bound_max) == ("memory", UNSET)


def test_too_many_gifts_in_flight_says_how_many_may_be() -> None:
    """The gateway's own bound, told as those of the ledger."""
    reply = too_many_in_flight(16, ref="r", id="i")
    assert (reply.code, reply.bound, reply.bound_max, reply.retryable) == (Code.OVERLOADED, IN_FLIGHT, 16, True)


EXPLAINED: dict[Refusal, tuple[GiftRefused, dict[str, object]]] = {
    Refusal.INSUFFICIENT_COINS: (GiftRefused(Refusal.INSUFFICIENT_COINS, 7), {"balance_coins": 7}),
    Refusal.ID_EXPIRED: (
        GiftRefused(Refusal.ID_EXPIRED, 7, window_ms=(3_000, 4_000)),
        {"message": "The time in this id is more than 3 s ago or 4 s ahead, or too much was forgotten since."},
    ),
    Refusal.AMOUNT_OVERFLOW: (
        GiftRefused(Refusal.AMOUNT_OVERFLOW, 7, bound=BoundReached(Bound.AMOUNT, AMOUNT_MAX)),
        {"bound_max": AMOUNT_MAX},
    ),
    Refusal.OVERLOADED: (
        GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.WAITING, 512)),
        {"bound_max": 512, "retry_after_ms": RETRY_AFTER_MS},
    ),
    Refusal.TOO_MANY_HOLDS: (
        GiftRefused(Refusal.TOO_MANY_HOLDS, 7, bound=BoundReached(Bound.PARTITION_HOLDS, 3)),
        {"bound_max": 3},
    ),
    Refusal.LIMIT_EXCEEDED: (
        GiftRefused(Refusal.LIMIT_EXCEEDED, 7, cap=CapPassed(Limit.DAY, 50, 8, 9_000)),
        {"limit_coins": 50, "spent_coins": 8, "resets_at_ms": 9_000},
    ),
    Refusal.RATE_LIMITED: (GiftRefused(Refusal.RATE_LIMITED, 7, retry_after_ms=123), {"retry_after_ms": 123}),
    Refusal.UNDER_AGE: (GiftRefused(Refusal.UNDER_AGE, 7, age=18), {"age_min": 18}),
    Refusal.GUARDIAN_NEEDED: (GiftRefused(Refusal.GUARDIAN_NEEDED, 7, age=18), {"age_min": 18}),
    Refusal.OWN_CAPS_NEEDED: (
        GiftRefused(Refusal.OWN_CAPS_NEEDED, 7, caps_needed=(Limit.DAY,)),
        {"limits_needed": ["day"]},
    ),
    Refusal.FROZEN: (
        GiftRefused(Refusal.FROZEN, 7, reason="Ask us."),
        {"message": "This account is frozen. Ask us."},
    ),
}
"""Of each refusal with a limit behind it, or a reason: how the ledger tells it, and what of it reaches the sender."""
NOTHING_BEHIND = {
    Refusal.ID_CONFLICT: "the id is taken",
    Refusal.UNKNOWN: "the same id tells",
    Refusal.OWN_GIFT: "viewer and creator are one",
    Refusal.BARRED: "the rule is the gateway's, which tells it",
    Refusal.AGE_UNKNOWN: "there is no age to compare with",
}


@pytest.mark.parametrize("refusal", list(Refusal))
def test_refusal_tells_what_explains_it(refusal: Refusal) -> None:
    """The limit behind it reaches the sender on the socket and over HTTP; a new refusal must say what, or why not."""
    assert (refusal in EXPLAINED) != (refusal in NOTHING_BEHIND)
    if refusal not in EXPLAINED:
        return
    stored, fields = EXPLAINED[refusal]
    reply = refused_by_ledger(stored, ref="r", id="i")
    document = problem_of_refused(reply).document()
    for name, value in fields.items():
        assert getattr(reply, name) == value, name
        assert getattr(document, "detail" if name == "message" else name) == value, name


def test_id_outside_of_the_window_is_told_the_window() -> None:
    """A client with a wrong clock learns by how much it may be wrong."""
    refusal = GiftRefused(Refusal.ID_EXPIRED, 7, window_ms=(3_600_000, 300_500))
    reply = refused_by_ledger(refusal, ref="r", id="i")
    assert (
        reply.message
        == "The time in this id is more than 3600 s ago or 300.5 s ahead, or too much was forgotten since."
    )

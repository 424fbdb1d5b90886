"""The book of commands keeps the outcome that is true, whatever order answers come in."""

import pytest

from loadtest.record.columns import NO_NAME, Answer, Commands, Names


@pytest.fixture
def book() -> Commands:
    """A book with one command."""
    commands = Commands(1)
    commands.tell(5, 3, 2, 1, 4)
    return commands


def accept(book: Commands, *, replay: bool, now_ns: int = 10, balance: int = 90, coins: int = 10) -> None:
    """An `accepted` for the command."""
    book.accept(0, now_ns, coins, balance, replay=replay, combo=None, combo_count=0)


def test_command_begins_without_an_answer(book: Commands) -> None:
    """What was not answered is pending, in no combo, not refused."""
    assert len(book) == 1
    assert (book.sender[0], book.room[0], book.kind[0], book.count[0]) == (3, 2, 1, 4)
    assert (book.answer[0], book.refusal[0], book.combo[0]) == (Answer.PENDING, NO_NAME, NO_NAME)


def test_replay_after_acceptance_changes_nothing(book: Commands) -> None:
    """The replay of a repeated command does not move the time or the balance."""
    accept(book, replay=False)
    accept(book, replay=True, now_ns=99, balance=50)
    assert (book.answer[0], book.answered_ns[0], book.balance[0]) == (Answer.ACCEPTED, 10, 90)
    assert (book.accepted_total, book.fresh_accepts[0], book.contradictions) == (1, 1, [])


def test_replay_alone_is_recovered(book: Commands) -> None:
    """The first answer was lost; its balance is that of a later moment, and the book knows."""
    accept(book, replay=True)
    assert book.answer[0] == Answer.RECOVERED
    assert (book.accepted_total, book.fresh_accepts[0]) == (1, 0)


def test_fresh_answer_after_the_replay_wins(book: Commands) -> None:
    """Answers that overtook each other end as one acceptance."""
    accept(book, replay=True, balance=50)
    accept(book, replay=False, now_ns=99, balance=90)
    assert (book.answer[0], book.balance[0], book.answered_ns[0]) == (Answer.ACCEPTED, 90, 10)
    assert book.accepted_total == 1


def test_acceptance_after_a_passing_refusal_counts(book: Commands) -> None:
    """Overloaded, told again, accepted: accepted it is, and no longer refused."""
    book.refuse(0, 7, "overloaded", 0, for_good=False)
    accept(book, replay=False)
    assert book.answer[0] == Answer.ACCEPTED
    assert (book.accepted_total, book.refused_total, book.contradictions) == (1, 0, [])


def test_acceptance_after_a_final_refusal_is_a_contradiction(book: Commands) -> None:
    """The two cannot both be true."""
    book.refuse(0, 7, "id_conflict", 0, for_good=True)
    accept(book, replay=False)
    assert len(book.contradictions) == 1


def test_second_refusal_is_counted_once(book: Commands) -> None:
    """A repeated command that is refused twice is one refused command."""
    book.refuse(0, 7, "insufficient_coins", 3, for_good=True)
    book.refuse(0, 8, "insufficient_coins", 3, for_good=True)
    assert (book.refused_total, book.answered_ns[0]) == (1, 7)


def test_names_are_numbered_by_first_use() -> None:
    """The same name has the same number."""
    names = Names()
    assert [names.number(name) for name in ("b", "a", "b")] == [0, 1, 0]
    assert names.names == ["b", "a"]

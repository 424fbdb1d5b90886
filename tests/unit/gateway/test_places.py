"""Places are asked for once in a while, and go on when PostgreSQL does not."""

import asyncio

import pytest

from gateway.places import ENTER_S, FRESH_S, KNOWN_WAIT_S, RENEW_S, Page, Places
from ledger.books.terms import default_terms
from ledger.errors import LedgerUnavailable
from ledger.guards.directory import Place
from ledger.model import CreatorId


class Directory:
    """Answers from a dict, counts the questions, and can be away."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {"room:demo": _place("room:demo", "One")}
        self.asked = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def place(self, name: str) -> Place | None:
        self.asked += 1
        await self.answers.wait()
        if self.away:
            raise LedgerUnavailable("away")
        return self.places.get(name)


class Clock:
    """A clock that is moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _place(name: str, title: str) -> Place:
    return Place(
        place=name,
        creator=CreatorId("cleo"),
        creator_name="Cleo",
        terms=default_terms(5_000),
        title=title,
        settings=b"",
    )


async def test_place_is_asked_for_once_while_it_is_fresh() -> None:
    """Many gifts at once cost one question; the next one comes when the answer is old."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    found = await asyncio.gather(*(places.find("room:demo") for _ in range(20)))
    assert {place.title for place in found if place} == {"One"}
    assert directory.asked == 1
    directory.places["room:demo"] = _place("room:demo", "Two")
    clock.now_s = FRESH_S + 0.1
    assert places.peek("room:demo") is None
    again = await places.find("room:demo")
    assert again is not None
    assert again.title == "Two"
    assert places.peek("room:demo") == again


async def test_place_known_before_goes_on_while_postgresql_is_away() -> None:
    """A gift does not fail because the directory cannot be asked again; a place never seen does."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    first = await places.find("room:demo")
    directory.away = True
    clock.now_s = FRESH_S + 0.1
    assert await places.find("room:demo") == first
    with pytest.raises(LedgerUnavailable):
        await places.find("room:other")


async def test_place_in_use_is_asked_for_in_the_background() -> None:
    """No gift waits for news of a place that is sold in all the time; the news count when they come."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    first = await places.find("room:demo")
    directory.answers.clear()
    directory.places["room:demo"] = _place("room:demo", "Two")
    clock.now_s = RENEW_S + 0.1
    assert [places.peek("room:demo") for _ in range(3)] == [first] * 3
    clock.now_s = FRESH_S + 0.1
    assert places.peek("room:demo") == first
    directory.answers.set()
    await _until_told(places, "Two")
    assert directory.asked == 2


async def test_place_known_before_goes_on_while_postgresql_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gift waits for a slow answer no longer than its bound, the gifts after it not at all; late news count."""
    monkeypatch.setattr("gateway.places.KNOWN_WAIT_S", 0.01)
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    first = await places.find("room:demo")
    directory.answers.clear()
    directory.places["room:demo"] = _place("room:demo", "Two")
    clock.now_s = FRESH_S + 0.1
    assert places.peek("room:demo") is None
    assert await places.find("room:demo") == first
    clock.now_s += KNOWN_WAIT_S
    assert places.peek("room:demo") == first
    clock.now_s += 10 * FRESH_S
    assert places.peek("room:demo") == first
    directory.answers.set()
    await _until_told(places, "Two")
    assert directory.asked == 2


async def test_place_changed_while_it_is_asked_for_is_asked_for_again() -> None:
    """An answer that was on its way when the place changed is the old one, and is not kept."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    await places.find("room:demo")
    clock.now_s = RENEW_S + 0.1
    directory.answers.clear()
    places.peek("room:demo")
    places.forget("room:demo")
    assert places.peek("room:demo") is None
    directory.answers.set()
    await places.find("room:demo")
    assert directory.asked == 3


async def test_place_that_does_not_exist_is_seen_once_it_was_made() -> None:
    """`forget` makes a change of our own visible at once."""
    directory = Directory()
    places = Places(directory.place, Clock())
    assert await places.find("room:new") is None
    directory.places["room:new"] = _place("room:new", "New")
    assert await places.find("room:new") is None
    places.forget("room:new")
    assert await places.find("room:new") == directory.places["room:new"]


async def _until_told(places: Places, title: str) -> None:
    async with asyncio.timeout(5):
        while (place := places.peek("room:demo")) is None or place.title != title:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0)


def _pages(directory: Directory, size: int = 2) -> Page:
    async def page(after: str) -> list[Place]:
        await directory.answers.wait()
        if directory.away:
            raise LedgerUnavailable("away")
        return [directory.places[name] for name in sorted(directory.places) if name > after][:size]

    return page


async def test_places_read_ahead_are_entered_without_a_question() -> None:
    """However many pages they are, until they are too old even for that; what is not there is asked for each time."""
    directory, clock = Directory(), Clock()
    directory.places = {name: _place(name, name) for name in (f"room:{number}" for number in range(5))}
    places = Places(directory.place, clock)
    await places.look_ahead(_pages(directory))
    clock.now_s = ENTER_S
    for name in directory.places:
        assert await places.enter(name) == directory.places[name]
    assert directory.asked == 0
    clock.now_s = ENTER_S + 0.1
    assert await places.enter("room:0") == directory.places["room:0"]
    assert directory.asked == 1
    assert await places.enter("room:new") is None
    directory.places["room:new"] = _place("room:new", "New")
    clock.now_s += FRESH_S + 0.1
    assert await places.enter("room:new") == directory.places["room:new"]


async def test_gift_needs_a_fresher_place_than_an_entrance() -> None:
    """Money goes to whom the place belongs now: what was read ahead is asked for again before it is sold in."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    await places.look_ahead(_pages(directory))
    clock.now_s = FRESH_S + 0.1
    assert places.peek("room:demo") is None
    await places.find("room:demo")
    assert directory.asked == 1


async def test_change_while_places_are_read_ahead() -> None:
    """An answer from before our own change does not bring the old place back."""
    directory, clock = Directory(), Clock()
    places = Places(directory.place, clock)
    old = dict(directory.places)

    async def page(after: str) -> list[Place]:
        if after:
            return []
        places.forget("room:demo")
        directory.places["room:demo"] = _place("room:demo", "Two")
        return list(old.values())

    await places.look_ahead(page)
    found = await places.enter("room:demo")
    assert found is not None
    assert found.title == "Two"


async def test_places_cannot_be_read_ahead() -> None:
    """A gateway does without while PostgreSQL is away."""
    directory = Directory()
    directory.away = True
    await Places(directory.place, Clock()).look_ahead(_pages(directory))
    assert directory.asked == 0

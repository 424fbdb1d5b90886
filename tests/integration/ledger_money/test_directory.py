"""Creators and places on a real PostgreSQL."""

import msgspec
import pytest

from ledger.books.terms import PlanTerms, Terms
from ledger.errors import NotFound, ValueRefused
from ledger.guards.directory import Creator, Place
from ledger.model import CreatorId
from ledger.office import Office


def terms(plan: str = "standard", own_bp: int | None = None) -> Terms:
    """What counts where no plan says anything."""
    return Terms(plan, 0, "", 5_000, own_bp, PlanTerms())


async def test_creator_put_twice(office: Office) -> None:
    """The second put replaces all that the first one said."""
    first = await office.directory.put_creator("cora", name="Cora", country="DE", plan="gold", commission_bp=3_000)
    assert first == Creator(CreatorId("cora"), "Cora", "DE", terms("gold", own_bp=3_000))
    second = await office.directory.put_creator("cora", name="Cora C.")
    assert second == Creator(CreatorId("cora"), "Cora C.", None, terms())
    assert await office.directory.creator("cora") == second


async def test_creator_never_heard_of(office: Office) -> None:
    """Who was not put is not there."""
    assert await office.directory.creator("cora") is None
    assert await office.directory.place("room:demo") is None


async def test_creators_in_pages(office: Office) -> None:
    """Pages of a list join without a gap and without a repetition."""
    names = [f"c{number:02}" for number in range(7)]
    for name in reversed(names):
        await office.directory.put_creator(name, name=name)
    first = await office.directory.creators(after=None, limit=4)
    rest = await office.directory.creators(after=first[-1].id, limit=4)
    assert [one.id for one in first + rest] == names


async def test_place_resolves_the_commission(office: Office) -> None:
    """A creator's own commission counts in its places, else the deployment's; zero is a commission of its own."""
    await office.directory.put_creator("cora", name="Cora")
    place = await office.directory.put_place("room:demo", creator="cora", title="Demo", settings=b"s")
    assert place == Place("room:demo", CreatorId("cora"), "Cora", terms(), "Demo", b"s")
    await office.directory.put_creator("cora", name="Cora", commission_bp=0)
    changed = await office.directory.place("room:demo")
    assert changed == msgspec.structs.replace(place, terms=terms(own_bp=0))


async def test_place_moves_to_another_creator(office: Office) -> None:
    """What is not given stays as it was."""
    await office.directory.put_creator("cora", name="Cora")
    await office.directory.put_creator("dora", name="Dora")
    await office.directory.put_place("room:demo", creator="cora", title="Demo", settings=b"s")
    moved = await office.directory.put_place("room:demo", creator="dora")
    assert moved == Place("room:demo", CreatorId("dora"), "Dora", terms(), "Demo", b"s")


async def test_place_of_an_unknown_creator(office: Office) -> None:
    """A place needs somebody who earns there."""
    with pytest.raises(NotFound):
        await office.directory.put_place("room:demo", creator="nobody")
    assert await office.directory.place("room:demo") is None


async def test_places_by_prefix(office: Office) -> None:
    """A prefix is taken as it is written: `%` and `_` mean themselves."""
    await office.directory.put_creator("cora", name="Cora")
    for place in ("room:a_b", "room:axb", "video:a_b", "room:z"):
        await office.directory.put_place(place, creator="cora")
    assert [one.place for one in await office.directory.places(prefix="room:a_")] == ["room:a_b"]
    assert [one.place for one in await office.directory.places(prefix="room:", after="room:a_b")] == [
        "room:axb",
        "room:z",
    ]
    assert await office.directory.places(prefix="%") == []


@pytest.mark.parametrize(
    ("creator", "name", "country", "plan", "commission_bp"),
    [
        ("", "Cora", None, "standard", None),
        ("c" * 65, "Cora", None, "standard", None),
        ("a b", "Cora", None, "standard", None),
        ("-a", "Cora", None, "standard", None),
        ("cora\n", "Cora", None, "standard", None),
        ("cora\0", "Cora", None, "standard", None),
        ("cora", "", None, "standard", None),
        ("cora", "n" * 101, None, "standard", None),
        ("cora", "Cora", "de", "standard", None),
        ("cora", "Cora", None, "Standard", None),
        ("cora", "Cora", None, "standard", 10_001),
        ("cora", "Cora", None, "standard", -1),
        ("cora", "Cora", None, "standard", 2**40),
    ],
)
async def test_creator_out_of_bounds(
    office: Office, creator: str, name: str, country: str | None, plan: str, commission_bp: int | None
) -> None:
    """What is out of bounds is named and not stored."""
    with pytest.raises(ValueRefused):
        await office.directory.put_creator(creator, name=name, country=country, plan=plan, commission_bp=commission_bp)
    assert await office.directory.creators() == []


async def test_creator_at_its_bounds(office: Office) -> None:
    """The longest id and name are taken."""
    stored = await office.directory.put_creator("c" * 64, name="n" * 100, commission_bp=10_000)
    assert await office.directory.creator("c" * 64) == stored


@pytest.mark.parametrize("place", ["demo", "Room:demo", "room:", "room:" + "n" * 65, "room:a b", ":demo"])
async def test_place_out_of_bounds(office: Office, place: str) -> None:
    """A place is a word, a colon and a name."""
    await office.directory.put_creator("cora", name="Cora")
    with pytest.raises(ValueRefused):
        await office.directory.put_place(place, creator="cora")


async def test_ping(office: Office) -> None:
    """A PostgreSQL that runs answers."""
    await office.ping()

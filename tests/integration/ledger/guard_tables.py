"""Runs tables about guards: one operation a line, its outcome behind the bar, at times that the table sets.

The money script takes the later of the server's time and the latest that its partition saw, so a table far in the
future has the clock in its hand.
"""

import asyncio
import datetime
from collections.abc import Iterator

import msgspec

from ledger.guards.ages import AgeLimits, AgeRules, Person, steps_of
from ledger.ids import new_id
from ledger.live.guard_state import NO_SETTINGS, GuardSettings, OwnCap
from ledger.model import GiftAccepted, GiftOutcome, Limit
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.subjects import RealSubject, Subject

NONE = "-"
RULES = AgeRules(
    AgeLimits(give_age_min=6, minor_until=18, minor_caps=(50, 60, None, 100)),
    {
        "CN": AgeLimits(give_age_min=8, guardian_from=8, guardian_until=17, own_caps_needed=(Limit.GIFT, Limit.DAY)),
        "XX": AgeLimits(guardian_from=10, guardian_until=12, minor_until=18, minor_caps=(None, 5, 8, None)),
    },
)
"""Of the tables: the default, and two countries."""


def at_ms(text: str) -> int:
    """A time of UTC."""
    return round(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


class GuardTable:
    """Carries out a table on a ledger of one partition, or its twin.

    Operations: `age VIEWER` with any of `born=2015-03-01`, `country=CN`, `guardian=NAME` (what is not said is
    not known; by `RULES`) · `at TIME` · `coins VIEWER COINS` · `own VIEWER gift day week month` (each a cap, or `-`, or
    `cap>pending@TIME`) · `freeze VIEWER REASON` · `thaw VIEWER` · `give VIEWER COINS ID`, with more words such as
    `to=cleo`, `max=20` (the creator's cap of a day), `undo=1000` (ms for which it may be undone), `barred`. Lines
    that begin with `&` are one commit.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._ledger = subject.ledger
        self._now_ms = 0
        self._settings: dict[str, GuardSettings] = {}
        self._ids: dict[str, bytes] = {}

    async def run(self, table: str) -> None:
        """Carry out every line, and compare."""
        for lines in _batches(table):
            if lines[0].lstrip("& ").startswith("give"):
                await self._give(lines)
            else:
                await self._do(*lines[0].split())

    async def _do(self, verb: str, first: str, *rest: str) -> None:
        match verb:
            case "at":
                self._now_ms = at_ms(first)
                await self._subject.set_clock(self._now_ms)
            case "coins":
                await self._ledger.credit(grant(first, int(rest[0])))
            case "own":
                await self.set(first, caps=tuple(map(_cap, rest)))
            case "age":
                given = dict(word.split("=") for word in rest)
                born = datetime.date.fromisoformat(given["born"]) if "born" in given else None
                person = Person(born, country=given.get("country"), guardian=given.get("guardian"))
                await self.set(first, ages=steps_of(person, RULES.of(person.country)))
            case "freeze":
                await self.set(first, frozen=" ".join(rest))
            case "thaw":
                await self.set(first, frozen=None)
            case _:
                raise ValueError(verb)

    async def set(self, viewer: str, **changes: object) -> None:
        """Change what was decided about a viewer, in a new version."""
        before = self._settings.get(viewer, NO_SETTINGS)
        after = msgspec.structs.replace(before, version=before.version + 1, **changes)
        self._settings[viewer] = after
        await self._ledger.set_guards([(viewer, after)])

    async def _give(self, lines: list[str]) -> None:
        gifts, expected = zip(*(line.lstrip("& ").split("|") for line in lines), strict=True)
        commits = self._commits()
        outcomes = await asyncio.gather(*(self._one(gift.split()[1:]) for gift in gifts))
        assert [_told(outcome) for outcome in outcomes] == [" ".join(line.split()) for line in expected], lines
        if isinstance(self._subject, RealSubject):
            assert self._commits() == commits + 1

    def _commits(self) -> int:
        return self._subject.real.batcher.stats.commits if isinstance(self._subject, RealSubject) else 0

    async def _one(self, words: list[str]) -> GiftOutcome:
        viewer, coins, name, *more = words
        given = dict(word.partition("=")[::2] for word in more)
        order = gift_order(viewer, int(coins), creator=given.get("to", "cora"), gift_id=self.id_of(name))
        return await self._ledger.give(
            msgspec.structs.replace(
                order,
                barred="barred" in given,
                creator_day_coins_max=int(given["max"]) if "max" in given else None,
                undo_ms=int(given.get("undo", 0)),
            )
        )

    def id_of(self, name: str) -> bytes:
        """The id of a gift that the table calls so; of the table's time where it is new."""
        return self._ids.setdefault(name, new_id(self._now_ms))


def _batches(table: str) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in table.strip().splitlines():
        text = line.strip()
        if text.startswith("#"):
            continue
        if not text.startswith("&") and batch:
            yield batch
            batch = []
        batch.append(text)
        if not text.startswith("&"):
            yield batch
            batch = []
    if batch:
        yield batch


def _cap(text: str) -> OwnCap:
    coins, _, pending = text.partition(">")
    if not pending:
        return OwnCap(_number(coins))
    later, _, begins = pending.partition("@")
    return OwnCap(_number(coins), _number(later), at_ms(begins))


def _number(text: str) -> int | None:
    return None if text == NONE else int(text)


def _told(outcome: GiftOutcome) -> str:
    if isinstance(outcome, GiftAccepted):
        undo = " undoable" if outcome.undo_until_ms else ""
        return f"{'replay' if outcome.replay else 'accepted'} {outcome.balance_coins}{undo}"
    words: list[object] = [outcome.refusal.value]
    cap = outcome.cap
    if cap is not None:
        words = [cap.limit.value, f"{cap.spent_coins}/{cap.coins}"]
        if cap.limit is not Limit.GIFT and cap.resets_at_ms is not None:
            words.append(datetime.datetime.fromtimestamp(cap.resets_at_ms / 1000, datetime.UTC).strftime("%Y-%m-%d"))
    if outcome.age is not None:
        words.append(outcome.age)
    words += [limit.value for limit in outcome.caps_needed]
    if outcome.retry_after_ms is not None:
        words.append(outcome.retry_after_ms)
    if outcome.reason:
        words.append(outcome.reason)
    return " ".join(map(str, words))

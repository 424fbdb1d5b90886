"""What age allows: from rules of countries and what is known of a person, to what holds now and from which birthday on.

Pure. Ages are full years; a birthday begins at 00:00 UTC of its day, that of a 29 February on 1 March of other years.
Of somebody whose age is known as a least one, it is counted as if the birthday had been the day on which that was told.
"""

import datetime
import enum
import hashlib
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger.model import Limit, Refusal

DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime.date(1970, 1, 1)
Caps = tuple[int | None, int | None, int | None, int | None]
"""Of gift, day, week and month; None for none."""
NO_CAPS: Final[Caps] = (None, None, None, None)


class Act(enum.Enum):
    """What a person wants to do with money, beside giving, which the money script judges."""

    BUY = "buy"
    WITHDRAW = "withdraw"


class AgeLimits(Struct, frozen=True):
    """Rules of one country.

    Attributes:
        give_age_min, buy_age_min, withdraw_age_min: the youngest who may.
        guardian_from, guardian_until: from this age until before that one a guardian's consent is needed to give and to
            buy; equal for nobody.
        minor_until: who is younger has `minor_caps`.
        own_caps_needed: caps that viewers must have set themselves before they give.
    """

    give_age_min: int = 0
    buy_age_min: int = 0
    withdraw_age_min: int = 0
    guardian_from: int = 0
    guardian_until: int = 0
    minor_until: int = 0
    minor_caps: Caps = NO_CAPS
    own_caps_needed: tuple[Limit, ...] = ()


class AgeRules(Struct, frozen=True):
    """Rules of all countries.

    Attributes:
        default: of countries without rules of their own, and of people whose country is not known.
        countries: by ISO 3166-1 alpha-2 code.
    """

    default: AgeLimits = AgeLimits()
    countries: dict[str, AgeLimits] = {}

    def of(self, country: str | None) -> AgeLimits:
        """What holds in a country."""
        return self.default if country is None else self.countries.get(country, self.default)

    @property
    def digest(self) -> str:
        """The same for the same rules, another for any others; 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


NO_RULES: Final = AgeRules()


class PersonChange(Struct, frozen=True):
    """What is newly known of a person. UNSET for what stays as it is, None for what is not known any more.

    Attributes:
        born: date of birth.
        age_least: the person is at least so old; in the place of the date.
        guardian: who consents; None takes the consent back.
    """

    born: datetime.date | UnsetType | None = UNSET
    age_least: int | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    guardian: str | UnsetType | None = UNSET


class Person(Struct, frozen=True):
    """What the deployment knows of a viewer or creator.

    Attributes:
        born: date of birth, or the latest that it can be.
        age_least: where the date stands for "at least so old".
        guardian, guardian_ms: who consents, and since when; None for nobody.
    """

    born: datetime.date | None = None
    age_least: int | None = None
    country: str | None = None
    guardian: str | None = None
    guardian_ms: int | None = None

    def changed(self, change: PersonChange, now_ms: int) -> "Person":
        """The person after something was told. The same least age again does not make anybody younger."""
        after = self
        if change.born is not UNSET:
            after = msgspec.structs.replace(after, born=change.born, age_least=None)
        if change.age_least is not UNSET and change.age_least != after.age_least:
            least = change.age_least
            born = None if least is None else _years_before(_date(now_ms), least)
            after = msgspec.structs.replace(after, born=born, age_least=least)
        if change.country is not UNSET:
            after = msgspec.structs.replace(after, country=change.country)
        if change.guardian is not UNSET and change.guardian != after.guardian:
            since_ms = None if change.guardian is None else now_ms
            after = msgspec.structs.replace(after, guardian=change.guardian, guardian_ms=since_ms)
        return after

    def age(self, today: datetime.date) -> int | None:
        """Full years; None where that is not known."""
        if self.born is None:
            return None
        years = today.year - self.born.year
        return years if _birthday(self.born, years) <= today else years - 1


NOBODY: Final = Person()
"""Of whom nothing was ever told."""


class AgeStep(Struct, frozen=True):
    """What holds for a person's gifts from a birthday on, until the next step's.

    Attributes:
        from_ms: 0 for the first.
        refusal: UNDER_AGE or GUARDIAN_NEEDED; AGE_UNKNOWN, which counts where the deployment wants ages known; None for
            an age that may give.
        age: from which that refusal ends.
        caps: for the age.
        own_caps_needed: caps that the viewer must have set.
    """

    from_ms: int
    refusal: Refusal | None
    age: int = 0
    caps: Caps = NO_CAPS
    own_caps_needed: tuple[Limit, ...] = ()


class AgeRefusal(Struct, frozen=True):
    """Why a person may not do something.

    Attributes:
        refusal: UNDER_AGE, GUARDIAN_NEEDED, AGE_UNKNOWN, or for gifts OWN_CAPS_NEEDED.
        age: from which it ends; 0 with the last two.
        caps_needed: with OWN_CAPS_NEEDED.
    """

    refusal: Refusal
    age: int = 0
    caps_needed: tuple[Limit, ...] = ()


def steps_of(person: Person, limits: AgeLimits) -> tuple[AgeStep, ...]:
    """All that age will ever say to a person's gifts, in the order of time; nothing where nothing is to be said."""
    if person.born is None:
        needed = limits.own_caps_needed
        return (AgeStep(0, Refusal.AGE_UNKNOWN, own_caps_needed=needed),) if needed else ()
    ages = {0, limits.give_age_min, limits.guardian_from, limits.guardian_until, limits.minor_until}
    steps: list[AgeStep] = []
    for age in sorted(ages):
        step = _step(person, limits, age, person.born)
        if steps and step.from_ms <= steps[-1].from_ms:
            steps[-1] = msgspec.structs.replace(step, from_ms=steps[-1].from_ms)
        elif not steps or msgspec.structs.replace(step, from_ms=steps[-1].from_ms) != steps[-1]:
            steps.append(step)
    return tuple(steps)


def judge(person: Person, limits: AgeLimits, act: Act, today: datetime.date, *, known: bool) -> AgeRefusal | None:
    """Why a person may not do it on a day; None when it may.

    Args:
        known: whether a person whose age is not known may not.
    """
    age = person.age(today)
    if age is None:
        return AgeRefusal(Refusal.AGE_UNKNOWN) if known else None
    age_min = limits.buy_age_min if act is Act.BUY else limits.withdraw_age_min
    if age < age_min:
        return AgeRefusal(Refusal.UNDER_AGE, age_min)
    if act is Act.BUY and _guardian_missing(person, limits, age):
        return AgeRefusal(Refusal.GUARDIAN_NEEDED, limits.guardian_until)
    return None


def _step(person: Person, limits: AgeLimits, age: int, born: datetime.date) -> AgeStep:
    from_ms = max(0, (_birthday(born, age) - _EPOCH).days * DAY_MS) if age else 0
    if age < limits.give_age_min:
        return AgeStep(from_ms, Refusal.UNDER_AGE, limits.give_age_min)
    if _guardian_missing(person, limits, age):
        return AgeStep(from_ms, Refusal.GUARDIAN_NEEDED, limits.guardian_until)
    caps = limits.minor_caps if age < limits.minor_until else NO_CAPS
    return AgeStep(from_ms, None, 0, caps, limits.own_caps_needed)


def _guardian_missing(person: Person, limits: AgeLimits, age: int) -> bool:
    return person.guardian is None and limits.guardian_from <= age < limits.guardian_until


def _birthday(born: datetime.date, years: int) -> datetime.date:
    """The day on which somebody is so many years old."""
    if born.month == 2 and born.day == 29:
        return datetime.date(born.year + years, 3, 1) - datetime.timedelta(days=_leap(born.year + years))
    return born.replace(year=born.year + years)


def _years_before(day: datetime.date, years: int) -> datetime.date:
    """The latest birth date of who is so old on a day."""
    if day.month == 2 and day.day == 29 and not _leap(day.year - years):
        return datetime.date(day.year - years, 2, 28)
    return day.replace(year=day.year - years)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _date(now_ms: int) -> datetime.date:
    return _EPOCH + datetime.timedelta(days=now_ms // DAY_MS)

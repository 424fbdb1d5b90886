"""People as the books know them: the part of a guard's row that tells of age, country and guardian, and who may buy and
withdraw by it."""

from typing import Any, Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import Connection
from ledger.books.rows import at_ms, ms_of
from ledger.guards.ages import NOBODY, Act, AgeRefusal, AgeRules, Person, judge

_KNOWN: Final = "SELECT born, age_least, country, guardian, guardian_at FROM guards WHERE viewer = $1 FOR SHARE"
_TODAY: Final = "SELECT (now() AT TIME ZONE 'UTC')::date"


class AgeCheck(Struct, frozen=True):
    """Judges by age.

    Attributes:
        known: whether people whose age is not known are refused.
    """

    rules: AgeRules
    known: bool

    async def refusal(
        self, connection: Connection, viewer: str, act: Act, *, country: str | None = None
    ) -> AgeRefusal | None:
        """Why a person may not do it today (UTC); None when it may. What is known stays so until the transaction ends.

        Args:
            country: where the person's own is not known.
        """
        row = await connection.fetchrow(_KNOWN, viewer)
        person = NOBODY if row is None else person_of(row)
        limits = self.rules.of(person.country or country)
        return judge(person, limits, act, await connection.fetchval(_TODAY), known=self.known)


def person_of(row: asyncpg.Record) -> Person:
    """What a row of `guards` tells of a person."""
    guardian_at = row["guardian_at"]
    return Person(
        row["born"],
        row["age_least"],
        row["country"],
        row["guardian"],
        None if guardian_at is None else ms_of(guardian_at),
    )


def person_values(person: Person) -> tuple[Any, ...]:
    """A person as its row has it: born, age_least, country, guardian, guardian_at."""
    guardian_at = None if person.guardian_ms is None else at_ms(person.guardian_ms)
    return person.born, person.age_least, person.country, person.guardian, guardian_at

"""What operators say of one user and read about it: freezes, ages, and everything for a support case."""

import datetime
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.http.admin import Creator
from gateway.wire.http.viewer import Purchase, SpendLimits, WalletEntry
from gateway.wire.http.words import Country
from gateway.wire.messages import TimeMs

FREEZE_REASON_LENGTH_MAX: Final = 200
GUARDIAN_LENGTH_MAX: Final = 100
BirthDate = Annotated[datetime.date, Meta(description="A day, such as `2009-05-01`.")]
AgeYears = Annotated[int, Meta(ge=0, le=120)]
GuardianName = Annotated[str, Meta(min_length=1, max_length=GUARDIAN_LENGTH_MAX)]
FreezeReason = Annotated[str, Meta(min_length=1, max_length=FREEZE_REASON_LENGTH_MAX)]


class UserBody(Struct, frozen=True):
    """Freeze or thaw a user as a viewer.

    Attributes:
        reason: told to the user with each gift that is refused; needed to freeze, and only then.
    """

    frozen: bool
    reason: FreezeReason | None = None


class AgeBody(Struct, frozen=True):
    """Tell what is known of a user's age, country and guardian. Absent stays as it is, null is not known any more.

    Attributes:
        birth_date: such as `2009-05-01`.
        age_at_least: in the place of the date, where only that is known: so many full years today.
        country: ISO 3166-1 alpha-2.
        guardian: who consents, in the operator's words; null takes the consent back.
    """

    birth_date: BirthDate | UnsetType | None = UNSET
    age_at_least: AgeYears | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    guardian: GuardianName | UnsetType | None = UNSET


class UserAge(Struct, frozen=True):
    """What is known of a user's age, country and guardian.

    Attributes:
        birth_date: null where it is not known, or only a least age.
        guardian, guardian_since_ms: who consents, and since when.
    """

    birth_date: datetime.date | None
    age_at_least: int | None
    country: str | None
    guardian: str | None
    guardian_since_ms: TimeMs | None


class User(Struct, frozen=True):
    """What is known of a user: as a viewer, and as a creator where it is one.

    Attributes:
        frozen: whether all its gifts are refused; then with the reason.
    """

    user: str
    balance_coins: int
    entries: list[WalletEntry]
    purchases: list[Purchase]
    creator: Creator | None
    frozen: bool
    frozen_reason: str | None
    limits: SpendLimits
    age: UserAge

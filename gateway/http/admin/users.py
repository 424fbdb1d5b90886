"""Everything about one user, for a support case."""

import datetime
from typing import Final

from msgspec import UNSET

from gateway.auth import Identity
from gateway.http.creator.share import creator_answer
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.http.viewer.limits import limits_answer
from gateway.http.viewer.purchases import purchase_answer
from gateway.http.viewer.wallet import wallet_entry
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.users import FREEZE_REASON_LENGTH_MAX, GUARDIAN_LENGTH_MAX, AgeBody, User, UserAge, UserBody
from gateway.wire.messages import Name
from ledger.guards.ages import Person, PersonChange

RECENT: Final = 20


async def read_user(services: Services, user: Name) -> User:
    """Tell a user's balance, latest movements and purchases. A user that was never heard of has an empty wallet."""
    office = services.office
    creator = await office.directory.creator(user)
    entries = await office.statements.wallet_entries(user, after=None, limit=RECENT)
    purchases = await office.purchases.of_viewer(user, limit=RECENT)
    guard = await office.guards.read(user)
    return User(
        user,
        await services.ledger.balance(user),
        [wallet_entry(row) for row in entries],
        [purchase_answer(row) for row in purchases],
        None if creator is None else creator_answer(creator, services.config.ledger),
        guard.frozen is not None,
        guard.frozen,
        limits_answer(guard),
        _age_answer(guard.person),
    )


async def change_user(services: Services, caller: Identity, user: Name, body: UserBody) -> User:
    """Freeze a user, so that its gifts are refused with the reason, or thaw it. What is on its way stays paid."""
    guards = services.office.guards
    reason = shown(body.reason or "", FREEZE_REASON_LENGTH_MAX)
    if body.frozen and not reason:
        raise Problem(Code.UNPROCESSABLE, "The user is told why: a reason is needed.", field="$.reason")
    if not body.frozen and body.reason is not None:
        raise Problem(Code.UNPROCESSABLE, "A reason goes with a freeze.", field="$.reason")
    if body.frozen:
        await guards.freeze(user, reason, by=caller.user)
    else:
        await guards.thaw(user, by=caller.user)
    return await read_user(services, user)


async def change_age(services: Services, caller: Identity, user: Name, body: AgeBody) -> User:
    """Tell a user's age, country and guardian. Gifts, purchases and withdrawals are judged by it from the answer on."""
    if body.birth_date not in (UNSET, None) and body.age_at_least not in (UNSET, None):
        raise Problem(Code.UNPROCESSABLE, "Either a birth date is known, or a least age.", field="$.age_at_least")
    if isinstance(body.birth_date, datetime.date) and body.birth_date > datetime.datetime.now(datetime.UTC).date():
        raise Problem(Code.UNPROCESSABLE, "Nobody is born in the future.", field="$.birth_date")
    guardian = body.guardian if not isinstance(body.guardian, str) else shown(body.guardian, GUARDIAN_LENGTH_MAX)
    if guardian == "":
        raise Problem(Code.UNPROCESSABLE, "The guardian has no name.", field="$.guardian")
    change = PersonChange(body.birth_date, body.age_at_least, body.country, guardian)
    await services.office.guards.know(user, change, by=caller.user)
    return await read_user(services, user)


def _age_answer(person: Person) -> UserAge:
    return UserAge(
        person.born if person.age_least is None else None,
        person.age_least,
        person.country,
        person.guardian,
        person.guardian_ms,
    )


OPERATIONS = (
    declare("GET", "/v1/admin/users/{user}", read_user, tag="operators", roles=("operator",)),
    declare("PUT", "/v1/admin/users/{user}", change_user, tag="operators", roles=("operator",)),
    declare("PUT", "/v1/admin/users/{user}/age", change_age, tag="operators", roles=("operator",)),
)

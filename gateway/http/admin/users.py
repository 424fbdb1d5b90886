"""Everything about one user, for a support case."""

from typing import Final

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
from gateway.wire.http.admin import FREEZE_REASON_LENGTH_MAX, User, UserBody
from gateway.wire.messages import Name

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


OPERATIONS = (
    declare("GET", "/v1/admin/users/{user}", read_user, tag="operators", roles=("operator",)),
    declare("PUT", "/v1/admin/users/{user}", change_user, tag="operators", roles=("operator",)),
)

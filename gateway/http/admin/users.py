"""Everything about one user, for a support case."""

from typing import Final

from gateway.http.creator.share import creator_answer
from gateway.http.operation import declare
from gateway.http.viewer.purchases import purchase_answer
from gateway.http.viewer.wallet import wallet_entry
from gateway.services import Services
from gateway.wire.http.admin import User
from gateway.wire.messages import Name

RECENT: Final = 20


async def read_user(services: Services, user: Name) -> User:
    """Tell a user's balance, latest movements and purchases. A user that was never heard of has an empty wallet."""
    office = services.office
    creator = await office.directory.creator(user)
    entries = await office.statements.wallet_entries(user, after=None, limit=RECENT)
    purchases = await office.purchases.of_viewer(user, limit=RECENT)
    return User(
        user,
        await services.ledger.balance(user),
        [wallet_entry(row) for row in entries],
        [purchase_answer(row) for row in purchases],
        None if creator is None else creator_answer(creator, services.config.ledger),
    )


OPERATIONS = (declare("GET", "/v1/admin/users/{user}", read_user, tag="operators", roles=("operator",)),)

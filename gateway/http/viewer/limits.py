"""How many coins a viewer may spend: what the operator set for all, and what the viewer sets for itself."""

from msgspec import UNSET

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.replies import CODES
from gateway.services import Services
from gateway.wire.http.viewer import PendingLimit, RefusedByAge, SpendLimit, SpendLimits, SpendLimitsBody
from ledger.guards.ages import AgeRefusal
from ledger.guards.guards import CapState, ViewerGuard
from ledger.model import Limit


async def read_limits(services: Services, caller: Identity) -> SpendLimits:
    """Tell the limits on spending that hold now, what waits to hold, and what was spent."""
    return limits_answer(await services.office.guards.read(caller.user))


async def change_limits(services: Services, caller: Identity, body: SpendLimitsBody) -> SpendLimits:
    """Change one's own limits. A lower one holds at once, a higher one or none after `ledger.cap_raise_ms`."""
    wishes = {
        Limit.GIFT: body.gift_coins,
        Limit.DAY: body.day_coins,
        Limit.WEEK: body.week_coins,
        Limit.MONTH: body.month_coins,
    }
    named = {limit: coins for limit, coins in wishes.items() if coins is not UNSET}
    return limits_answer(await services.office.guards.set_caps(caller.user, named))


def limits_answer(guard: ViewerGuard) -> SpendLimits:
    """The limits as the contract shows them."""
    return SpendLimits(
        _limit(guard.caps[Limit.GIFT]),
        _limit(guard.caps[Limit.DAY]),
        _limit(guard.caps[Limit.WEEK]),
        _limit(guard.caps[Limit.MONTH]),
        None if guard.age is None else _refused(guard.age),
    )


def _refused(age: AgeRefusal) -> RefusedByAge:
    return RefusedByAge(CODES[age.refusal].value, age.age or None, [limit.value for limit in age.caps_needed])


def _limit(cap: CapState) -> SpendLimit:
    own = cap.own
    return SpendLimit(
        cap.coins,
        cap.operator_coins,
        own.coins,
        None if own.from_ms is None else PendingLimit(own.pending_coins, own.from_ms),
        cap.spent_coins,
        cap.resets_at_ms,
        cap.age_coins,
    )


OPERATIONS = (
    declare("GET", "/v1/me/limits", read_limits, tag="wallet", roles=("viewer",)),
    declare("PUT", "/v1/me/limits", change_limits, tag="wallet", roles=("viewer",)),
)

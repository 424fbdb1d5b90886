"""The part of the ledger's twin that says what forbids a gift although the wallet could pay for it. Pure, and plain.

A viewer has a guard where something was decided about it, or where the operator's caps, rate and wish for ages are for
everybody; only gifts of those are counted.
"""

import math

from msgspec import Struct, field

from ledger.config import LedgerConfig
from ledger.guards.ages import NO_CAPS
from ledger.guards.periods import period_number, resets_at_ms
from ledger.live.guard_state import NO_SETTINGS, VIEWER_LIMITS, GuardSettings, LiveGuard
from ledger.model import CapPassed, GiftOrder, GiftRefused, Limit, Refusal

_COUNTED = (Limit.DAY, Limit.WEEK, Limit.MONTH)


class TwinGuard(Struct):
    """What is held of one viewer.

    Attributes:
        counted: for day, week and month: the period's number, and the coins given in it.
        reached_ms: the time that the viewer's rate has reached.
    """

    settings: GuardSettings = NO_SETTINGS
    counted: dict[Limit, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(_COUNTED, (0, 0)))
    reached_ms: float = 0

    def live(self) -> LiveGuard:
        """As the real ledger tells it."""
        day, week, month = (self.counted[limit] for limit in _COUNTED)
        return LiveGuard(self.settings, (day, week, month))

    def spent(self, limit: Limit, now_ms: int) -> int:
        """Coins of the present period; none for the cap of a gift."""
        number, coins = self.counted.get(limit, (0, 0))
        return coins if number == period_number(limit, now_ms) else 0


class TwinGuards:
    """The guards of one partition."""

    def __init__(self, config: LedgerConfig) -> None:
        self.viewers: dict[str, TwinGuard] = {}
        self.given_today: dict[tuple[str, str], int] = {}
        self.given_day = 0
        self._own_gifts = config.own_gifts
        self._ages_known = config.ages_known
        self._caps = dict(
            zip(
                VIEWER_LIMITS,
                (config.gift_coins_max, config.day_coins_max, config.week_coins_max, config.month_coins_max),
                strict=True,
            )
        )
        self._rate_ms = 60_000 / config.gifts_per_minute if config.gifts_per_minute else 0
        self._burst_ms = self._rate_ms * config.gifts_burst

    def set(self, viewer: str, settings: GuardSettings) -> None:
        """From now on these hold, unless newer ones are there."""
        guard = self.viewers.setdefault(viewer, TwinGuard())
        if guard.settings.version <= settings.version:
            guard.settings = settings

    def forbid(self, order: GiftOrder, wallet: int, now_ms: int) -> GiftRefused | None:
        """Why a new gift may not be given, whatever is in the wallet: freeze, age, bar, caps of viewer and creator."""
        guard = self._of(order.viewer)
        if guard is not None and guard.settings.frozen is not None:
            return GiftRefused(Refusal.FROZEN, wallet, reason=guard.settings.frozen)
        refused = None if guard is None else self._age_refuses(guard, wallet, now_ms)
        if refused is not None:
            return refused
        if str(order.viewer) == order.creator and not self._own_gifts:
            return GiftRefused(Refusal.OWN_GIFT, wallet)
        if order.barred:
            return GiftRefused(Refusal.BARRED, wallet)
        passed = None if guard is None else self._cap_passed(guard, order.coins, now_ms)
        passed = passed or self._creators_cap_passed(order, now_ms)
        return None if passed is None else GiftRefused(Refusal.LIMIT_EXCEEDED, wallet, cap=passed)

    def forbid_coins(self, viewer: str, coins: int, wallet: int, now_ms: int) -> GiftRefused | None:
        """Why coins may not be held, whatever is in the wallet: freeze, age, the viewer's caps."""
        guard = self._of(viewer)
        if guard is None:
            return None
        if guard.settings.frozen is not None:
            return GiftRefused(Refusal.FROZEN, wallet, reason=guard.settings.frozen)
        refused = self._age_refuses(guard, wallet, now_ms)
        if refused is not None:
            return refused
        passed = self._cap_passed(guard, coins, now_ms)
        return None if passed is None else GiftRefused(Refusal.LIMIT_EXCEEDED, wallet, cap=passed)

    def wait_ms(self, viewer: str, now_ms: int) -> int:
        """How long the viewer has to wait for its next gift; 0 or less for not at all."""
        guard = self._of(viewer)
        if guard is None or not self._rate_ms:
            return 0
        return math.ceil(self._reached_ms(guard, now_ms) + self._rate_ms - self._burst_ms - now_ms)

    def count(self, order: GiftOrder, now_ms: int) -> bool:
        """The gift is accepted; whether the viewer's caps counted its coins."""
        counted = self.count_coins(order.viewer, order.coins, now_ms)
        if counted and self._rate_ms:
            guard = self.viewers[order.viewer]
            guard.reached_ms = self._reached_ms(guard, now_ms) + self._rate_ms
        if order.creator_day_coins_max is not None:
            self.given_today = {**self._given(now_ms), (order.viewer, order.creator): self._given_to(order, now_ms)}
            self.given_today[order.viewer, order.creator] += order.coins
            self.given_day = period_number(Limit.CREATOR_DAY, now_ms)
        return counted

    def count_coins(self, viewer: str, coins: int, now_ms: int) -> bool:
        """Coins are spent, or held; whether they are counted."""
        guard = self._of(viewer)
        if guard is None:
            return False
        self.viewers[viewer] = guard
        for limit in _COUNTED:
            guard.counted[limit] = (period_number(limit, now_ms), guard.spent(limit, now_ms) + coins)
        return True

    def give_back(self, viewer: str, coins: int, counted_ms: int) -> None:
        """Held coins came back: they do not count in those of the periods of that time that are counted still."""
        guard = self.viewers.get(viewer)
        if guard is None:
            return
        for limit, (number, counted) in guard.counted.items():
            if number == period_number(limit, counted_ms):
                guard.counted[limit] = (number, max(0, counted - coins))

    def give_back_given(self, viewer: str, creator: str, coins: int, counted_ms: int) -> None:
        """A gift was undone: the creator's cap of that day does not count it any more, if it is that day still."""
        if self.given_day == period_number(Limit.CREATOR_DAY, counted_ms):
            self.given_today[viewer, creator] = max(0, self.given_today.get((viewer, creator), 0) - coins)

    def _of(self, viewer: str) -> TwinGuard | None:
        everybody = self._rate_ms or any(self._caps.values()) or self._ages_known
        return self.viewers.get(viewer, TwinGuard() if everybody else None)

    def _age_refuses(self, guard: TwinGuard, wallet: int, now_ms: int) -> GiftRefused | None:
        step = guard.settings.age_at(now_ms)
        if self._ages_known and (step is None or step.refusal is Refusal.AGE_UNKNOWN):
            return GiftRefused(Refusal.AGE_UNKNOWN, wallet)
        if step is None:
            return None
        if step.refusal in (Refusal.UNDER_AGE, Refusal.GUARDIAN_NEEDED):
            return GiftRefused(step.refusal, wallet, age=step.age)
        own = dict(zip(VIEWER_LIMITS, guard.settings.caps, strict=True))
        if any(own[limit].at(now_ms).coins is None for limit in step.own_caps_needed):
            return GiftRefused(Refusal.OWN_CAPS_NEEDED, wallet, caps_needed=step.own_caps_needed)
        return None

    def _cap_passed(self, guard: TwinGuard, coins: int, now_ms: int) -> CapPassed | None:
        step = guard.settings.age_at(now_ms)
        ages = NO_CAPS if step is None else step.caps
        for limit, own, age in zip(VIEWER_LIMITS, guard.settings.caps, ages, strict=True):
            caps = [cap for cap in (self._caps[limit] or None, own.at(now_ms).coins, age) if cap is not None]
            spent = guard.spent(limit, now_ms)
            if caps and spent + coins > min(caps):
                return CapPassed(limit, min(caps), spent, resets_at_ms(limit, now_ms))
        return None

    def _creators_cap_passed(self, order: GiftOrder, now_ms: int) -> CapPassed | None:
        cap, given = order.creator_day_coins_max, self._given_to(order, now_ms)
        if cap is None or given + order.coins <= cap:
            return None
        return CapPassed(Limit.CREATOR_DAY, cap, given, resets_at_ms(Limit.CREATOR_DAY, now_ms))

    def _given(self, now_ms: int) -> dict[tuple[str, str], int]:
        return self.given_today if self.given_day == period_number(Limit.CREATOR_DAY, now_ms) else {}

    def _given_to(self, order: GiftOrder, now_ms: int) -> int:
        return self._given(now_ms).get((order.viewer, order.creator), 0)

    def _reached_ms(self, guard: TwinGuard, now_ms: int) -> float:
        return max(min(guard.reached_ms, now_ms + self._burst_ms), now_ms)

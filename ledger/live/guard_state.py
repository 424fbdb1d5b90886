"""A viewer's freeze, own caps and age: how a wish changes caps, and how the live ledger holds all of it.

Pure. A cap that is lowered holds at once; one that is raised or removed waits, so that nobody spends in a moment what
they meant to keep from themselves. The packed form is read by `lua/parts/guards.lua`.
"""

import struct
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ledger.guards.ages import AgeRefusal, AgeStep
from ledger.guards.periods import period_number
from ledger.model import Limit, Refusal

VIEWER_LIMITS: Final = (Limit.GIFT, Limit.DAY, Limit.WEEK, Limit.MONTH)
"""The caps that a viewer may have, in the order in which they are packed."""
_COUNTS: Final = struct.Struct(">7d")
_PERIOD_COUNTS: Final = struct.Struct(">6d")
_SETTINGS: Final = struct.Struct(">dB12d")
_STEP: Final = struct.Struct(">8d")
_NONE: Final = -1
_STEPS_PLACE: Final = _COUNTS.size + _SETTINGS.size
_AGE_STATUSES: Final = {None: 0, Refusal.UNDER_AGE: 17, Refusal.GUARDIAN_NEEDED: 18, Refusal.AGE_UNKNOWN: 19}
_AGE_REFUSALS: Final = {status: refusal for refusal, status in _AGE_STATUSES.items()}


class OwnCap(Struct, frozen=True):
    """One cap that a viewer has set.

    Attributes:
        coins: until `from_ms`, or without end where that is None; None for no cap.
        pending_coins: from `from_ms` on; None for no cap.
    """

    coins: int | None = None
    pending_coins: int | None = None
    from_ms: int | None = None

    def at(self, now_ms: int) -> "OwnCap":
        """The same as seen at a time: what was pending is in force once its time has come."""
        if self.from_ms is not None and now_ms >= self.from_ms:
            return OwnCap(self.pending_coins)
        return self

    def changed(self, coins: int | None, now_ms: int, raise_ms: int) -> "OwnCap":
        """The cap after the viewer asked for this one.

        A raise that was asked for before keeps its time when the new wish goes no further.
        """
        now = self.at(now_ms)
        if not _higher(coins, now.coins):
            return OwnCap(coins)
        if now.from_ms is not None and not _higher(coins, now.pending_coins):
            return OwnCap(now.coins, coins, now.from_ms)
        return OwnCap(now.coins, coins, now_ms + raise_ms)


class GuardSettings(Struct, frozen=True):
    """What was decided about a viewer.

    Attributes:
        version: rises with each change; the live ledger passes over older ones.
        frozen: the reason, where the account is frozen.
        caps: the viewer's own, in the order of VIEWER_LIMITS.
        ages: what age says to gifts, in the order of time; empty where nothing is known.
    """

    version: int
    frozen: str | None
    caps: tuple[OwnCap, OwnCap, OwnCap, OwnCap]
    ages: tuple[AgeStep, ...] = ()

    def age_at(self, now_ms: int) -> AgeStep | None:
        """What age says at a time; None where it says nothing."""
        return next((step for step in reversed(self.ages) if step.from_ms <= now_ms), None)

    def age_refusal(self, now_ms: int, *, known: bool) -> AgeRefusal | None:
        """Why age or country forbid every gift at a time; None when they do not.

        Args:
            known: whether gifts of those whose age is not known are refused.
        """
        step = self.age_at(now_ms)
        if step is None or step.refusal is Refusal.AGE_UNKNOWN:
            if known:
                return AgeRefusal(Refusal.AGE_UNKNOWN)
        elif step.refusal is not None:
            return AgeRefusal(step.refusal, step.age)
        needed = () if step is None else step.own_caps_needed
        own = {limit for limit, cap in zip(VIEWER_LIMITS, self.caps, strict=True) if cap.at(now_ms).coins is not None}
        return None if own.issuperset(needed) else AgeRefusal(Refusal.OWN_CAPS_NEEDED, caps_needed=needed)


NO_SETTINGS: Final = GuardSettings(0, None, (OwnCap(), OwnCap(), OwnCap(), OwnCap()))
"""Of a viewer about whom nothing was ever decided."""


class LiveGuard(Struct, frozen=True):
    """What the live ledger holds of a viewer.

    Attributes:
        counted: for day, week and month: the period's number, and the coins counted in it.
    """

    settings: GuardSettings
    counted: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

    def spent(self, limit: Limit, now_ms: int) -> int:
        """Coins counted in the present period of a day, week or month."""
        number, coins = self.counted[VIEWER_LIMITS.index(limit) - 1]
        return coins if number == period_number(limit, now_ms) else 0


def pack_settings(settings: GuardSettings) -> bytes:
    """The settings as the live ledger takes them."""
    numbers: list[int] = []
    for cap in settings.caps:
        numbers += (_packed(cap.coins), _packed(cap.pending_coins), cap.from_ms or 0)
    flags = (settings.frozen is not None) + 2 * len(settings.ages)
    head = _SETTINGS.pack(settings.version, flags, *numbers)
    return head + pack_steps(settings.ages) + (settings.frozen or "").encode()


def pack_steps(steps: Iterable[AgeStep]) -> bytes:
    """What age says, as the live ledger takes it and the books hold it."""
    return b"".join(
        _STEP.pack(
            step.from_ms,
            _AGE_STATUSES[step.refusal],
            step.age,
            sum(1 << place for place, limit in enumerate(VIEWER_LIMITS) if limit in step.own_caps_needed),
            *map(_packed, step.caps),
        )
        for step in steps
    )


def read_steps(packed: bytes) -> tuple[AgeStep, ...]:
    """The steps of `pack_steps`."""
    return tuple(_step(*map(int, numbers)) for numbers in _STEP.iter_unpack(packed))


def limits_of(bits: int) -> tuple[Limit, ...]:
    """Which caps are meant by bits, that of a gift being the lowest."""
    return tuple(limit for place, limit in enumerate(VIEWER_LIMITS) if bits >> place & 1)


def pack_counts(counted: Iterable[tuple[int, int]]) -> bytes:
    """Number and coins of day, week and month as the live ledger holds them behind the gift rate."""
    return _PERIOD_COUNTS.pack(*(number for period in counted for number in period))


def read_guard(field: bytes | None) -> LiveGuard:
    """A viewer's field of the live ledger; None where it has none."""
    field = field or bytes(_COUNTS.size)
    _, *counts = map(int, _COUNTS.unpack_from(field))
    counted = ((counts[0], counts[1]), (counts[2], counts[3]), (counts[4], counts[5]))
    if len(field) == _COUNTS.size:
        return LiveGuard(NO_SETTINGS, counted)
    version, flags, *numbers = map(int, _SETTINGS.unpack_from(field, _COUNTS.size))
    reason_place = _STEPS_PLACE + flags // 2 * _STEP.size
    first, second, third, fourth = (_cap(*numbers[place : place + 3]) for place in range(0, 12, 3))
    reason = field[reason_place:].decode() if flags % 2 else None
    ages = read_steps(field[_STEPS_PLACE:reason_place])
    return LiveGuard(GuardSettings(version, reason, (first, second, third, fourth), ages), counted)


def _higher(wanted: int | None, than: int | None) -> bool:
    """Whether one cap allows more than another; None allows all."""
    return than is not None and (wanted is None or wanted > than)


def _step(from_ms: int, status: int, age: int, needed: int, *caps: int) -> AgeStep:
    first, second, third, fourth = map(_unpacked, caps)
    return AgeStep(from_ms, _AGE_REFUSALS[status], age, (first, second, third, fourth), limits_of(needed))


def _packed(coins: int | None) -> int:
    return _NONE if coins is None else coins


def _cap(coins: int, pending_coins: int, from_ms: int) -> OwnCap:
    if not from_ms:
        return OwnCap(_unpacked(coins))
    return OwnCap(_unpacked(coins), _unpacked(pending_coins), from_ms)


def _unpacked(number: int) -> int | None:
    return None if number == _NONE else number

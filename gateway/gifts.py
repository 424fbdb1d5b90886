"""How a gift is sent, on one page: find the gift and its price, guard, let the ledger pay, reply.

The reply is given through a callback, since on the WebSocket path a gift has no task of its own.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET

from catalog.gifts import Barrier, barrier
from catalog.load import Catalog
from gateway.auth import Identity
from gateway.filters import read_settings
from gateway.places import room_place, video_place
from gateway.replies import Bar, refused, refused_by_ledger
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftDetails, encode_details
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.messages import AMOUNT_MAX, MESSAGE_LENGTH_MAX, Accepted, ComboCount, Refused, SendGift
from ledger.guards.directory import Place
from ledger.ids import format_id, id_time_ms, parse_id
from ledger.model import BoundReached, GiftAccepted, GiftOrder, GiftOutcome, ViewerId
from ledger.service import Ledger

GiftReply = Accepted | Refused
Told = Callable[[GiftReply, GiftAccepted | None], None]
"""Hears the reply once, with the ledger's own outcome when it was accepted. Must not raise and must not block."""

_BARRIERS: Final = {
    Barrier.LEVEL: "This gift needs level {level_min}.",
    Barrier.FANS_ONLY: "This gift is for members of the fan club.",
    Barrier.NOT_ON_VIDEO: "This gift cannot be sent on a video.",
}
_content_encoder = msgspec.msgpack.Encoder()


class GiftDesk:
    """Where gifts are handed in.

    Args:
        config: how long combos go on, and which gifts can be undone for how long.
        now_ms: the clock by which events of commission plans run.
    """

    def __init__(self, catalog: Catalog, ledger: Ledger, config: RoomConfig, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.catalog = catalog
        self.config = config
        self._combo_window_ms = config.combo_window_ms
        # Above what any gift may cost, when none can be undone: one comparison for every gift.
        self._undo_coins_min = config.undo_coins_min or AMOUNT_MAX + 1
        self._undo_window_ms = config.undo_window_ms
        self._ledger = ledger

    @property
    def full(self) -> bool:
        """Whether as many gifts wait as may."""
        return self._ledger.batcher.full

    @property
    def bound(self) -> BoundReached | None:
        """Of how many gifts may wait; None while the ledger stops."""
        return self._ledger.batcher.bound

    def turns_away(self) -> bool:
        """Whether a gift is refused since as many wait as may. It is asked first, and must cost little."""
        if not self.full:
            return False
        self._ledger.batcher.turn_away()
        return True

    def give(self, identity: Identity, command: SendGift, place: Place, told: Told) -> None:
        """Pay for a gift at a place that exists.

        Args:
            place: the one that the command names.
            told: hears an `Accepted` only once the record is on disk, when the ledger keeps to its durable mode.
        """
        if identity.role != "viewer":
            told(_refuse(command, Code.NOT_ALLOWED, "Only a viewer's token can send gifts."), None)
            return
        order, bar = self._order(identity, command, place)
        ref, gift_id, in_combo = command.ref, command.id, command.combo

        def paid(outcome: GiftOutcome) -> None:
            if isinstance(outcome, GiftAccepted):
                told(_accepted(outcome, ref, gift_id, in_combo=in_combo), outcome)
            else:
                told(refused_by_ledger(outcome, ref=ref, id=gift_id, bar=bar), None)

        self._ledger.submit(order, paid)

    def _order(self, identity: Identity, command: SendGift, place: Place) -> tuple[GiftOrder, Bar | None]:
        """The order, and why it is barred. It is handed in all the same: it may be the retry of a gift that was paid
        before the catalogue, the room or the sender's level became what they are."""
        gift = self.catalog.gift(command.gift)
        price_coins = 0 if gift is None else gift.price_coins
        coins = price_coins * command.count
        bar = self._bar(identity, command, place)
        creator_day_coins_max = None
        if place.settings:
            filters = read_settings(place.settings).filters
            creator_day_coins_max = filters.viewer_day_coins_max
            if bar is None and (why := filters.bar(identity.user, coins)) is not None:
                bar = Bar(Code.NOT_ALLOWED, why)
        terms = place.terms
        parts = terms.parts(coins, place.place, command.gift, self._now_ms())
        id_bytes = parse_id(command.id)
        combo = command.combo
        order = GiftOrder(
            id=id_bytes,
            id_ms=id_time_ms(id_bytes),
            viewer=ViewerId(identity.user),
            creator=place.creator,
            content=_content_encoder.encode(
                (place.place, command.gift, command.count, combo, command.message, command.anonymous)
            ),
            place=place.place,
            item=command.gift,
            unit_coins=price_coins,
            count=command.count,
            coins=coins,
            creator_diamonds=parts.creator_diamonds,
            commission_diamonds=parts.commission_diamonds,
            combo_key=f"{place.place}|{command.gift}|{'a' if command.anonymous else 'n'}" if combo else "",
            combo_window_ms=self._combo_window_ms if combo else 0,
            details=encode_details(
                GiftDetails(identity.name, identity.level, command.anonymous, shown_message(command.message))
            ),
            plan=parts.terms,
            agency=terms.agency if parts.agency_diamonds else "",
            agency_diamonds=parts.agency_diamonds,
            barred=bar is not None,
            creator_day_coins_max=creator_day_coins_max,
            undo_ms=self._undo_window_ms if coins >= self._undo_coins_min and not combo else 0,
        )
        return order, bar

    def _bar(self, identity: Identity, command: SendGift, place: Place) -> Bar | None:
        gift = self.catalog.gift(command.gift)
        if gift is None:
            return Bar(Code.UNKNOWN_GIFT)
        if command.to is not None and command.to != place.creator:
            return Bar(Code.UNKNOWN_RECEIVER)
        if identity.room is not None and identity.room != command.room:
            return Bar(Code.NOT_ALLOWED, "The token is for another room.")
        if command.combo and not gift.combo:
            return Bar(Code.GIFT_NOT_AVAILABLE, "This gift cannot be sent in a combo.")
        found = barrier(gift, level=identity.level, fan=False, on_video=command.video is not None)
        if found is None:
            return None
        return Bar(Code.GIFT_NOT_AVAILABLE, _BARRIERS[found].format(level_min=gift.level_min))


def shown_message(message: str | None) -> str | None:
    """A gift's message as everybody in the room may see it; None when nothing of it can be seen."""
    return None if message is None else shown(message, MESSAGE_LENGTH_MAX) or None


def place_name(command: SendGift) -> str | Refused:
    """The place that a command names, which must be a room or a video and not both."""
    if (command.room is None) == (command.video is None):
        return _refuse(command, Code.BAD_REQUEST, "exactly one of `room` and `video` is needed", field="$.room")
    return room_place(command.room) if command.room is not None else video_place(str(command.video))


def unknown_place(command: SendGift) -> Refused:
    """There is no such room or video."""
    return _refuse(command, Code.UNKNOWN_ROOM)


def _refuse(command: SendGift, code: Code, message: str | None = None, *, field: str | None = None) -> Refused:
    return refused(code, message, ref=command.ref, id=command.id, field=UNSET if field is None else field)


def _accepted(outcome: GiftAccepted, ref: str, gift_id: str, *, in_combo: bool) -> Accepted:
    combo = outcome.combo
    return Accepted(
        ref=ref,
        id=gift_id,
        coins=outcome.coins,
        balance_coins=outcome.balance_coins,
        replay=outcome.replay,
        combo=ComboCount(format_id(combo.id), combo.count) if in_combo and combo is not None else UNSET,
        undo_until_ms=outcome.undo_until_ms or UNSET,
    )

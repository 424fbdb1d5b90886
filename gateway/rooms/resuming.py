"""What a session missed of a room, when it comes back: read from the history, and shown as its kind is shown things."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from msgspec import Struct

from gateway.room.config import RoomConfig
from gateway.room.facts import RoomBatch, complete_events
from gateway.room.room import Room
from gateway.rooms.broker import Broker
from gateway.rooms.overlay_acks import OverlayAcks
from gateway.wire.messages import Event, Events, Position

ROUNDS_MAX: Final = 20
_BEGINNING: Final = (0, 0)


class Missed(Struct, frozen=True):
    """What came after a position, at least up to what the room had heard when it was read.

    Attributes:
        whole: nothing in between was left out.
    """

    since: Position
    batches: list[RoomBatch]
    whole: bool = True


class Resuming:
    """Finds what sessions missed. Every way raises `BrokerUnavailable` when the server does not answer."""

    def __init__(self, broker: Broker, acks: OverlayAcks, config: RoomConfig, now_ms: Callable[[], int]) -> None:
        self._broker = broker
        self._acks = acks
        self._config = config
        self._now_ms = now_ms

    async def since(self, core: Room, since: Position, catch_up: Callable[[], Awaitable[object]]) -> Missed | None:
        """What a session missed that says where it stopped; None when that is gone, or too much.

        Args:
            catch_up: lets the room read what it has not heard.
        """
        if since.seq > core.seq:
            # It comes from a gateway that heard more: catch up, or it would be told again what it knows.
            await catch_up()
        if core.seq - since.seq > self._config.resume_facts_max:
            return None
        missed: list[RoomBatch] = []
        epoch, reached = since.epoch, since.seq
        for _ in range(ROUNDS_MAX):
            if epoch != core.epoch and (epoch, reached) != _BEGINNING:
                return None
            if reached >= core.seq:
                return Missed(since, missed) if reached == core.seq or missed else None
            found = await self._broker.since(core.name, epoch, reached, self._config.resume_facts_max)
            if not found or found[-1].last_seq - since.seq > self._config.resume_facts_max:
                return None
            missed += found
            epoch, reached = found[-1].epoch, found[-1].last_seq
        return None

    async def since_ack(self, core: Room, token: str, catch_up: Callable[[], Awaitable[object]]) -> Missed | None:
        """What an overlay missed that does not say where it stopped, from what its token's screens acknowledged.

        Returns:
            As `newest_since`; None also when nothing was acknowledged.
        """
        shown = await self._acks.kept(core.name, token)
        return None if shown is None else await self.newest_since(core, Position(*shown), catch_up)

    async def newest_since(
        self, core: Room, shown: Position, catch_up: Callable[[], Awaitable[object]]
    ) -> Missed | None:
        """The newest of what came after a position: at most `replay_facts_max` facts, none older than `replay_ms_max`.

        Bounded by age and by count, since nobody wants to see the gifts of yesterday.

        Returns:
            None when the position is of another epoch or lies ahead, or the history moved on while it was read.
        """
        if shown.epoch != core.epoch and (shown.epoch, shown.seq) != _BEGINNING:
            return None
        most = min(self._config.replay_facts_max, self._config.resume_facts_max)
        after = max(shown.seq, core.seq - most)
        missed = await self.since(core, Position(core.epoch, after), catch_up)
        if missed is None:
            after = max(after, (await self._broker.snapshot(core.name)).oldest_seq - 1)
            missed = await self.since(core, Position(core.epoch, after), catch_up)
        if missed is None:
            return None
        batches = self._young(missed.batches)
        if batches:
            after = batches[0].first_seq - 1
        elif missed.batches:
            after = missed.batches[-1].last_seq
        return Missed(Position(core.epoch, after), batches, whole=after == shown.seq)

    def messages(self, core: Room, missed: Missed, seq: int, *, complete: bool) -> Iterator[Events]:
        """What a session is told of it, up to `seq`: an overlay or a creator everything, a few at a time; a viewer what
        one tick would have shown."""
        batches = [cut for batch in missed.batches if (cut := _upto(batch, seq))]
        if not complete:
            events = self._as_tick(missed.since, batches)
            if events:
                yield Events(core.name, core.epoch, seq, events)
            return
        gifts = [event for batch in batches for event in complete_events(batch)]
        for start in range(0, len(gifts), self._config.resume_page_facts):
            page = gifts[start : start + self._config.resume_page_facts]
            yield Events(core.name, core.epoch, page[-1].seq, list(page))

    def _as_tick(self, since: Position, batches: list[RoomBatch]) -> list[Event]:
        if not batches:
            return []
        room = Room(batches[0].room, self._config, epoch=batches[0].epoch, seq=since.seq)
        for batch in batches:
            room.hear(batch)
        tick = room.tick(self._now_ms())
        return [] if tick is None else tick.events

    def _young(self, batches: list[RoomBatch]) -> list[RoomBatch]:
        """From the first fact on that is not too old."""
        oldest_ms = self._now_ms() - self._config.replay_ms_max
        for index, batch in enumerate(batches):
            for place, fact in enumerate(batch.facts):
                if fact.at_ms >= oldest_ms:
                    first = RoomBatch(batch.room, batch.epoch, batch.first_seq + place, batch.facts[place:])
                    return [first, *batches[index + 1 :]]
        return []


def _upto(batch: RoomBatch, seq: int) -> RoomBatch | None:
    """The part up to `seq`; None when all of it lies behind."""
    if batch.first_seq > seq:
        return None
    if batch.last_seq <= seq:
        return batch
    return RoomBatch(batch.room, batch.epoch, batch.first_seq, batch.facts[: seq + 1 - batch.first_seq])

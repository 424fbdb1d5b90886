"""The Lua scripts of rooms, one typed call each. The headers of the files under `lua/` say what goes in and out."""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, encode_fact
from gateway.rooms.room_keys import combo_field, keys_of

_encoder: Final = msgspec.msgpack.Encoder()
_BATCH_ARRAY: Final = b"\x94"


class Telling(Struct, frozen=True, gc=False):
    """A gift from the journal, or the taking back of one, for one room.

    Attributes:
        combo_key: the ledger's key of the combo; empty for a gift outside any.
        end: the end of that combo as it will be told unless another gift comes.
    """

    fact: GiftFact
    combo_key: str = ""
    end: GiftFact | None = None


class RoomTelling(Struct, frozen=True):
    """What a room is to be told, records of one partition in their order. `epoch` is the newest of them."""

    room: str
    epoch: int
    tellings: list[Telling]


class ComboEnding(Struct, frozen=True):
    """A combo whose deadline has passed."""

    room: str
    epoch: int
    viewer: str
    combo_key: str
    combo_id: bytes


Call = tuple[tuple[bytes, ...], tuple[Any, ...]]


class RoomScript:
    """One Lua file: called by its SHA-1, loaded again when the server has forgotten it."""

    def __init__(self, name: str) -> None:
        self._source = (resources.files("gateway.rooms") / "lua" / f"{name}.lua").read_bytes()
        self._sha = hashlib.sha1(self._source, usedforsecurity=False).hexdigest()

    async def call_all(
        self, redis: Redis, calls: Sequence[Call], publish: tuple[bytes, bytes] | None = None
    ) -> list[Any]:
        """Run it for each of `calls` in one round trip, and publish a message with them.

        When the server has forgotten the script all are run again, so with more than one call it must be one that may
        be repeated, and calls must not rely on each other: a later one may run without an earlier one.

        Raises:
            redis.RedisError, OSError: some of the calls may have been carried out.
        """
        answers = await self._attempt(redis, calls, publish)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await redis.script_load(self._source)
            answers = await self._attempt(redis, calls, None)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers[: len(calls)]

    async def _attempt(self, redis: Redis, calls: Sequence[Call], publish: tuple[bytes, bytes] | None) -> list[Any]:
        pipeline = redis.pipeline(transaction=False)
        for keys, args in calls:
            pipeline.evalsha(self._sha, len(keys), *keys, *args)
        if publish is not None:
            pipeline.execute_command("SPUBLISH", *publish)
        return list(await pipeline.execute(raise_on_error=False))


class RoomScripts:
    """Typed calls of the scripts against one server."""

    def __init__(self, redis: Redis, config: RoomConfig) -> None:
        self._redis = redis
        self._config = config
        self._tell = RoomScript("tell")
        self._end_combo = RoomScript("end_combo")
        self._test_gift = RoomScript("test_gift")
        self._presence = RoomScript("presence")
        self._raise_epoch = RoomScript("raise_epoch")
        self._keep_ack = RoomScript("keep_ack")

    async def tell(self, rooms: Sequence[RoomTelling], publish: tuple[bytes, bytes] | None) -> list[int]:
        """Tell rooms, each at most once here; repeating it adds nothing. Returns each room's last seq.

        Raises:
            redis.RedisError, OSError: some rooms may have been told; telling all again is right.
        """
        return await self._tell.call_all(self._redis, [self._tell_call(room) for room in rooms], publish)

    async def end_combos(self, endings: Sequence[ComboEnding]) -> list[int]:
        """Tell rooms that combos have ended. Returns the seq of each end, 0 when the combo was not open there.

        Raises:
            redis.RedisError, OSError: some may have been told; repeating all is right.
        """
        return await self._end_combo.call_all(self._redis, [self._ending_call(ending) for ending in endings])

    async def test_gift(self, room: str, fact: GiftFact) -> tuple[int, int]:
        """Show a gift that nobody paid; returns its epoch and seq.

        Raises:
            redis.RedisError, OSError: it may have been shown.
        """
        keys = keys_of(room)
        args = (_head(room), self._config.history_facts_max, encode_fact(fact))
        answers = await self._test_gift.call_all(self._redis, [((keys.meta, keys.history, keys.channel), args)])
        epoch, seq = answers[0]
        return int(epoch), int(seq)

    async def presence(self, room: str, gateway: str, count: int) -> int:
        """Note a gateway's viewers; returns those of all gateways.

        Raises:
            redis.RedisError, OSError: the server did not answer.
        """
        call = ((keys_of(room).presence,), (gateway, count, self._config.presence_life_ms))
        return int((await self._presence.call_all(self._redis, [call]))[0])

    async def raise_epoch(self, rooms: Sequence[str], epoch: int) -> None:
        """Let rooms go on in a later epoch; those that are as far already stay as they are.

        Raises:
            redis.RedisError, OSError: some may have been raised; repeating all is right.
        """
        await self._raise_epoch.call_all(self._redis, [((keys_of(room).meta,), (epoch,)) for room in rooms])

    async def keep_acks(self, acks: Sequence[tuple[str, str, tuple[int, int]]]) -> None:
        """Keep how far screens have shown rooms: room, token's id, (epoch, seq) of each.

        Raises:
            redis.RedisError, OSError: some may have been kept; repeating all is right.
        """
        calls = [((keys_of(room).ack(token),), (*shown, self._config.ack_life_ms)) for room, token, shown in acks]
        await self._keep_ack.call_all(self._redis, calls)

    def _ending_call(self, ending: ComboEnding) -> Call:
        keys = keys_of(ending.room)
        field = combo_field(ending.viewer, ending.combo_key)
        args = (field, ending.combo_id, _head(ending.room), ending.epoch, self._config.history_facts_max)
        return (keys.meta, keys.history, keys.combos, keys.channel), args

    def _tell_call(self, room: RoomTelling) -> Call:
        config, keys = self._config, keys_of(room.room)
        rows = []
        args: list[bytes] = [b"", _head(room.room)]
        for telling in room.tellings:
            fact, end = telling.fact, telling.end
            field = combo_field(fact.sender, telling.combo_key) if end is not None else ""
            on_board = ("", "") if fact.anonymous else (fact.sender, f"{fact.level} {fact.name}")
            coins = -fact.coins if fact.undone else fact.coins
            rows.append((fact.partition, fact.record, coins, field, *on_board))
            args.append(encode_fact(fact))
            args.append(b"" if end is None or end.combo is None else end.combo.id + encode_fact(end))
        args[0] = _encoder.encode((room.epoch, config.history_facts_max, config.board_viewers_max, rows))
        return (keys.meta, keys.history, keys.combos, keys.board, keys.names, keys.channel), tuple(args)


def _head(room: str) -> bytes:
    return _BATCH_ARRAY + _encoder.encode(room)

"""The Lua scripts, one typed call each. Lua sources are under `lua/`; their headers say what goes in and out."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from ledger.config import Durability, LedgerConfig
from ledger.ids import id_time_ms
from ledger.live.durability import NotReplicated
from ledger.live.gift_call import GiftCall, Group, read_answer
from ledger.live.gift_call import PreparedGift as PreparedGift
from ledger.live.hold_call import end_words, hold_keys, hold_words, read_end_answer, read_hold_answer
from ledger.live.journal import Position
from ledger.live.keys import Keys
from ledger.live.redis_client import Direct
from ledger.live.undo_call import SHUT_MS, gift_field, read_undo_answer, undo_keys
from ledger.model import (
    AMOUNT_MAX,
    Bound,
    BoundReached,
    CreditAccepted,
    CreditOutcome,
    CreditRefused,
    EndOutcome,
    GiftOutcome,
    HoldEnd,
    HoldOrder,
    HoldOutcome,
    Partition,
    Refusal,
    ReversalOutcome,
    ReversalWaits,
    Reversed,
    UndoOutcome,
    ViewerId,
)

_ACCEPTED, _REPLAY, _WAITS = 0, 1, 32
_REFUSALS: Final = {3: Refusal.ID_CONFLICT, 5: Refusal.AMOUNT_OVERFLOW, 6: Refusal.UNKNOWN}

Ask = Callable[..., Awaitable[Any]]
"""Sends the words of one command and brings its answer."""


class Script:
    """One Lua file: called by its SHA-1, loaded again when the server has forgotten it.

    Args:
        parts: files of `lua/parts` that stand in front of it.

    Attributes:
        source: all of it.
    """

    def __init__(self, name: str, *, parts: Sequence[str] = ()) -> None:
        folder = resources.files("ledger.live") / "lua"
        files = [*(folder / "parts" / f"{part}.lua" for part in parts), folder / f"{name}.lua"]
        self.source = b"".join(file.read_bytes() for file in files)
        self._sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    async def call(self, ask: Ask, keys: Sequence[bytes], args: Sequence[Any]) -> Any:
        """Run it. NOSCRIPT is answered before anything ran, so loading and asking again is safe."""
        try:
            return await ask("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            await ask("SCRIPT LOAD", self.source)
            return await ask("EVALSHA", self._sha, len(keys), *keys, *args)


class Scripts:
    """Typed calls of the ledger's scripts against one server.

    Args:
        redis: as `redis_client.connect` makes it.
    """

    def __init__(self, redis: Redis, keys: Keys, config: LedgerConfig) -> None:
        self._ask: Ask = redis.execute_command
        self._direct = Direct(redis)
        self._replica_ms_max = config.replica_ms_max
        replicated = config.durability is Durability.REPLICATED
        self._ask_for_gifts: Ask = self._ask_replicated if replicated else self._direct.ask
        self._ask_for_credits: Ask = self._ask_replicated if replicated else self._ask
        self._keys = keys
        self._config = config
        self._bucket_ms = config.id_bucket_ms
        self._gift_call = GiftCall(keys, config)
        self._gift = Script("gift", parts=("clock", "guards", "ids", "combos", "batch", "open_gifts"))
        self._credit = Script("credit")
        self._reverse = Script("reverse", parts=("windows_shut",))
        self._hold = Script("hold", parts=("guards",))
        self._end_hold = Script("end_hold", parts=("guards",))
        self._undo_gift = Script("undo_gift", parts=("guards", "open_gifts", "settle", "windows_shut"))
        self._settle_gifts = Script("settle_gifts", parts=("open_gifts", "settle"))
        self._set_guards = Script("set_guards")
        self._set_counts = Script("set_counts")
        self._set_given = Script("set_given")
        self._trim = Script("trim")
        self._forget_combos = Script("forget_combos")
        self._note_relayed = Script("note_relayed")

    async def aclose(self) -> None:
        """Let go of the connections that gifts went over; nobody gives any more."""
        await self._direct.aclose()

    async def memory_bound(self) -> BoundReached:
        """How much memory the server may use, for who was refused since it is full. No error: then it is not known."""
        try:
            told: Any = await self._ask("INFO", "memory")
            return BoundReached(Bound.MEMORY, int(told["maxmemory"]))
        except (RedisError, OSError, KeyError):
            return BoundReached(Bound.MEMORY, None)

    def bucket_of(self, id_ms: int) -> int:
        """The time bucket of an id."""
        return id_ms // self._bucket_ms

    async def gift(self, groups: Sequence[Group]) -> list[list[GiftOutcome]]:
        """Pay for several gifts in one call, each judged on its own.

        Args:
            groups: gifts of one partition each, in the order in which they are judged; no partition twice.

        Returns:
            For each group its outcomes in order; fewer than gifts where the script's time was up before the rest.
            Nothing is raised for a refusal.

        Raises:
            redis.RedisError, OSError: it is not known which were paid; asking again with the same ids tells.
        """
        return read_answer(groups, await self._gift.call(self._ask_for_gifts, *self._gift_call.words(groups)))

    async def credit(
        self, viewer: str, coins: int, credit_id: bytes, digest: bytes, body: bytes, until_ms: int
    ) -> CreditOutcome:
        """Put coins into a wallet, once for the id; UNKNOWN after `until_ms` (server clock) unless the id is known.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again with the same id tells.
        """
        keys = self._keys.of(self._keys.partition_of(viewer))
        status, wallet = await self._credit.call(
            self._ask_for_credits,
            (keys.wallets, keys.totals, keys.credits, keys.journal),
            (credit_id, digest, viewer, coins, body, AMOUNT_MAX, until_ms),
        )
        if status in (_ACCEPTED, _REPLAY):
            return CreditAccepted(balance_coins=wallet, replay=status == _REPLAY)
        return CreditRefused(_REFUSALS[status])

    async def reverse(
        self,
        viewer: str,
        reversal_id: bytes,
        digest: bytes,
        body: bytes,
        most: int,
        keep: int,
        until_ms: int,
        came_seq: int | None,
    ) -> ReversalOutcome:
        """Take coins of a refund from a wallet, once for the id; UNKNOWN after `until_ms` unless the id is known.
        While the viewer may undo a gift nothing is taken, and no more such gifts are taken from it.

        Args:
            body: as `encode_reversal` makes it.
            most: coins to take, if the wallet has them beside the `keep` that it must not fall below.
            came_seq: UNKNOWN, too, when the partition's is another by now; None where that does not matter.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again with the same id tells.
        """
        keys = self._keys.of(self._keys.partition_of(viewer))
        status, wallet, taken = await self._reverse.call(
            self._ask_for_credits,
            (keys.wallets, keys.totals, keys.reversals, keys.journal, keys.undo_counts, keys.windows_shut),
            (reversal_id, digest, viewer, most, keep, body, until_ms, "" if came_seq is None else came_seq, SHUT_MS),
        )
        if status in (_ACCEPTED, _REPLAY):
            return Reversed(wallet, taken, replay=status == _REPLAY)
        if status == _WAITS:
            return ReversalWaits(open_gifts=wallet)
        return CreditRefused(_REFUSALS[status])

    async def hold(self, order: HoldOrder, until_ms: int) -> HoldOutcome:
        """Put coins aside, once for the id; UNKNOWN after `until_ms` (server clock) unless the id is known.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again with the same id tells.
        """
        keys = hold_keys(self._keys.of(self._keys.partition_of(order.viewer)))
        answer = await self._hold.call(self._ask_for_credits, keys, hold_words(order, self._config, until_ms))
        return read_hold_answer(answer)

    async def end_hold(self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, taken_coins: int | None) -> EndOutcome:
        """End a hold; one that has ended answers how. All its coins are taken when `taken_coins` is None.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again tells.
        """
        keys = hold_keys(self._keys.of(self._keys.partition_of(viewer)))
        words = end_words(hold_id, viewer, end, taken_coins)
        return read_end_answer(await self._end_hold.call(self._ask_for_credits, keys, words))

    async def undo_gift(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome:
        """Undo a gift; one that was undone answers as it did then, as long as that is remembered.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again tells.
        """
        own = self._keys.of(self._keys.partition_of(viewer))
        names = (*undo_keys(own), own.ids(self.bucket_of(id_time_ms(gift_id))), own.windows_shut)
        words = (gift_field(gift_id, viewer), viewer, self._config.undo_pause_ms)
        return read_undo_answer(await self._undo_gift.call(self._ask_for_credits, names, words))

    async def settle_gifts(self, partition: Partition, limit: int) -> int:
        """Pay gifts of a partition that can be undone no more, at most `limit`; how many were.

        Raises:
            redis.RedisError, OSError: not known which were.
        """
        return int(await self._settle_gifts.call(self._ask_for_credits, undo_keys(self._keys.of(partition)), (limit,)))

    async def trim(self, partition: Partition, epoch: int, seq: int, flushed_seq: int) -> int:
        """Drop journal entries that end at or before (epoch, seq); note that PostgreSQL holds up to `flushed_seq`.

        Returns:
            How many journal entries went.
        """
        keys = self._keys.of(partition)
        return int(await self._trim.call(self._ask, (keys.journal, keys.totals), (epoch, seq, flushed_seq)))

    async def forget_combos(self, ended: Sequence[tuple[Partition, bytes, bytes]]) -> int:
        """Forget combos whose ends have been told: (partition, field, combo id) each.

        Returns:
            How many went; the others were gone, or a newer one has their place.
        """
        keys = [self._keys.of(partition).combos for partition, _, _ in ended]
        args = [arg for _, field, combo_id in ended for arg in (field, combo_id)]
        return int(await self._forget_combos.call(self._ask, keys, args))

    async def set_guards(self, settings: Sequence[tuple[str, bytes]]) -> int:
        """Set freezes and caps: (viewer, settings as `guard_state` packs them) each.

        Returns:
            How many were set; of the others newer ones were there.
        """
        keys = [self._keys.of(self._keys.partition_of(viewer)).guards for viewer, _ in settings]
        args = [arg for one in settings for arg in one]
        return int(await self._set_guards.call(self._ask, keys, args))

    async def set_counts(self, partition: Partition, counts: Sequence[tuple[str, bytes]]) -> None:
        """Set what viewers of a partition have spent: (viewer, counts as `guard_state` packs them) each."""
        args = [arg for one in counts for arg in one]
        await self._set_counts.call(self._ask, (self._keys.of(partition).guards,), args)

    async def set_given(self, partition: Partition, day: int, given: Sequence[tuple[str, str, int]]) -> None:
        """Set what viewers of a partition have given creators on a day: (viewer, creator, coins) each."""
        args = [arg for viewer, creator, coins in given for arg in (f"{viewer}\0{creator}", coins)]
        await self._set_given.call(self._ask, (self._keys.of(partition).given_today,), (day, *args))

    async def note_relayed(self, positions: Mapping[Partition, Position]) -> int:
        """Note how far the rooms were told; returns how many positions rose. None passes the last record."""
        parts = [self._keys.of(partition) for partition in positions]
        keys = [*(part.relay for part in parts), *(part.totals for part in parts)]
        args = [number for position in positions.values() for number in (position.epoch, position.seq)]
        return int(await self._note_relayed.call(self._ask, keys, args))

    async def _ask_replicated(self, *words: Any) -> Any:
        """Ask, and wait until a replica has the outcome on its disk.

        Raises:
            NotReplicated: none had in time.
        """
        answer, acknowledged = await self._direct.ask_two(words, ("WAITAOF", 1, 1, self._replica_ms_max))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(acknowledged, Exception) or min(acknowledged) < 1:
            raise NotReplicated(f"no replica has it on disk within {self._replica_ms_max} ms: {acknowledged}")
        return answer

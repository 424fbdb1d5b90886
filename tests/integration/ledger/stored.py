"""Reads everything that the live ledger stores, raw, and checks by arithmetic alone what must be true of it."""

import struct
from typing import Any

import msgspec
from msgspec import Struct
from redis import Redis

from ledger.config import LedgerConfig
from ledger.ids import id_time_ms
from ledger.live.journal import decode_entry, paid_body
from ledger.live.keys import DEPLOYMENT, Keys, PartitionKeys, Total
from ledger.model import (
    CreditBody,
    GiftBody,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)

_REMEMBERED = struct.Struct(">8sd")
_REVERSED = struct.Struct(">8sdd")
_COMBO = struct.Struct(">16sddd")
_HOLD = struct.Struct(">8sddddB")
_HOLD_END = struct.Struct(">Bddd")
_OPEN_GIFT = struct.Struct(">dddddBH")
_UNDONE = struct.Struct(">ddd")
_COUNTS = struct.Struct(">7d")
AMOUNT_MAX = 2**53 - 1


class Stored(Struct):
    """What one partition stores.

    Attributes:
        totals: by their names; missing ones are 0.
        combos: by viewer NUL combo key: id, count, coins, deadline.
        ids: by gift id + viewer: coins paid.
        credits: by id: balance after.
        reversals: by id: balance after, and coins taken.
        holds: open ones, by id + viewer: wallet after, deadline, coins, time, whether caps counted them.
        deadlines: the same fields, with their deadlines; hold_counts: how many a viewer has.
        ended_holds: by id + viewer: number of how, coins taken, wallet after, time, then as in `holds`.
        open_gifts: by id + viewer: the body, when it was given, until when it may be undone, what counted it.
        undo_deadlines: the same fields, with their deadlines; undo_counts: how many a viewer has.
        undone_gifts: by id + viewer: coins, wallet after, time.
        windows_shut: by viewer: until when its gifts are paid at once.
        expiries: of each bucket of ids, by the time at which it begins; begun: when those expire that the totals name.
        guards: by viewer: the time that its rate has reached, then number and coins of day, week and month.
        given_today: by viewer NUL creator; and the number of the day.
    """

    totals: dict[str, int]
    wallets: dict[str, int]
    stripes: dict[str, int]
    combos: dict[str, tuple[bytes, int, int, int]]
    ids: dict[bytes, int]
    credits: dict[bytes, int]
    reversals: dict[bytes, tuple[int, int]]
    holds: dict[bytes, tuple[int, ...]]
    deadlines: dict[bytes, int]
    hold_counts: dict[str, int]
    ended_holds: dict[bytes, tuple[int, ...]]
    open_gifts: dict[bytes, tuple[GiftBody, int, int, bool, bool]]
    undo_deadlines: dict[bytes, int]
    undo_counts: dict[str, int]
    undone_gifts: dict[bytes, tuple[int, ...]]
    windows_shut: dict[str, int]
    expiries: dict[int, int]
    begun: set[int]
    records: list[JournalRecord]
    guards: dict[str, tuple[float, ...]]
    given_today: dict[str, int]


def read_all(redis: "Redis", keys: Keys, config: LedgerConfig, *, beside_rooms: bool = False) -> list[Stored]:
    """Every partition.

    Args:
        beside_rooms: there may be other keys.

    Raises:
        AssertionError: there is a key that nobody knows.
    """
    names: Any = redis.keys()
    known = {DEPLOYMENT}
    stored = []
    for partition, own in keys.all():
        buckets = sorted(name for name in names if name.startswith(own.ids(0)[:-1]))
        known |= {own.wallets, own.earnings, own.totals, own.combos, own.credits, own.journal, own.relay, *buckets}
        known |= {own.guards, own.given_today, own.reversals}
        known |= {own.open_gifts, own.undo_deadlines, own.undo_counts, own.undone_gifts, own.windows_shut}
        known |= {own.holds, own.hold_deadlines, own.hold_counts, own.ended_holds}
        stored.append(_read(redis, partition, own, buckets, config))
    assert beside_rooms or set(names) <= known
    return stored


def check(stored: Stored, history: list[JournalRecord], config: LedgerConfig) -> None:
    """The invariants of a partition, from what it stores and all records that it ever had."""
    totals = stored.totals
    check_sums(stored)
    assert [record.seq for record in history] == list(range(1, totals["seq"] + 1)), "I4: the journal has a hole"
    assert stored.records == history[len(history) - len(stored.records) :], "I4: records changed"
    wallets: dict[str, int] = {}
    stripes: dict[str, int] = {}
    open_holds: dict[bytes, int] = {}
    open_gifts: dict[bytes, GiftBody] = {}
    coins_in = spent = back = charged = commission = at_ms = came_seq = 0
    for record in history:
        body = record.body
        if record.wallet_after > wallets.get(body.viewer, 0) or isinstance(
            body, ReversalBody | HoldEndBody | GiftUndoneBody
        ):
            came_seq = record.seq
        assert record.at_ms >= at_ms, "times fall"
        at_ms = record.at_ms
        if isinstance(body, HeldGiftBody):
            wallets[body.viewer] = wallets.get(body.viewer, 0) - body.coins
            open_gifts[body.id + body.viewer.encode()] = paid_body(body)
        elif isinstance(body, GiftUndoneBody):
            assert open_gifts.pop(body.id + body.viewer.encode(), None) == paid_body(body), "I3: a gift ended twice"
            wallets[body.viewer] = wallets.get(body.viewer, 0) + body.coins
        elif isinstance(body, GiftBody | GiftSettledBody):
            if isinstance(body, GiftSettledBody):
                assert open_gifts.pop(body.id + body.viewer.encode(), None) == paid_body(body), "I3: a gift ended twice"
                wallets[body.viewer] = wallets.get(body.viewer, 0) + body.coins
            assert body.creator_diamonds + body.commission_diamonds == 100 * body.coins, "I1: a record does not split"
            wallets[body.viewer] = wallets.get(body.viewer, 0) - body.coins
            stripes[body.creator] = stripes.get(body.creator, 0) + body.creator_diamonds
            spent += body.coins
            commission += body.commission_diamonds
        elif isinstance(body, CreditBody):
            wallets[body.viewer] = wallets.get(body.viewer, 0) + body.coins
            coins_in += body.coins
        elif isinstance(body, ReversalBody):
            assert 0 <= body.taken_coins <= body.coins, "I1: a reversal took more than it was of"
            wallets[body.viewer] = wallets.get(body.viewer, 0) - body.taken_coins
            back += body.taken_coins
        elif isinstance(body, HoldBody):
            wallets[body.viewer] = wallets.get(body.viewer, 0) - body.coins
            open_holds[body.id + body.viewer.encode()] = body.coins
        elif isinstance(body, HoldEndBody):
            assert open_holds.pop(body.id + body.viewer.encode(), None) == body.coins, "I3: a hold ended twice"
            assert 0 <= body.taken_coins <= body.coins, "I1: a hold was charged more than it held"
            wallets[body.viewer] = wallets.get(body.viewer, 0) + body.coins - body.taken_coins
            charged += body.taken_coins
        assert record.wallet_after == wallets[body.viewer], "I2: a wallet is not what its records make it"
        assert record.wallet_after >= 0 or not isinstance(body, GiftBody | HeldGiftBody | HoldBody), (
            "I2: a gift was paid on credit"
        )
    assert totals["came_seq"] == came_seq, "I1: coins came, and nobody would notice"
    assert (wallets, stripes) == (stored.wallets, stored.stripes), "I1: balances are not what the records make them"
    sums = (coins_in, spent, back, charged, commission)
    assert sums == tuple(totals[name] for name in ("coins_in", "spent", "reversed", "charged", "commission"))
    assert {field: hold[2] for field, hold in stored.holds.items()} == open_holds, "I1: holds are not their records"
    assert {field: gift[0] for field, gift in stored.open_gifts.items()} == open_gifts, "I1: open gifts are others"
    _check_ids(stored, history, config)


def check_sums(stored: Stored) -> None:
    """What must hold of the balances alone."""
    totals = stored.totals
    left = totals["coins_in"] - totals["spent"] - totals["reversed"] - totals["held"] - totals["charged"]
    assert sum(stored.wallets.values()) == left, "I1: coins do not sum to zero"
    gifts = sum(gift.coins for gift, *_ in stored.open_gifts.values())
    assert gifts == totals["held_gifts"], "I1: open gifts are not what is held for gifts"
    assert sum(hold[2] for hold in stored.holds.values()) + gifts == totals["held"], "I1: holds are not what is held"
    assert stored.undo_deadlines == {field: gift[2] for field, gift in stored.open_gifts.items()}, "I1: deadlines"
    givers = [field[16:].decode() for field in stored.open_gifts]
    assert stored.undo_counts == {viewer: givers.count(viewer) for viewer in givers}, "I1: counts of open gifts"
    assert stored.deadlines == {field: hold[1] for field, hold in stored.holds.items()}, "I1: deadlines are others"
    viewers = [field[16:].decode() for field in stored.holds]
    assert stored.hold_counts == {viewer: viewers.count(viewer) for viewer in viewers}, "I1: counts of holds are others"
    assert sum(stored.stripes.values()) == totals["earned"], "I1: stripes are not what was earned"
    assert totals["earned"] + totals["commission"] == 100 * totals["spent"], "I1: diamonds do not sum to zero"
    amounts = [*stored.stripes.values(), *totals.values()]
    assert all(0 <= amount <= AMOUNT_MAX for amount in amounts), "I2: an amount is out of its bounds"
    assert all(-AMOUNT_MAX <= amount <= AMOUNT_MAX for amount in stored.wallets.values()), (
        "I2: a wallet is out of bounds"
    )


def _check_ids(stored: Stored, history: list[JournalRecord], config: LedgerConfig) -> None:
    gifts = [
        (r.body.id + r.body.viewer.encode(), r.body.coins)
        for r in history
        if isinstance(r.body, GiftBody | HeldGiftBody)
    ]
    credits = [r.body.id for r in history if isinstance(r.body, CreditBody)]
    reversals = [r.body.id for r in history if isinstance(r.body, ReversalBody)]
    assert len(dict(gifts)) == len(gifts) and len(set(credits)) == len(credits), "I3: an id was paid twice"
    assert len(set(reversals)) == len(reversals), "I3: a refund was taken twice"
    begun = [r.body.id + r.body.viewer.encode() for r in history if isinstance(r.body, HoldBody)]
    ended = [r.body.id + r.body.viewer.encode() for r in history if isinstance(r.body, HoldEndBody)]
    assert len(set(begun)) == len(begun) and len(set(ended)) == len(ended), "I3: a hold began or ended twice"
    assert stored.ended_holds.keys() == set(ended), "I3: ends of holds are not remembered"
    over = [r.body.id + r.body.viewer.encode() for r in history if isinstance(r.body, GiftSettledBody | GiftUndoneBody)]
    undone = {r.body.id + r.body.viewer.encode() for r in history if isinstance(r.body, GiftUndoneBody)}
    assert len(set(over)) == len(over), "I3: a gift ended twice"
    assert stored.undone_gifts.keys() == undone, "I3: what was undone is not remembered"
    check_ids(stored, dict(gifts), config)
    assert stored.credits.keys() == set(credits), "I3: ids of credits are not those that were credited"
    assert stored.reversals.keys() == set(reversals), "I3: ids of refunds are not those that were taken"


def check_ids(stored: Stored, paid: dict[bytes, int], config: LedgerConfig) -> None:
    """What was paid is remembered; or its whole bucket is gone, and the partition's time or its totals say that."""
    assert stored.ids.items() <= paid.items(), "I3: ids are not those that were paid"
    life_ms = config.id_window_ms + 2 * config.id_bucket_ms
    for field in paid.keys() - stored.ids.keys():
        begin_ms = id_time_ms(field[:16]) // config.id_bucket_ms * config.id_bucket_ms
        refused = begin_ms + life_ms in stored.begun or begin_ms + life_ms <= stored.totals["clock"]
        assert refused and begin_ms not in stored.expiries, "I3: an id was forgotten, and might be paid again"
    assert len(stored.begun) <= (config.id_ahead_ms + life_ms) // config.id_bucket_ms + 1
    for begin_ms, expires_ms in stored.expiries.items():
        taken_until_ms = begin_ms + config.id_bucket_ms - 1 + config.id_window_ms
        assert expires_ms > taken_until_ms, "I3: an id is forgotten while it is still taken"


def _read(
    redis: "Redis", partition: Partition, keys: PartitionKeys, buckets: list[bytes], config: LedgerConfig
) -> Stored:
    pipeline: Any = redis.pipeline(transaction=True)
    for name in (keys.totals, keys.wallets, keys.earnings, keys.combos, keys.credits, keys.reversals):
        pipeline.hgetall(name)
    for name in (keys.guards, keys.given_today, keys.holds, keys.hold_counts, keys.ended_holds):
        pipeline.hgetall(name)
    for name in (keys.open_gifts, keys.undo_counts, keys.undone_gifts, keys.windows_shut):
        pipeline.hgetall(name)
    pipeline.zrange(keys.undo_deadlines, 0, -1, withscores=True)
    pipeline.zrange(keys.hold_deadlines, 0, -1, withscores=True)
    pipeline.xrange(keys.journal)
    for name in buckets:
        pipeline.hgetall(name)
        pipeline.pexpiretime(name)
    totals, wallets, stripes, combos, credits, reversals, guards, given_today, *others = pipeline.execute()
    holds, hold_counts, ended_holds, open_gifts, undo_counts, undone_gifts, windows_shut, *others = others
    undo_deadlines, deadlines, entries, *ids = others
    begun = set(map(int, totals.pop(Total.ID_BUCKETS.encode(), b"").split()))
    coins = ("coins_in", "spent", "reversed", "held", "charged")
    names = ("epoch", "seq", "came_seq", "clock", *coins, "held_gifts", "earned", "commission", "flushed")
    return Stored(
        totals=dict.fromkeys(names, 0) | _amounts(totals),
        begun=begun,
        wallets=_amounts(wallets),
        stripes=_amounts(stripes),
        combos={field.decode(): _combo(value) for field, value in combos.items()},
        ids={field: int(_REMEMBERED.unpack(value)[1]) for found in ids[::2] for field, value in found.items()},
        credits={field: int(_REMEMBERED.unpack(value)[1]) for field, value in credits.items()},
        reversals={field: _reversed(value) for field, value in reversals.items()},
        holds={field: _hold(value) for field, value in holds.items()},
        deadlines={field: int(deadline_ms) for field, deadline_ms in deadlines},
        hold_counts=_amounts(hold_counts),
        ended_holds={field: _hold_end(value) for field, value in ended_holds.items()},
        open_gifts={field: _gift(field, value) for field, value in open_gifts.items()},
        undo_deadlines={field: int(deadline_ms) for field, deadline_ms in undo_deadlines},
        undo_counts=_amounts(undo_counts),
        undone_gifts={field: tuple(map(int, _UNDONE.unpack(value))) for field, value in undone_gifts.items()},
        windows_shut=_amounts(windows_shut),
        expiries={_begin_ms(name, config): expires_ms for name, expires_ms in zip(buckets, ids[1::2], strict=True)},
        records=[record for stream_id, entry in entries for record in decode_entry(partition, stream_id, entry)],
        guards={viewer.decode(): _COUNTS.unpack_from(value) for viewer, value in guards.items()},
        given_today=_amounts(given_today),
    )


def _amounts(found: dict[bytes, bytes]) -> dict[str, int]:
    return {field.decode(): int(value) for field, value in found.items()}


def _combo(value: bytes) -> tuple[bytes, int, int, int]:
    combo_id, count, coins, deadline_ms = _COMBO.unpack(value)
    return combo_id, int(count), int(coins), int(deadline_ms)


def _reversed(value: bytes) -> tuple[int, int]:
    _, balance_coins, taken_coins = _REVERSED.unpack(value)
    return int(balance_coins), int(taken_coins)


def _hold(value: bytes) -> tuple[int, ...]:
    return tuple(map(int, _HOLD.unpack_from(value)[1:]))


def _hold_end(value: bytes) -> tuple[int, ...]:
    return (*map(int, _HOLD_END.unpack_from(value)), *_hold(value[_HOLD_END.size :]))


def _gift(field: bytes, value: bytes) -> tuple[GiftBody, int, int, bool, bool]:
    """Its amounts stand in front of its body once more; they must be the same."""
    until_ms, coins, diamonds, commission, given_ms, counted, size = _OPEN_GIFT.unpack_from(value)
    creator, packed = value[_OPEN_GIFT.size :][:size].decode(), value[_OPEN_GIFT.size + size :]
    body = msgspec.msgpack.decode(packed, type=GiftBody)
    assert (coins, diamonds, commission) == (body.coins, body.creator_diamonds, body.commission_diamonds)
    assert (creator, field) == (body.creator, body.id + body.viewer.encode())
    return body, int(given_ms), int(until_ms), bool(counted & 1), bool(counted & 2)


def _begin_ms(name: bytes, config: LedgerConfig) -> int:
    return int(name.rpartition(b":")[2]) * config.id_bucket_ms

"""A machine that is lost while Valkey writes its last record: the file may end behind any byte of it."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from redis import Redis

from ledger.config import LedgerConfig
from ledger.model import (
    CreditAccepted,
    CreditOrder,
    GiftAccepted,
    GiftOrder,
    JournalRecord,
    RefundKind,
    ReversalOrder,
    Reversed,
    ViewerId,
)
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.stored import Stored, check, read_all
from tests.servers import Valkey, running_valkey

LANES: Final = 8
"""So many servers at a time: a start takes 50 ms, nearly all of it asleep."""
_FOLDER: Final = "appendonlydir"

Order = GiftOrder | CreditOrder | ReversalOrder
LAST: dict[str, Order] = {
    "gift": gift_order("ann", 5, combo=True),
    "grant": grant("ann", 7),
    "refund": ReversalOrder(bytes(15) + b"\1", ViewerId("ann"), bytes(16), 4, RefundKind.REFUND),
}
WALLET: Final = {"gift": 85, "grant": 97, "refund": 86}
"""Of 100 granted and 10 given, after the last order."""


async def carry_out(ledger: Ledger, order: Order) -> bool:
    """Carry an order out; whether it had been carried out before."""
    match order:
        case GiftOrder():
            outcome: object = await ledger.give(order)
        case CreditOrder():
            outcome = await ledger.credit(order)
        case ReversalOrder():
            outcome = await ledger.reverse(order, most=order.coins, keep=0)
    assert isinstance(outcome, GiftAccepted | CreditAccepted | Reversed)
    return outcome.replay


def stored_in(valkey: Valkey, ledger: Ledger, config: LedgerConfig) -> Stored:
    """What the one partition holds."""
    with Redis.from_url(valkey.url) as redis:
        return read_all(redis, ledger.keys, config)[0]


async def written(folder: Path, last: Order) -> tuple[Stored, list[JournalRecord], int]:
    """Leave a file in the folder: what was stored before its last record, all records, and where that record begins."""
    with running_valkey(folder) as valkey:
        config = LedgerConfig(redis_url=valkey.url, partitions=1)
        ledger = open_ledger(config)
        await ledger.start()
        await ledger.credit(grant("ann", 100))
        await ledger.give(gift_order("ann", 10, combo=True))
        before = stored_in(valkey, ledger, config)
        begins = file_of(folder).stat().st_size
        assert not await carry_out(ledger, last)
        after = stored_in(valkey, ledger, config)
        assert after.wallets == {"ann": WALLET[next(name for name, order in LAST.items() if order is last)]}
        check(after, after.records, config)
        await ledger.stop()
        valkey.kill()
    return before, after.records, begins


def file_of(folder: Path) -> Path:
    """The append-only file that grows."""
    return next((folder / _FOLDER).glob("*.incr.aof"))


@pytest.mark.parametrize("kind", LAST)
async def test_file_cut_behind_every_byte(tmp_path: Path, kind: str) -> None:
    """Valkey starts with all of its last record or nothing of it; asked again, the order is carried out once."""
    last, origin = LAST[kind], tmp_path / "o"
    origin.mkdir()
    before, history, begins = await written(origin, last)
    whole = file_of(origin).read_bytes()

    async def try_cuts(lane: int, cuts: Iterator[int]) -> int:
        folder, tried = tmp_path / str(lane), 0
        shutil.copytree(origin / _FOLDER, folder / _FOLDER)
        valkey = Valkey(folder)
        for cut in cuts:
            file_of(folder).write_bytes(whole[:cut])
            await asyncio.to_thread(valkey.start)
            try:
                await look(valkey, cut)
            finally:
                await asyncio.to_thread(valkey.kill)
            tried += 1
        return tried

    async def look(valkey: Valkey, cut: int) -> None:
        config = LedgerConfig(redis_url=valkey.url, partitions=1)
        ledger = open_ledger(config)
        found = stored_in(valkey, ledger, config)
        if cut < len(whole):
            assert found == before, f"a part of the record is there, cut at {cut} of {begins} to {len(whole)}"
        check(found, history if cut == len(whole) else history[:-1], config)
        await ledger.start()
        assert await carry_out(ledger, last) == (cut == len(whole))
        assert await carry_out(ledger, last)
        await ledger.stop()
        paid = stored_in(valkey, ledger, config)
        check(paid, paid.records, config)
        assert [msgspec.structs.replace(record, at_ms=0, combo=None) for record in paid.records] == [
            msgspec.structs.replace(record, at_ms=0, combo=None) for record in history
        ]
        assert paid.wallets == {"ann": WALLET[kind]}

    cuts = iter(range(begins, len(whole) + 1))
    tried = await asyncio.gather(*(try_cuts(lane, cuts) for lane in range(LANES)))
    assert sum(tried) == len(whole) + 1 - begins

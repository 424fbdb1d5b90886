"""What the memory of gift ids rests on: settings under which they were stored, and the server's clock."""

import msgspec
import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import GiftAccepted
from ledger.service import WrongDeployment, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms


@pytest.mark.parametrize("changed", [{"id_bucket_ms": 300_000}, {"id_window_ms": 7_200_000}])
async def test_id_memory_does_not_start_under_other_settings(valkey_url: str, changed: dict[str, int]) -> None:
    """A gift's id would be looked for where it was not stored, or after it was forgotten, and be paid again (I3)."""
    config = LedgerConfig(redis_url=valkey_url, partitions=2)
    order = gift_order("ann", 10, gift_id=new_id(now_ms() - 400_000))
    first = open_ledger(config)
    await first.start()
    await first.credit(grant("ann", 100))
    assert isinstance(await first.give(order), GiftAccepted)
    await first.stop()
    other = open_ledger(msgspec.structs.replace(config, **changed))
    with pytest.raises(WrongDeployment, match=next(iter(changed))):
        await other.start()
    await other.redis.aclose()

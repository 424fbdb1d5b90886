"""The HTTP side on real servers and empty data, in the test process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import build
from gateway.http.config import HttpConfig
from gateway.room.config import RoomConfig
from gateway.run.settings.config import Config
from ledger.config import LedgerConfig
from tests.integration.http.api import Api

KEY = "the signing key of a test, long enough"
BODY_BYTES_MAX = 1_000
PAGE_ENTRIES_MAX = 3
OVERLAY_TOKENS_MAX = 2


@pytest.fixture
def config(valkey_url: str, database_url: str, tmp_path: Path) -> Config:
    """A demo on two partitions, whose earnings can be withdrawn at once; one cent costs 100 diamonds.

    Creators earn by every gift at once: none can be undone.
    """
    return Config(
        data_dir=tmp_path,
        demo=True,
        signing_key=KEY,
        redis_url=valkey_url,
        database_url=database_url,
        ledger=LedgerConfig(redis_url=valkey_url, database_url=database_url, partitions=2, maturing_days=0),
        rooms=RoomConfig(undo_coins_min=0),
        http=HttpConfig(
            body_bytes_max=BODY_BYTES_MAX, page_entries_max=PAGE_ENTRIES_MAX, overlay_tokens_max=OVERLAY_TOKENS_MAX
        ),
    )


@pytest.fixture
async def api(config: Config) -> AsyncIterator[Api]:
    """A gateway with a room `demo` of the creator `cleo`."""
    app = await build(config)
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()

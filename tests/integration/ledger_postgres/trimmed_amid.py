"""A Redis under which the journals are trimmed between two pages of their readers."""

from typing import Any

from ledger.service import Ledger


class TrimmedAmid:
    """Behaves as the Redis behind it; once a page of a journal was read, all journals are trimmed to their end.

    That is what a flusher does which had something to make up for, so everything must be flushed and told before.
    """

    def __init__(self, redis: Any, ledger: Ledger) -> None:
        self.trimmed_entries = 0
        self._redis = redis
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    async def xrange(self, name: Any, **options: Any) -> Any:
        """A page, and then the trim."""
        page = await self._redis.xrange(name, **options)
        if page:
            for _, keys in self._ledger.keys.all():
                self.trimmed_entries += await self._redis.xtrim(keys.journal, maxlen=0, approximate=False)
        return page

"""Starts `giftwire gateway` as an operator does, on servers and ports of the test."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.serving import GIFTWIRE
from tests.waiting import wait_until

WITHIN_S = 60.0
KEY = "the signing key of a test, long enough"


class Started:
    """A `giftwire gateway` or `worker` with what it said."""

    def __init__(self, log: Path, words: list[str], environment: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*GIFTWIRE, *words], stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
            )

    @property
    def log(self) -> str:
        """All that it said."""
        return self._log.read_text()

    def until_said(self, word: str) -> None:
        """Wait until a word stands in its log."""
        wait_until(lambda: word in self.log, WITHIN_S, lambda: self.log)


@contextlib.contextmanager
def gateways(folder: Path, valkey_url: str, database_url: str, **settings: str) -> Iterator[Callable[[int], Started]]:
    """Starts gateways on a port as often as it is called; all are gone in the end.

    Args:
        settings: environment variables of settings, without their prefix.
    """
    environment = {
        "GIFTWIRE_REDIS_URL": valkey_url,
        "GIFTWIRE_DATABASE_URL": database_url,
        "GIFTWIRE_SIGNING_KEY": KEY,
        **{f"GIFTWIRE_{name}": value for name, value in settings.items()},
    }
    with contextlib.ExitStack() as stack:

        def start(port: int) -> Started:
            words = ["gateway", "--port", str(port), "--data-dir", str(folder / "var")]
            started = Started(folder / f"gateway-{len(list(folder.glob('gateway-*')))}", words, environment)
            stack.callback(started.process.wait)
            stack.callback(started.process.kill)
            started.until_said("gateway_ready")
            return started

        yield start

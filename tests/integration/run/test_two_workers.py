"""Two workers that were started on one data folder."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.run.running import until
from tests.serving import GIFTWIRE


class Worker:
    """A `giftwire worker` of a folder, with what it said."""

    def __init__(self, data_dir: Path, log: Path, redis_url: str, database_url: str) -> None:
        self._log = log
        environment = os.environ | {"GIFTWIRE_REDIS_URL": redis_url, "GIFTWIRE_DATABASE_URL": database_url}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*GIFTWIRE, "worker", "--data-dir", str(data_dir)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def said(self, word: str) -> bool:
        """Whether a word stands in its log."""
        return word in self._log.read_text()


@pytest.fixture
def workers(tmp_path: Path, valkey_url: str, database_url: str) -> Iterator[tuple[Worker, Worker]]:
    """The second was started when the first was at work."""
    first = Worker(tmp_path / "var", tmp_path / "first", valkey_url, database_url)
    with contextlib.ExitStack() as stack:
        stack.callback(first.process.wait)
        stack.callback(first.process.kill)
        until(lambda: first.said("worker_ready"), "the first worker works")
        second = Worker(tmp_path / "var", tmp_path / "second", valkey_url, database_url)
        stack.callback(second.process.wait)
        stack.callback(second.process.kill)
        yield first, second


def test_second_worker_of_a_folder_takes_over(workers: tuple[Worker, Worker]) -> None:
    """It waits, and says so; a kill -9 of the first gives it the work."""
    first, second = workers
    until(lambda: second.said("worker_waits"), "the second worker waits")
    assert not second.said("worker_ready")
    first.process.kill()
    until(lambda: second.said("worker_ready"), "the second worker works")


def test_second_worker_of_a_folder_ends_while_it_waits(workers: tuple[Worker, Worker]) -> None:
    """Waiting for its turn does not keep it from ending when it is told to."""
    first, second = workers
    until(lambda: second.said("worker_waits"), "the second worker waits")
    second.process.terminate()
    assert second.process.wait(timeout=20) == 0
    assert first.process.poll() is None

"""A disk that runs full stops everything in order, says so, and loses nothing that was accepted."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_serve import balance_of, events_of, give, guest_of
from tests.serving import Serve
from tests.waiting import wait_until

ENDS_S_MAX = 60.0
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, large enough for a start."""
    disk = tmp_path / "var"
    disk.mkdir()
    options = "size=360m,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount, as in most containers")
    yield disk
    subprocess.run(["umount", str(disk)], check=True, capture_output=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            return filler


def test_disk_that_runs_full(small_disk: Path) -> None:
    """Gifts are refused from then on, serve ends with the reason, and a start with room again has every paid gift."""
    serve = Serve(small_disk, "--demo")
    paid = []
    try:
        serve.start()
        with guest_of(serve) as guest:
            paid.append(give(guest))
            filler = fill(small_disk)
            wait_until(lambda: not _answers(guest, paid), ENDS_S_MAX, lambda: "gifts are still taken")
            # Viewers go on trying: a Valkey that nobody writes to could live on in the rest of its file's last block.
            wait_until(lambda: _gave_up(serve, guest, paid), ENDS_S_MAX, lambda: serve.output)
            assert "valkey died" in serve.output
            serve.stop()
            filler.unlink()
            serve.start()
            guest.base_url = httpx.URL(serve.url)
            assert balance_of(guest) == paid[-1]["balance_coins"]
            known = {gift["id"] for gift in paid}
            wait_until(lambda: {event["id"] for event in events_of(serve)} >= known, 20, lambda: "a gift is lost")
    finally:
        serve.stop()


def _answers(guest: httpx.Client, paid: list[dict[str, object]]) -> bool:
    try:
        paid.append(give(guest))
    except (AssertionError, httpx.HTTPError):
        return False
    return True


def _gave_up(serve: Serve, guest: httpx.Client, paid: list[dict[str, object]]) -> bool:
    if "the disk of" in serve.output:
        return True
    _answers(guest, paid)
    return False

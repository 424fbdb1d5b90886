"""A live ledger that has lost what the books have is noticed before it takes another gift."""

import shutil
import signal
from pathlib import Path

import httpx

from tests.e2e.test_serve import give, guest_of, refused
from tests.serving import Serve
from tests.waiting import wait_until


def test_valkey_of_yesterday(tmp_path: Path) -> None:
    """With Valkey of an earlier day serve refuses to start and names the lost gift; with the right one it goes on."""
    serve = Serve(tmp_path / "var", "--demo")
    live, kept = serve.data_dir / "valkey", tmp_path / "valkey"
    try:
        serve.start()
        with guest_of(serve) as guest:
            first = give(guest)
            wait_until(lambda: in_books(guest) == 1, 20, lambda: "the first gift is not in the books")
            serve.stop()
            shutil.copytree(live, tmp_path / "yesterday")
            serve.start()
            guest.base_url = httpx.URL(serve.url)
            lost = give(guest)
            wait_until(lambda: in_books(guest) == 2, 20, lambda: "the second gift is not in the books")
        assert serve.stop(signal.SIGINT) == 0
        live.rename(kept)
        (tmp_path / "yesterday").rename(live)
        said = refused("--demo", "--port", "0", "--data-dir", str(serve.data_dir))
        assert lost["id"] in said
        assert first["id"] not in said
        shutil.rmtree(live)
        kept.rename(live)
        serve.start()
        assert serve.run("reconcile").returncode == 0
    finally:
        serve.stop()


def in_books(guest: httpx.Client) -> int:
    """Gifts of a guest that are in the books."""
    entries = guest.get("/v1/wallet/entries").json()["entries"]
    return sum(entry["cause"] == "gift" for entry in entries)

"""A whole `giftwire serve` for a test: real processes, a free port, a data folder of its own, nothing left behind."""

import asyncio
import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.run.keeping.folder import DataFolder
from gateway.run.servers.postgres import chosen_identity, make_database
from loadtest.tokens import TokenSigner
from tests.waiting import wait_until

START_S_MAX: Final = 90.0
STOP_S_MAX: Final = 40.0
_URL: Final = re.compile(r"https?://127\.0\.0\.1:(\d+)")
GIFTWIRE: Final = [sys.executable, "-m", "gateway.run"]


class Serve:
    """One run of `serve`.

    Attributes:
        data_dir: its folder.
        output: everything that it printed so far.
    """

    def __init__(self, data_dir: Path, *flags: str) -> None:
        self.data_dir = data_dir
        self._flags = flags
        self._log = data_dir.parent / f"{data_dir.name}.out"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def output(self) -> str:
        """Everything that it printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def url(self) -> str:
        """Origin of the HTTP side."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where WebSockets go."""
        return f"ws://127.0.0.1:{self.port}/v1/ws"

    @property
    def signer(self) -> TokenSigner:
        """Makes tokens that it takes."""
        return TokenSigner.from_file(self.data_dir / "secret.key")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [*GIFTWIRE, "serve", "--port", "0", "--data-dir", str(self.data_dir), *self._flags]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        process = self._process
        wait_until(lambda: process.poll() is not None or "Ctrl-C" in self.output, START_S_MAX, lambda: self.output)
        found = _URL.search(self.output)
        if process.poll() is not None or found is None:
            raise AssertionError(f"serve did not start:\n{self.output}")
        self.port = int(found[1])
        wait_until(self.is_ready, START_S_MAX, lambda: self.output)

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5.0, trust_env=False).status_code == 200
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end and wait; its exit status."""
        process = self._process
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(STOP_S_MAX)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self._process = None

    def processes(self) -> dict[str, int]:
        """The processes that it keeps, by name, with their ids; those that are down are left out."""
        content = json.loads((self.data_dir / "run" / "processes.json").read_text())
        return {state["name"]: state["pid"] for state in content if state["pid"] is not None}

    def kill(self, name: str) -> None:
        """kill -9 of one of its processes."""
        os.kill(self.processes()[name], signal.SIGKILL)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command on the same folder."""
        command = [*GIFTWIRE, *words, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def audit(self) -> dict[str, Any]:
        """`giftwire audit --json`."""
        done = self.run("audit", "--json")
        assert done.returncode in (0, 1), done.stderr + done.stdout
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["ok"] == (done.returncode == 0)
        return report

    def client(self, user: str, role: str) -> httpx.Client:
        """An HTTP client of one user."""
        token = self.signer.token(user, role)  # type: ignore[arg-type]
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20.0, trust_env=False
        )


@functools.cache
def _made_once() -> tempfile.TemporaryDirectory[str]:
    made = tempfile.TemporaryDirectory(prefix="gw-")
    folder = DataFolder(Path(made.name))
    making = make_database(folder, chosen_identity(folder), folder.logs / "postgres.log")
    with ThreadPoolExecutor(1) as another:  # in this thread a browser's event loop may run
        another.submit(asyncio.run, making).result()
    return made


@contextlib.contextmanager
def serving(data_dir: Path, *flags: str) -> Iterator[Serve]:
    """A running `serve` that is stopped at the end. On a fresh folder it finds PostgreSQL's own as a start makes it."""
    serve = Serve(data_dir, *flags)
    if not data_dir.exists():
        data_dir.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", f"{_made_once().name}/postgres", data_dir], check=True)
    try:
        serve.start()
        yield serve
    finally:
        serve.stop()

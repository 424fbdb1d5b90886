"""A server of the bench's own: `giftwire serve` in a fresh data folder on a free port, and nothing of it left after."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from loadtest.server.procfs import ServerProcess, family

OPEN_TO_US: Final = {"GIFTWIRE_ADMISSION_UNLIMITED": "127.0.0.0/8 ::1"}
"""Thousands of clients of a bench come from one address, whatever this machine's configuration says of it."""
READY_S_MAX: Final = 120.0
STOP_S_MAX: Final = 30.0


class ServerFailed(Exception):
    """The server did not start; the message holds the end of what it said."""


class BenchServer:
    """A running server.

    Attributes:
        url: origin, such as `http://127.0.0.1:40123`.
        data_dir: its data folder.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, data_dir: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/v1/ws"
        self.data_dir = data_dir
        self._process = process

    @property
    def processes(self) -> list[ServerProcess]:
        """All its processes."""
        return family(self._process.pid)

    @property
    def gateway_pid(self) -> int:
        """Its one gateway.

        Raises:
            ServerFailed: it runs none, or several.
        """
        pids = [process.pid for process in self.processes if process.part == "gateway"]
        if len(pids) != 1:
            raise ServerFailed(f"one gateway was asked for, {len(pids)} run")
        return pids[0]

    @property
    def pid(self) -> int:
        """Of the process that was started; of one more gateway it is all there is."""
        return self._process.pid

    @contextlib.contextmanager
    def another_gateway(self) -> Iterator[str]:
        """One more gateway of the same room, on a port of its own; gives the URL of its WebSockets.

        Raises:
            ServerFailed: it did not come up.
        """
        with self.one_more_gateway() as other:
            yield other.ws_url

    @contextlib.contextmanager
    def one_more_gateway(self) -> Iterator["BenchServer"]:
        """The same, as what can be looked at; of its processes it has one."""
        port = free_port()
        log = self.data_dir.parent / f"gateway-{port}.log"
        words = [*giftwire(), "gateway", "--port", str(port), "--data-dir", str(self.data_dir)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                words, env=os.environ | OPEN_TO_US, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        other = BenchServer(process, port, self.data_dir)
        try:
            other.wait_ready(log)
            yield other
        finally:
            other.stop()

    def wait_ready(self, log: Path) -> None:
        """Wait until it answers that it is ready.

        Raises:
            ServerFailed: it ended, or took too long.
        """
        deadline_s = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise ServerFailed(f"giftwire serve ended with {self._process.returncode}: {_tail(log)}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2.0, trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise ServerFailed(f"not ready after {READY_S_MAX:.0f} s: {_tail(log)}")

    def stop(self) -> None:
        """End it, in order if it can."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def bench_server(*, gateways: int = 1, settings: Mapping[str, str] | None = None) -> Iterator[BenchServer]:
    """A server for the length of a measurement.

    Args:
        settings: more of its environment.

    Raises:
        ServerFailed: it did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="giftwire-bench-"))
    log = folder / "serve.log"
    port = free_port()
    flags = ["--port", str(port), "--data-dir", str(folder / "data"), "--workers", str(gateways)]
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*giftwire(), "serve", *flags],
                env=os.environ | OPEN_TO_US | dict(settings or {}),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = BenchServer(process, port, folder / "data")
        try:
            server.wait_ready(log)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def giftwire() -> list[str]:
    """The words that call the `giftwire` command of this Python."""
    beside = Path(sys.executable).with_name("giftwire")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "gateway.run.cli"]


def free_port() -> int:
    """A TCP port that is free on loopback now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:] if log.exists() else ""

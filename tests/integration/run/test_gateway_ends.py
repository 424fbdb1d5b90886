"""`giftwire gateway`, started by hand: several on one port, and what becomes of connections when one ends."""

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from gateway.run.gateway_process import ENDED_LATE
from loadtest.bench.server import free_port
from loadtest.tokens import TokenSigner
from tests.gateways import fresh_id
from tests.integration.edge.raw import UPGRADE_LINES, head
from tests.integration.run.gateways import KEY, WITHIN_S, gateways
from tests.servers import Valkey

HEALTH = head("Host: gateway", request="GET /healthz HTTP/1.1")


@pytest.fixture
def port() -> int:
    """A free one."""
    return free_port()


def ask(connection: socket.socket) -> bytes:
    """Ask for /healthz over a connection that is open; the answer."""
    connection.sendall(HEALTH)
    answer = b""
    while b'{"status":"ok"}' not in answer:
        more = connection.recv(4_096)
        assert more, answer
        answer += more
    return answer


@contextlib.contextmanager
def websocket(port: int) -> Iterator[socket.socket]:
    """A WebSocket that answers nothing, not even a close."""
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as raw:
        raw.sendall(head(*UPGRADE_LINES))
        assert b" 101 " in raw.recv(4_096)
        yield raw


def test_gateways_started_by_hand_share_a_port(tmp_path: Path, port: int, valkey_url: str, database_url: str) -> None:
    """Each takes connections on a socket of its own; when one ends in order, the other takes all."""
    with gateways(tmp_path, valkey_url, database_url) as start:
        first, second = start(port), start(port)
        pids = {listener_pid(port, one.process.pid) for one in (first, second)}
        assert pids == {first.process.pid, second.process.pid}
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(WITHIN_S) == 0
        for _ in range(20):
            assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


def listener_pid(port: int, pid: int) -> int:
    """The process, once it is seen to hold a listening socket on the port that no other process holds."""
    inodes = {
        line.split()[9]
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    held = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(str(handle.readlink()))
    assert len(inodes) == 2
    assert len([inode for inode in inodes if f"socket:[{inode}]" in held]) == 1
    return pid


def test_connections_that_are_kept_end_with_an_answer(
    tmp_path: Path, port: int, valkey_url: str, database_url: str
) -> None:
    """A gateway that drains answers on them, says that it is the last answer, and takes no new ones."""
    settings = {"DRAIN_MS_MAX": "60000", "EDGE_CLOSE_MS_MAX": "60000"}
    with gateways(tmp_path, valkey_url, database_url, **settings) as start:
        gateway = start(port)
        with websocket(port) as deaf, socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as kept:
            assert b"connection: close" not in ask(kept)
            gateway.process.send_signal(signal.SIGTERM)
            assert deaf.recv(4_096)[0] & 0x0F == 8  # a close: the drain has begun, and lasts until it is answered
            assert b"connection: close" in ask(kept)
            assert kept.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            assert gateway.process.poll() is None
        assert gateway.process.wait(WITHIN_S) == 0


def test_gateway_whose_ledger_hangs_ends_within_its_time(
    tmp_path: Path, port: int, valkey_url: str, database_url: str, session_valkey: Valkey
) -> None:
    """A gift that nobody answers does not keep it: its sender asks again elsewhere, with the same id."""
    settings = {"DRAIN_MS_MAX": "100", "EMBEDDED_STOP_MS_MAX": "500"}
    signer = TokenSigner(KEY.encode())
    with gateways(tmp_path, valkey_url, database_url, **settings) as start:
        gateway = start(port)
        make_room(port, signer)
        with connect(f"ws://127.0.0.1:{port}/v1/ws", proxy=None) as ada:
            ada.send(json.dumps({"type": "hello", "ref": "h", "token": signer.token("ada", "viewer")}))
            assert json.loads(ada.recv())["type"] == "welcome"
            gift = {"type": "gift", "ref": "g", "room": "demo", "gift": "rose"}
            ada.send(json.dumps({**gift, "id": fresh_id()}))
            assert json.loads(ada.recv())["code"] == "insufficient_coins"
            with session_valkey.frozen():
                ada.send(json.dumps({**gift, "id": fresh_id()}))
                gateway.process.send_signal(signal.SIGTERM)
                assert gateway.process.wait(WITHIN_S) in (0, ENDED_LATE)


def make_room(port: int, signer: TokenSigner) -> None:
    """A room `demo`."""
    headers = {"Authorization": f"Bearer {signer.token('op', 'operator')}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/admin", headers=headers, trust_env=False) as operator:
        operator.put("/creators/cleo", json={"name": "Cleo"}).raise_for_status()
        operator.put("/rooms/demo", json={"creator": "cleo"}).raise_for_status()

"""A port is shared by the gateways of one serve, and by nobody else."""

import contextlib
import select
import socket
import subprocess
import sys

import pytest

from gateway.run.keeping.port import HostUnusable, Listener, PortTaken, Reservation

HOST = "127.0.0.1"


def test_gateways_share_a_reserved_port() -> None:
    """Several listen on it, and a connection is accepted by one of them."""
    with (
        contextlib.closing(Reservation(HOST, 0)) as reservation,
        contextlib.closing(Listener(HOST, reservation.port).socket) as first,
        contextlib.closing(Listener(HOST, reservation.port).socket) as second,
        socket.create_connection((HOST, reservation.port)),
    ):
        assert select.select([first, second], [], [], 10)[0]


def test_port_reserved_twice() -> None:
    """The second is refused with the number and a way out, also while nobody listens yet."""
    with (
        contextlib.closing(Reservation(HOST, 0)) as reservation,
        pytest.raises(PortTaken, match=f"port {reservation.port} .* choose another with --port"),
    ):
        Reservation(HOST, reservation.port)
    Reservation(HOST, reservation.port).close()


def test_port_of_another_program() -> None:
    """It is refused, even if that program would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((HOST, 0))
        other.listen()
        with pytest.raises(PortTaken):
            Reservation(HOST, other.getsockname()[1])


def test_port_shared_with_another_program() -> None:
    """A gateway does not listen beside a program that does not share."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        with pytest.raises(PortTaken):
            Listener(HOST, other.getsockname()[1])


SYSTEMD = """
import os, socket
from gateway.run.keeping.port import Listener
while os.open("/dev/null", os.O_RDONLY) < 3:
    pass
given = socket.create_server(("127.0.0.1", 0))
os.dup2(given.fileno(), 3)
os.environ |= {"LISTEN_PID": str(os.getpid() + OTHER), "LISTEN_FDS": "1"}
listener = Listener("127.0.0.1", 0)
print(listener.socket.getsockname() == given.getsockname())
listener.socket.close()
listener.closed(handed_on=False)
socket.create_connection(given.getsockname()).close()
"""


@pytest.mark.parametrize("other", [0, 1])
def test_socket_of_systemd(other: int) -> None:
    """It is taken, and left listening at the end; one that was meant for another process is not."""
    words = [sys.executable, "-c", SYSTEMD.replace("OTHER", str(other))]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == str(other == 0)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
def test_host_that_is_not_ours(host: str) -> None:
    """It is refused by name."""
    with pytest.raises(HostUnusable, match=host):
        Reservation(host, 0)

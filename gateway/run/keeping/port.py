"""One port for several gateway processes, and for nobody else.

Each gateway listens with a socket of its own, so that the kernel spreads connections evenly. The same option would let
a second `serve`, or a gateway left over, share the port unnoticed: so `serve` first binds the port for itself alone,
and only then opens it to its own processes. It never listens, so it gets no connections.

A gateway that is replaced hands its socket on: were it closed, whoever had connected and was not accepted yet would be
cut off. So `serve` binds the socket of each gateway, and gives the same one to the process that takes its place.
"""

import contextlib
import errno
import os
import socket
from typing import Final

LISTEN_BACKLOG: Final = 2048
LISTEN_VARIABLE: Final = "LISTEN_FD"
"""Names the open file of the socket on which whoever started this process lets it listen."""
SYSTEMD_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS")
"""What systemd says beside a socket of its own, which is file SYSTEMD_FD then (sd_listen_fds(3))."""
SYSTEMD_FD: Final = 3


class PortTaken(Exception):
    """Somebody else has the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use; stop that program or choose another with --port")


class HostUnusable(Exception):
    """The address is not one of this machine, or the port is not ours to take."""


class Reservation:
    """A port that is ours until `close`.

    Attributes:
        port: its number, chosen by the kernel when 0 was asked for.
    """

    def __init__(self, host: str, port: int) -> None:
        """Take the port.

        Raises:
            PortTaken: somebody else has it.
            HostUnusable: it cannot be had.
        """
        self._bound = _bind(host, port, shared=False)
        self.port: int = self._bound.getsockname()[1]
        # Two of us that only bind would not disturb each other: an abstract name tells who was first.
        self._name = socket.socket(socket.AF_UNIX)
        try:
            self._name.bind(f"\0giftwire-port-{host}-{self.port}")
        except OSError:
            self.close()
            raise PortTaken(host, self.port) from None
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def close(self) -> None:
        """Let go of it."""
        self._name.close()
        self._bound.close()


class Listener:
    """The socket on which this process takes connections: one of its own, or one that it was given.

    Attributes:
        socket: listens, and does not block.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            PortTaken: somebody who does not share has it.
            HostUnusable: it cannot be had.
        """
        given = os.environ.pop(LISTEN_VARIABLE, None)
        handle = _systemd_handle() if given is None else int(given)
        self.socket = bound_socket(host, port) if handle is None else socket.socket(fileno=handle)
        self.socket.listen(LISTEN_BACKLOG)
        self.socket.setblocking(False)
        # The event loop closes the socket when it listens no more; whoever gave it to us has it open still.
        self._shared = self.socket.dup() if given is not None else None

    def closed(self, *, handed_on: bool) -> None:
        """What must follow once the event loop has closed the socket.

        Args:
            handed_on: another process listens on it now. If none does, connections must not wait in it for nobody.
        """
        if self._shared is None:
            return
        if not handed_on:
            with contextlib.suppress(OSError):
                self._shared.shutdown(socket.SHUT_RDWR)
        self._shared.close()


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket on a port that other gateways may listen on too; it does not listen yet.

    Raises:
        PortTaken: somebody who does not share has it.
        HostUnusable: it cannot be had.
    """
    return _bind(host, port, shared=True)


def _systemd_handle() -> int | None:
    pid, count = (os.environ.pop(name, "") for name in SYSTEMD_VARIABLES)
    return SYSTEMD_FD if pid == str(os.getpid()) and count.isdecimal() and int(count) >= 1 else None


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise HostUnusable(f"{host} is no address of this machine: {exc.strerror}") from exc
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as exc:
        bound.close()
        if exc.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from None
        raise HostUnusable(f"cannot listen on {host} port {port}: {exc.strerror}") from exc
    return bound

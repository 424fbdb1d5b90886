"""One port for several gateway processes, and for nobody else.

Each gateway listens with a socket of its own, so that the kernel spreads connections evenly. The same option would let
a second `serve`, or a gateway left over, share the port unnoticed: so `serve` first binds the port for itself alone,
and only then opens it to its own processes. It never listens, so it gets no connections.
"""

import errno
import socket
from typing import Final

LISTEN_BACKLOG: Final = 2048


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


def shared_socket(host: str, port: int) -> socket.socket:
    """A listening socket on a port that other gateways may listen on too.

    Raises:
        PortTaken: somebody who does not share has it.
        HostUnusable: it cannot be had.
    """
    shared = _bind(host, port, shared=True)
    shared.listen(LISTEN_BACKLOG)
    shared.setblocking(False)
    return shared


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

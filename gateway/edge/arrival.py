"""A connection before it is known what it wants: uvicorn's HTTP protocol with the deadlines and bounds it lacks.

uvicorn has a timeout between two requests and none inside of one: a head or a body that never ends would hold its
socket for ever, and a head of any size is kept. Answers here are plain text: it is not yet a request of anything.
"""

import asyncio
import logging
import math
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.admission.addresses import IP, read_ip
from gateway.admission.admission import AddressCount, Admission
from gateway.admission.proxy_protocol import BadHeader, read_header
from gateway.counting.metrics import Metrics, Shed
from gateway.http.config import HttpConfig

LINGER_S: Final = 1.0
"""How long the other side may go on sending after it was refused: closing at once could take the answer with it."""

LINGERING_MAX: Final = 1_000
"""Connections that are refused for their address and may read why; more are dropped without a word."""

# uvicorn writes a line for every request that is none: whoever likes could fill the disk. They are counted instead.
_quiet: Final = logging.getLogger("gateway.edge.arrival")
_quiet.setLevel(logging.ERROR)


class Arrival(HttpToolsProtocol):
    """One TCP connection from its accept on, until it ends or is handed to the edge as a WebSocket.

    Args:
        ours: `connections_max`, `head_bytes_max`, `head_ms_max` and `body_ms_max`.
        more: what uvicorn gives its own.

    Attributes:
        address: what it is counted by; None where no limit holds, or until a proxy has said whom it speaks for.
    """

    def __init__(self, ours: HttpConfig, metrics: Metrics, admission: Admission, **more: Any) -> None:
        super().__init__(**more)
        self.address: AddressCount | None = None
        self._admission = admission
        self._lingers = False
        self._proxy: IP | None = None
        self._proxy_header: bytes | None = None
        self.logger = _quiet
        self._ours = ours
        self._metrics = metrics
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._refused = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._ours.connections_max:
            self._metrics.shed(Shed.CONNECTIONS_MAX)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._give_time(self._ours.head_ms_max)
        host = self.client[0] if self.client else ""
        self._proxy = self._admission.trusts(host)
        if self._proxy is None:
            self._count(read_ip(host))
        elif self._admission.config.proxy_word == "proxy-protocol":
            self._proxy_header = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_time()
        self._admission.disconnect(self.address)
        if self._lingers:
            self._admission.lingering -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._deadline is None:
            self._give_time(self._ours.head_ms_max)
        if self._proxy_header is not None:
            data = self._read_proxy_header(self._proxy_header + data)
            if not data or self._refused:
                return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._ours.head_bytes_max:
            self._refuse_head()

    # What uvicorn's parser calls.

    def on_message_begin(self) -> None:
        self._in_head = True
        if self._deadline is None:
            self._give_time(self._ours.head_ms_max)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._head_bytes > self._ours.head_bytes_max:
            raise _HeadTooLarge
        self._head_bytes = 0
        self._give_time(self._ours.body_ms_max)
        if self._proxy is not None and self._admission.config.proxy_word != "proxy-protocol":
            # One connection of a proxy carries the requests of many.
            client = self._admission.client_behind(self._proxy, self.headers)
            self.scope["client"] = None if client is None else (str(client), 0)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_time()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; what it may take from here on is the edge's."""
        if self.scope["http_version"] != "1.1":
            # RFC 6455, section 4.2.1. uvicorn would tell the edge that it was 1.1.
            self._refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            return
        if self._proxy is not None and self.address is None and self.scope["client"] is not None:
            self._count(read_ip(self.scope["client"][0]))
            if self._refused:
                return
        self._end_time()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not take."""
        if self._head_bytes > self._ours.head_bytes_max:
            self._refuse_head()
        else:
            self._metrics.shed(Shed.NOT_HTTP)
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

    # Inside.

    def _count(self, client: IP | None) -> None:
        """Count the connection as one of this address, and refuse it where there are too many."""
        self.address, wait_s = self._admission.connect(client)
        if wait_s:
            # It is no open connection of ours any more: a flood of refused ones must not fill the process's bound.
            self.connections.discard(self)
            if self._admission.lingering >= LINGERING_MAX:
                self._refused = True
                self.transport.abort()
                return
            self._lingers = True
            self._admission.lingering += 1
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, retry_after_s=wait_s)

    def _read_proxy_header(self, start: bytes) -> bytes:
        """What follows the PROXY header, once it is there; nothing before."""
        try:
            header = read_header(start)
        except BadHeader as exc:
            self._metrics.shed(Shed.NOT_HTTP)
            self._refuse(HTTPStatus.BAD_REQUEST, str(exc))
            return b""
        if header is None:
            self._proxy_header = start
            return b""
        self._proxy_header = None
        self.client = None if header.source is None else (str(header.source), header.port)
        self._count(header.source)
        return start[header.size :]

    def _give_time(self, ms: int) -> None:
        self._end_time()
        self._deadline = self.loop.call_later(ms / 1000, self._too_late)

    def _end_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._refused or (self.cycle is not None and self.cycle.response_complete and not self._in_head):
            # It was answered, and goes on with a body that nobody wants.
            self.transport.abort()
            return
        self._metrics.shed(Shed.REQUEST_LATE)
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse_head(self) -> None:
        self._metrics.shed(Shed.HEAD_TOO_LARGE)
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus, text: str = "", *, retry_after_s: float = 0.0) -> None:
        """Answer if nothing was answered yet, send no more, and give the other side a moment to read that."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            # The handler still runs, or waits for its body: it is told that its client has gone.
            began = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            began = False
        if not began:
            body = (text or status.description or status.phrase).encode()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            if retry_after_s:
                head += f"retry-after: {math.ceil(retry_after_s)}\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._end_time()
        self._deadline = self.loop.call_later(LINGER_S, self.transport.abort)


class _HeadTooLarge(Exception):
    """Raised into the parser, which gives up."""

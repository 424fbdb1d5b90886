"""Who may connect and ask, by address: how many connections, how many new ones, how many requests that cost something.

An address that has no limits is no count: callers keep None and ask nothing further for it.
"""

from collections.abc import Callable, Iterable

from gateway.admission.addresses import IP, BadNetworks, Networks, behind_proxies, counted_as, hops_of, read_ip
from gateway.admission.config import AdmissionConfig
from gateway.admission.counts import Bucket, Rate, Table
from gateway.counting.metrics import Metrics, Shed, Way


class AddressCount:
    """One address, or the /64 of an IPv6 one.

    Attributes:
        open: connections and WebSockets.
    """

    __slots__ = ("connects", "key", "open", "requests")

    def __init__(self, key: bytes | str) -> None:
        self.key = key
        self.open = 0
        self.connects = Bucket()
        self.requests = Bucket()

    def at_rest(self, now_s: float) -> bool:
        """Whether it has been quiet for long enough."""
        return self.connects.is_full(now_s) and self.requests.is_full(now_s)


class Admission:
    """The limits by address of one process.

    Args:
        clock_s: a monotonic clock.

    Attributes:
        lingering: connections that were refused and are still there to read why.

    Raises:
        BadNetworks: a list of networks cannot be read; see `unreadable_networks`.
    """

    def __init__(self, config: AdmissionConfig, metrics: Metrics, clock_s: Callable[[], float]) -> None:
        self.config = config
        self.lingering = 0
        self.addresses: Table[AddressCount] = Table(AddressCount, config.idle_counted_max)
        self._metrics = metrics
        self._clock_s = clock_s
        self._unlimited = Networks(config.unlimited)
        self._trusted = Networks(config.trusted_proxies)
        self._connects = Rate(config.address_connects_per_s_max, config.address_connects_burst_max)
        self._requests = Rate(config.address_requests_per_s_max, config.address_requests_burst_max)

    # Who it is.

    def trusts(self, host: str) -> IP | None:
        """The address of a peer that is a trusted proxy; None of anybody else."""
        peer = read_ip(host) if self.config.trusted_proxies else None
        return peer if peer is not None and peer in self._trusted else None

    def client_behind(self, proxy: IP, headers: Iterable[tuple[bytes, bytes]]) -> IP | None:
        """Whom a trusted proxy speaks for in a request; None for itself, as when it looks whether we are well."""
        return behind_proxies(proxy, hops_of(headers, self.config.proxy_word), self._trusted)

    # Connections.

    def connect(self, client: IP | None) -> tuple[AddressCount | None, float]:
        """Count a new connection.

        Returns:
            Its count, for `disconnect`, or None where no limit holds; and 0, or for how many seconds it is refused. One
            that is refused is not counted as open.
        """
        if client is None or client in self._unlimited:
            return None, 0.0
        now_s = self._clock_s()
        count = self.addresses.of(counted_as(client), now_s)
        if count.open >= self.config.address_connections_max:
            self._metrics.shed(Shed.ADDRESS_CONNECTIONS)
            return None, max(1 / self._connects.per_s, 1.0)
        wait_s = count.connects.take(self._connects, now_s)
        if wait_s:
            self._metrics.shed(Shed.ADDRESS_CONNECTS)
            return None, wait_s
        if not count.open:
            self.addresses.opened(count)
        count.open += 1
        return count, 0.0

    def disconnect(self, count: AddressCount | None) -> None:
        """A connection that was counted has ended."""
        if count is None:
            return
        count.open -= 1
        if not count.open:
            self.addresses.closed(count, self._clock_s())

    # Requests.

    def counted(self, host: str | None) -> AddressCount | None:
        """The count of whoever an HTTP request comes from, by the host of its scope; None without limits."""
        client = read_ip(host) if host else None
        if client is None or client in self._unlimited:
            return None
        return self.addresses.of(counted_as(client), self._clock_s())

    def ask(self, count: AddressCount | None) -> float:
        """Count a hello, or a request that costs something: 0, or for how many seconds it is refused."""
        if count is None:
            return 0.0
        wait_s = count.requests.take(self._requests, self._clock_s())
        if wait_s:
            self._metrics.shed(Shed.ADDRESS_REQUESTS)
        return wait_s

    def bad_token(self, count: AddressCount | None, way: Way) -> None:
        """A token was not one of ours: whoever guesses soon has to wait between two guesses."""
        self._metrics.bad_token(way)
        if count is not None:
            # The request itself was counted already.
            count.requests.drain(self._requests, self._clock_s(), self.config.bad_token_requests - 1)


def unreadable_networks(config: AdmissionConfig) -> str | None:
    """What is wrong with the lists of networks; None when nothing is."""
    for name in ("unlimited", "trusted_proxies"):
        try:
            Networks(getattr(config, name))
        except BadNetworks as exc:
            return f"admission.{name}: {exc}"
    return None

"""What an operator may set about limits by address and by account, with its bounds."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Rate = Annotated[int, Meta(ge=1, le=1_000_000)]
_Networks = Annotated[str, Meta(max_length=4096, pattern=r"^[0-9A-Fa-f.:/ ]*$")]

NOT_PUBLIC = "127.0.0.0/8 ::1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fc00::/7 fe80::/10"
"""Nobody comes from there over the Internet: it is a proxy, a container's bridge or a tester. To count a proxy that is
not known as one as a single client would shut out the audience."""


class AdmissionConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the limits by address and by account. All are of each gateway process.

    Attributes:
        unlimited: addresses and networks, separated by spaces, that no limit by address holds for; by default loopback
            and those that are not public. Add your own servers and load generators.
        trusted_proxies: addresses and networks of proxies, separated by spaces, that are believed which address they
            speak for; nobody else is.
        proxy_word: how they say it, and the only way that is read: `x-forwarded-for` or `forwarded` (headers of each
            request, to which every proxy adds the address that it was asked from), or `proxy-protocol` (version 1 or 2,
            in front of each connection).
        address_connections_max: connections and WebSockets that an address may have open; an IPv6 address is counted by
            its /64. One more is answered with 429.
        address_connects_per_s_max: new ones of an address a second, over a longer time.
        address_connects_burst_max: new ones of an address that may come at once after a quiet time.
        address_requests_per_s_max: hellos, and HTTP requests that are not for everybody, of an address a second; one
            more is answered with 429, or a close with 4004.
        address_requests_burst_max: of those, what may come at once after a quiet time.
        bad_token_requests: a token that is not valid counts as so many requests of its address.
        account_sessions_max: WebSockets of one account; with one more the oldest is closed with 4503.
        account_commands_per_s_max: commands of one account a second, over all of its WebSockets and HTTP.
        account_commands_burst_max: commands of one account that may come at once after a quiet time.
        idle_counted_max: addresses, and as many accounts, with nothing open that are remembered; then the one that has
            been quiet the longest is forgotten, and begins as after a quiet time.
    """

    unlimited: _Networks = NOT_PUBLIC
    trusted_proxies: _Networks = ""
    proxy_word: Literal["x-forwarded-for", "forwarded", "proxy-protocol"] = "x-forwarded-for"
    address_connections_max: _Count = 1_000
    address_connects_per_s_max: _Rate = 100
    address_connects_burst_max: _Rate = 1_000
    address_requests_per_s_max: _Rate = 100
    address_requests_burst_max: _Rate = 1_000
    bad_token_requests: Annotated[int, Meta(ge=1, le=100_000)] = 20
    account_sessions_max: Annotated[int, Meta(ge=1, le=100_000)] = 32
    account_commands_per_s_max: _Rate = 400
    account_commands_burst_max: _Rate = 800
    idle_counted_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000

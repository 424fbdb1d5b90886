"""What an operator may set about the HTTP side, with its bounds."""

from typing import Annotated

from msgspec import Meta, Struct

_Millis = Annotated[int, Meta(ge=1, le=2**40)]


class HttpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the HTTP side.

    Attributes:
        body_bytes_max: the largest body that is read; one byte more is answered with 413.
        connections_max: connections of one gateway that are no WebSockets (yet); one more is answered with 503.
        head_bytes_max: a longer head of a request is answered with 431.
        head_ms_max: a head must be there by then, counted from its connection's accept or its own first byte.
        body_ms_max: a body must be there by then, counted from the end of its head.
        page_entries_max: entries on one page of a list; a larger `limit` gives this many.
        ready_timeout_ms: how long each server may take to answer for `/readyz`.
        retry_after_ms: what a client is told to wait when we cannot answer now.
        overlay_token_days: how long an overlay's token lasts, when its maker does not say.
        overlay_tokens_max: overlay tokens of one creator that are good at a time.
        guest_coins: coins that a guest of the demo starts with.
        guest_token_s: how long a guest of the demo stays.
        studio_token_s: how long the demo's studio stays open.
    """

    body_bytes_max: Annotated[int, Meta(ge=256, le=2**24)] = 65_536
    connections_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    head_bytes_max: Annotated[int, Meta(ge=1_024, le=2**20)] = 32_768
    head_ms_max: _Millis = 10_000
    body_ms_max: _Millis = 30_000
    page_entries_max: Annotated[int, Meta(ge=1, le=1_000)] = 200
    ready_timeout_ms: _Millis = 2_000
    retry_after_ms: _Millis = 1_000
    overlay_token_days: Annotated[int, Meta(ge=1, le=366)] = 90
    overlay_tokens_max: Annotated[int, Meta(ge=1, le=1_000)] = 20
    guest_coins: Annotated[int, Meta(ge=0, le=1_000_000)] = 1_000
    guest_token_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 86_400
    studio_token_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 86_400

"""What an operator may set about connections, with its bounds."""

from typing import Annotated

from msgspec import Meta, Struct

_Millis = Annotated[int, Meta(ge=1, le=2**40)]
_Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class EdgeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the WebSocket edge.

    Attributes:
        sessions_max: connections of one gateway process; one more is refused with HTTP 503.
        hello_ms_max: a connection that has not said hello by then is closed.
        heartbeat_ms: a connection that is silent this long is pinged, and closed after as long again.
        revocation_ms: how often it is asked whether the tokens of open connections were taken back; such a connection
            is closed no later than so long after, and the time of one answer.
        message_bytes_max: a longer client message closes the connection (1009).
        rooms_per_session_max: rooms that one connection may be in.
        commands_per_s_max: commands of one connection a second, over a longer time; more are refused. Twice as many
            frames are read: what comes faster still waits unread.
        commands_burst_max: commands that may come at once after a quiet time; twice as many frames are read at once.
        resume_commands: a join that reads what was missed (one that says where it stopped, or an overlay's) counts as
            so many commands, at most as many as may come at once.
        gifts_in_flight_max: gifts of one connection that wait for their outcome.
        viewer_queue_bytes_max: unsent bytes of a viewer above which ticks are skipped.
        overlay_queue_bytes_max: unsent bytes of an overlay or creator above which it is closed to resume.
        reply_queue_bytes_max: unsent bytes of a viewer above which its next message closes it: what it asks for and
            does not read would pile up.
        idle_frames_max: frames that end no message (pings, pongs, parts) of one connection in a heartbeat.
        slow_ms_max: a viewer whose ticks have been skipped this long is closed.
        close_ms_max: how long the other side may take to answer a close.
        drain_per_s: clients that a gateway that stops lets come back to the others in a second: their closes are spread
            so, and where `drain_ms_max` is too short for that, they are told how long to wait.
        fan_out_slice_max: sockets that one slice of a fan-out writes before others get their turn.
        deflate: take permessage-deflate where a client offers it: what goes to all of a room is then compressed, once,
            for those who offered.
        deflate_bytes_min: a shorter message is sent as it is.
        origins: origins that browsers may come from, separated by spaces; `*` for any (tokens are not cookies).
    """

    sessions_max: _Count = 50_000
    hello_ms_max: _Millis = 5_000
    heartbeat_ms: _Millis = 20_000
    revocation_ms: _Millis = 5_000
    message_bytes_max: Annotated[int, Meta(ge=1024, le=16 * 1024)] = 16 * 1024
    rooms_per_session_max: Annotated[int, Meta(ge=1, le=1000)] = 16
    commands_per_s_max: Annotated[int, Meta(ge=1, le=100_000)] = 200
    commands_burst_max: Annotated[int, Meta(ge=1, le=100_000)] = 400
    resume_commands: Annotated[int, Meta(ge=1, le=100_000)] = 10
    gifts_in_flight_max: _Count = 500
    viewer_queue_bytes_max: _Count = 64 * 1024
    overlay_queue_bytes_max: _Count = 4 * 2**20
    reply_queue_bytes_max: _Count = 512 * 1024
    idle_frames_max: Annotated[int, Meta(ge=10, le=1_000_000)] = 1_000
    slow_ms_max: _Millis = 15_000
    close_ms_max: _Millis = 2_000
    drain_per_s: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    fan_out_slice_max: Annotated[int, Meta(ge=1, le=100_000)] = 400
    deflate: bool = True
    deflate_bytes_min: Annotated[int, Meta(ge=64, le=2**20)] = 512
    origins: Annotated[str, Meta(max_length=4096)] = "*"

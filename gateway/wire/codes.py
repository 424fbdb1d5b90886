"""Every code that a client can meet, in one registry shared by the WebSocket and HTTP.

A code is a promise: its name, whether a retry can help and its HTTP status never change.
"""

import enum
from typing import Final, NamedTuple


class Code(enum.StrEnum):
    """Why something was refused, or what went wrong."""

    # A gift and its undoing, on the WebSocket or over HTTP.
    INSUFFICIENT_COINS = "insufficient_coins"
    UNKNOWN_GIFT = "unknown_gift"
    UNKNOWN_ROOM = "unknown_room"
    UNKNOWN_RECEIVER = "unknown_receiver"
    GIFT_NOT_AVAILABLE = "gift_not_available"
    ID_CONFLICT = "id_conflict"
    ID_EXPIRED = "id_expired"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_ALLOWED = "not_allowed"
    UNDER_AGE = "under_age"
    GUARDIAN_NEEDED = "guardian_needed"
    AGE_UNKNOWN = "age_unknown"
    OWN_LIMITS_NEEDED = "own_limits_needed"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    UNDO_EXPIRED = "undo_expired"
    # HTTP alone.
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNPROCESSABLE = "unprocessable"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_PACKAGE = "unknown_package"
    UNKNOWN_PROVIDER = "unknown_provider"
    WRONG_STATE = "wrong_state"
    BELOW_THRESHOLD = "below_threshold"
    INSUFFICIENT_EARNINGS = "insufficient_earnings"
    UNKNOWN_METHOD = "unknown_method"
    LIMIT_REACHED = "limit_reached"
    INTERNAL = "internal"


class CodeFacts(NamedTuple):
    """What is fixed about a code.

    Attributes:
        status: HTTP status of the problem document that carries it.
        retryable: whether the same request may succeed later without a change; such answers carry `retry_after_ms`.
        title: one short sentence, the `title` of the problem document.
    """

    status: int
    retryable: bool
    title: str


FACTS: Final[dict[Code, CodeFacts]] = {
    Code.INSUFFICIENT_COINS: CodeFacts(402, False, "The wallet holds fewer coins than this costs."),
    Code.UNKNOWN_GIFT: CodeFacts(404, False, "The catalogue has no such gift."),
    Code.UNKNOWN_ROOM: CodeFacts(404, False, "There is no such room or video."),
    Code.UNKNOWN_RECEIVER: CodeFacts(404, False, "The receiver does not earn in this room."),
    Code.GIFT_NOT_AVAILABLE: CodeFacts(409, False, "This gift cannot be sent here now."),
    Code.ID_CONFLICT: CodeFacts(409, False, "This id was already used with other content."),
    Code.ID_EXPIRED: CodeFacts(410, False, "The time in this id is outside the window."),
    Code.LIMIT_EXCEEDED: CodeFacts(403, False, "A spending limit would be passed."),
    Code.NOT_ALLOWED: CodeFacts(403, False, "This is not allowed."),
    Code.UNDER_AGE: CodeFacts(403, False, "This is for people of a greater age only."),
    Code.GUARDIAN_NEEDED: CodeFacts(403, False, "At this age a guardian's consent is needed."),
    Code.AGE_UNKNOWN: CodeFacts(403, False, "This is for people only whose age is known."),
    Code.OWN_LIMITS_NEEDED: CodeFacts(403, False, "Limits of your own must be set before gifts can be sent."),
    Code.RATE_LIMITED: CodeFacts(429, True, "Too many requests."),
    Code.OVERLOADED: CodeFacts(503, True, "The server carries all that it can."),
    Code.UNAVAILABLE: CodeFacts(503, True, "The server cannot answer this now."),
    Code.BAD_REQUEST: CodeFacts(400, False, "The request could not be understood."),
    Code.NOT_FOUND: CodeFacts(404, False, "There is nothing here."),
    Code.UNDO_EXPIRED: CodeFacts(410, False, "This gift cannot be undone, or not any more."),
    Code.UNAUTHORIZED: CodeFacts(401, False, "A valid token is needed."),
    Code.TOKEN_EXPIRED: CodeFacts(401, False, "The token has expired."),
    Code.METHOD_NOT_ALLOWED: CodeFacts(405, False, "This resource does not answer that method."),
    Code.PAYLOAD_TOO_LARGE: CodeFacts(413, False, "The request body is too large."),
    Code.UNSUPPORTED_MEDIA_TYPE: CodeFacts(415, False, "The request body must be application/json."),
    Code.UNPROCESSABLE: CodeFacts(422, False, "A field is missing or has a wrong value."),
    Code.BAD_SIGNATURE: CodeFacts(401, False, "The signature does not match the body."),
    Code.UNKNOWN_PACKAGE: CodeFacts(404, False, "The catalogue has no such package for this country and platform."),
    Code.UNKNOWN_PROVIDER: CodeFacts(404, False, "There is no such payment provider."),
    Code.WRONG_STATE: CodeFacts(409, False, "The present state does not allow this step."),
    Code.BELOW_THRESHOLD: CodeFacts(409, False, "The amount is outside what one withdrawal may be."),
    Code.INSUFFICIENT_EARNINGS: CodeFacts(409, False, "Fewer earnings are available than this needs."),
    Code.UNKNOWN_METHOD: CodeFacts(404, False, "There is no such payout method."),
    Code.LIMIT_REACHED: CodeFacts(409, False, "There are already as many as there may be."),
    Code.INTERNAL: CodeFacts(500, True, "The server failed. Nothing was lost; ask again with the same id."),
}


class CloseCode(enum.IntEnum):
    """WebSocket close codes of ours: 4000-4499 reconnect (with full jitter), 4500-4999 do not."""

    GOING_AWAY = 4000
    SLOW_CONSUMER = 4001
    HEARTBEAT = 4002
    INSUFFICIENT_STATE = 4003
    RATE_LIMITED = 4004
    BAD_TOKEN = 4500
    TOKEN_EXPIRED = 4501
    PROTOCOL_ERROR = 4502
    REPLACED = 4503
    FORBIDDEN = 4504

    @property
    def reconnect(self) -> bool:
        """Whether a client that was closed with this code should come back."""
        return self < 4500


class NoticeCode(enum.StrEnum):
    """Why the server sends a `notice`."""

    DRAIN = "drain"
    RESYNC = "resync"

"""The one way to refuse over HTTP: problem documents (RFC 9457) whose codes are those of the WebSocket.

Handlers raise `Problem`; what the ledger raises is turned into one here. Everything that is not foreseen becomes
`internal`, is logged with its trace, and tells the client nothing but that.
"""

import math
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.replies import CODES
from gateway.wire.codes import FACTS, Code
from gateway.wire.http.public import ProblemDocument
from ledger.errors import (
    AgeForbids,
    BadEvent,
    BadSignature,
    IdConflict,
    LedgerError,
    LedgerUnavailable,
    LimitReached,
    NotFound,
    RailRefused,
    RailUnavailable,
    UnknownRail,
    ValueRefused,
    WrongState,
)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/docs#problem-"
ANSWER_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer that is made for one caller."""
RETRY_AFTER_MS: Final = 1_000
"""Told with a retryable code where the refusal does not know better."""
_Value = TypeVar("_Value")

_BY_STATUS: Final = {
    400: Code.BAD_REQUEST,
    401: Code.UNAUTHORIZED,
    403: Code.NOT_ALLOWED,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.PAYLOAD_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
}


class Problem(Exception):
    """The request was not carried out.

    Attributes:
        code: decides status, title and whether a retry can help.
        detail: what was wrong with this very request, for people.
        field: which field of the body (`$.id`) or parameter (`limit`) was wrong.
        retry_after_ms: how long to wait, for a retryable code.
        balance_coins: the wallet, with `insufficient_coins`.
        limit, limit_coins, spent_coins, resets_at_ms: with `limit_exceeded`.
        age_min, limits_needed: with the codes of age.
        bound, bound_max: which bound of the server was met, and what it is.
        missing: what cannot be used now, with the reason, when the process is not ready.
    """

    def __init__(
        self,
        code: Code,
        detail: str = "",
        *,
        field: str | None = None,
        retry_after_ms: int | None = None,
        balance_coins: int | None = None,
        limit: str | None = None,
        resets_at_ms: int | None = None,
        limit_coins: int | None = None,
        spent_coins: int | None = None,
        age_min: int | None = None,
        limits_needed: list[str] | None = None,
        bound: str | None = None,
        bound_max: int | None = None,
        missing: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or FACTS[code].title)
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after_ms = retry_after_ms
        self.balance_coins = balance_coins
        self.limit = limit
        self.resets_at_ms = resets_at_ms
        self.limit_coins = limit_coins
        self.spent_coins = spent_coins
        self.age_min = age_min
        self.limits_needed = limits_needed
        self.bound = bound
        self.bound_max = bound_max
        self.missing = missing

    def document(self) -> ProblemDocument:
        """What the client reads."""
        facts = FACTS[self.code]
        retry_after_ms = (self.retry_after_ms or RETRY_AFTER_MS) if facts.retryable else None
        return ProblemDocument(
            type=f"{TYPE_PREFIX}{self.code}",
            title=facts.title,
            status=facts.status,
            code=self.code,
            retryable=facts.retryable,
            detail=self.detail or UNSET,
            field=_set(self.field),
            retry_after_ms=_set(retry_after_ms),
            balance_coins=_set(self.balance_coins),
            limit=_set(self.limit),
            resets_at_ms=_set(self.resets_at_ms),
            limit_coins=_set(self.limit_coins),
            spent_coins=_set(self.spent_coins),
            age_min=_set(self.age_min),
            limits_needed=_set(self.limits_needed),
            bound=_set(self.bound),
            bound_max=_set(self.bound_max),
            missing=_set(self.missing),
        )


def problem_of(error: LedgerError) -> Problem:
    """What a client is told of a ledger's error; texts of servers stay inside."""
    match error:
        case IdConflict():
            return Problem(Code.ID_CONFLICT)
        case NotFound():
            return Problem(Code.NOT_FOUND, str(error))
        case WrongState():
            return Problem(Code.WRONG_STATE, str(error))
        case LimitReached():
            return Problem(Code.LIMIT_REACHED, str(error))
        case AgeForbids(refusal=refusal, age=age):
            return Problem(CODES[refusal], age_min=age or None)
        case UnknownRail():
            return Problem(Code.UNKNOWN_PROVIDER)
        case BadSignature():
            return Problem(Code.BAD_SIGNATURE)
        case BadEvent():
            return Problem(Code.BAD_REQUEST, str(error))
        case ValueRefused(constraint=constraint):
            # What bodies are read by is narrower than the tables' checks; where it is not, the rule's name must do.
            return Problem(Code.UNPROCESSABLE, f"A value is refused by the rule {constraint or 'of its type'}.")
        case RailRefused():
            return Problem(Code.UNPROCESSABLE, "The payment provider does not take this payment.")
        case LedgerUnavailable() | RailUnavailable():
            return Problem(Code.UNAVAILABLE)
        case _:
            return Problem(Code.INTERNAL)


def problem_response(problem: Problem) -> Response:
    """The answer that carries a problem."""
    document = problem.document()
    headers = dict(ANSWER_HEADERS)
    if document.retry_after_ms is not UNSET:
        headers["Retry-After"] = str(math.ceil(document.retry_after_ms / 1000))
    if document.status == 401 and problem.code is not Code.BAD_SIGNATURE:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(document), document.status, headers, MEDIA_TYPE)


async def answer_http_exception(_: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, no such method) as problem documents."""
    if not isinstance(error, HTTPException):
        raise error
    response = problem_response(Problem(_BY_STATUS.get(error.status_code, Code.INTERNAL)))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _set(value: _Value | None) -> _Value | UnsetType:
    return UNSET if value is None else value

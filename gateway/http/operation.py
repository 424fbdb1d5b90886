"""One HTTP operation, declared by the signature of its handler, and the endpoint that serves it.

A handler is an async function of values. Its parameters say by name what it takes: `services`, `caller` (the verified
identity), `body` and `query` (Structs), `raw` (the body's bytes), `headers`; every other one is a part of the path.
Its return type is what it answers: a Struct as JSON, None as 204, or a Response as it is (then `media_type` says what
it holds). The OpenAPI document is made from the same signature, so that it cannot say what the handler does not do.
"""

import inspect
import math
import time
import typing
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
import structlog
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth import BadToken, Identity, TokenExpired
from gateway.http import reading
from gateway.http.problems import ANSWER_HEADERS, Problem, problem_of, problem_response
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.messages import Role
from ledger.errors import LedgerError, LedgerUnavailable

Method = Literal["GET", "POST", "PUT", "DELETE"]
JSON: Final = "application/json"
EVERYBODY: Final = frozenset(typing.get_args(Role))
"""Every role there is."""
_GIVEN: Final = frozenset({"services", "caller", "body", "query", "raw", "headers"})
_log = structlog.get_logger()


class Operation(Struct, frozen=True):
    """What one method of one path does.

    Attributes:
        roles: whose tokens may ask; empty for anyone, without a token.
        refuses: codes that this operation may answer, beside those that any may.
        demo: there only in the demo.
        counted: a request counts against the limits of its address.
        takes: names of the handler's parameters.
        path_types: types of the parts of the path, by name.
        body, query: Structs of the JSON body and of the parameters behind `?`; None where there is none.
        answer: a Struct; None for 204; Response where `media_type` says what it holds.
    """

    method: Method
    path: str
    handle: Callable[..., Awaitable[object]]
    roles: frozenset[Role]
    tag: str
    refuses: tuple[Code, ...]
    demo: bool
    counted: bool
    takes: frozenset[str]
    path_types: dict[str, Any]
    body: type[Struct] | None
    query: type[Struct] | None
    answer: Any
    media_type: str

    @property
    def name(self) -> str:
        """The handler's name: unique, and what the documents call the operation."""
        return str(getattr(self.handle, "__name__", ""))


def declare(
    method: Method,
    path: str,
    handle: Callable[..., Awaitable[object]],
    *,
    tag: str,
    roles: Iterable[Role] = (),
    refuses: tuple[Code, ...] = (),
    demo: bool = False,
    counted: bool = True,
    media_type: str = JSON,
) -> Operation:
    """An operation from its handler.

    Raises:
        TypeError: the handler's parameters do not fit the path or the roles.
    """
    types = typing.get_type_hints(handle, include_extras=True)
    takes = frozenset(inspect.signature(handle).parameters)
    parts = {part.split(":")[0].strip("{}") for part in path.split("/") if part.startswith("{")}
    if takes - _GIVEN != parts:
        raise TypeError(f"{handle} takes {sorted(takes - _GIVEN)}, {path} has {sorted(parts)}")
    if "caller" in takes and not roles:
        raise TypeError(f"{handle} wants a caller, and anyone may call it")
    return Operation(
        method,
        path,
        handle,
        frozenset(roles),
        tag,
        refuses,
        demo,
        counted,
        takes,
        {name: types[name] for name in sorted(parts)},
        types.get("body"),
        types.get("query"),
        None if types["return"] is type(None) else types["return"],
        media_type,
    )


def route(path: str, operations: Iterable[Operation]) -> Route:
    """Every operation of one path as Starlette serves it; one route, so that a 405 names all methods there are."""
    by_method: dict[str, Operation] = {operation.method: operation for operation in operations}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def endpoint(request: Request) -> Response:
        services: Services = request.app.state.services
        began_s = time.perf_counter()
        response = await _answer(by_method[request.method], services, request)
        services.metrics.request_answered(path, request.method, response.status_code, time.perf_counter() - began_s)
        return response

    return Route(path, endpoint, methods=list(by_method), name=path)


async def _answer(operation: Operation, services: Services, request: Request) -> Response:
    retry_after_ms = services.config.http.retry_after_ms
    address = services.admission.counted(request.client.host if request.client else None)
    try:
        if operation.counted and (wait_s := services.admission.ask(address)):
            raise Problem(Code.RATE_LIMITED, retry_after_ms=math.ceil(wait_s * 1000))
        arguments = await _arguments(operation, services, request)
        return _response(await operation.handle(**arguments))
    except Problem as problem:
        if problem.code is Code.UNAUTHORIZED and "authorization" in request.headers:
            services.admission.bad_token(address, "http")
        return problem_response(problem)
    except LedgerUnavailable as error:
        _log.warning("request_unavailable", operation=operation.name, error=str(error))
        return problem_response(Problem(Code.UNAVAILABLE, retry_after_ms=retry_after_ms))
    except LedgerError as error:
        told = problem_of(error)
        if told.code is Code.INTERNAL:
            _log.exception("request_failed", operation=operation.name)
        return problem_response(told)
    except ClientDisconnect:
        # Nobody reads the answer; the status is only for the count.
        return Response(status_code=HTTPStatus.BAD_REQUEST)
    except Exception:  # noqa: BLE001 - the top of a request's task: logged, counted, answered as internal
        _log.exception("request_failed", operation=operation.name)
        return problem_response(Problem(Code.INTERNAL, retry_after_ms=retry_after_ms))


async def _arguments(operation: Operation, services: Services, request: Request) -> dict[str, object]:
    """The handler's arguments. Who asks is looked at first: a stranger's body is not read."""
    arguments: dict[str, object] = {}
    if operation.roles:
        arguments["caller"] = await identify(services, request.headers.get("authorization", ""), operation.roles)
    for name, kind in operation.path_types.items():
        arguments[name] = reading.path_part(request.path_params[name], name, kind)
    if operation.query is not None:
        arguments["query"] = reading.query(request.query_params, operation.query)
    bytes_max = services.config.http.body_bytes_max
    if operation.body is not None:
        arguments["body"] = await reading.json_body(request, operation.body, bytes_max)
    if "raw" in operation.takes:
        arguments["raw"] = await reading.raw_body(request, bytes_max)
    arguments["services"] = services
    arguments["headers"] = request.headers
    return {name: value for name, value in arguments.items() if name in operation.takes}


async def identify(services: Services, authorization: str, roles: frozenset[Role]) -> Identity:
    """Who asks, by the `Authorization` header.

    Raises:
        Problem: no token, a bad, expired or revoked one, or one of a role that may not ask this.
        LedgerUnavailable: it cannot be seen whether an overlay's token was revoked.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem(Code.UNAUTHORIZED, "The header `Authorization: Bearer TOKEN` is missing.")
    try:
        identity = services.tokens.verify(token.strip())
    except TokenExpired:
        raise Problem(Code.TOKEN_EXPIRED) from None
    except BadToken:
        raise Problem(Code.UNAUTHORIZED, "The token is not one of this server's.") from None
    if identity.role not in roles:
        raise Problem(Code.NOT_ALLOWED, f"This needs the token of: {', '.join(sorted(roles))}; not of {identity.role}.")
    if identity.role == "overlay" and await services.revocations.is_revoked(identity.jti):
        raise Problem(Code.UNAUTHORIZED, "The token was revoked.")
    return identity


def _response(result: object) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=ANSWER_HEADERS)
    return Response(msgspec.json.encode(result), HTTPStatus.OK, ANSWER_HEADERS, JSON)

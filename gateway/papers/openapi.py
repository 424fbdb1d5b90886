"""The OpenAPI 3.1 document, made from the table of operations and the Structs: what the code does, and no more."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct
from starlette.responses import Response

from gateway.http.examples import EXAMPLES
from gateway.http.operation import JSON, Operation
from gateway.http.problems import MEDIA_TYPE, Problem
from gateway.wire.codes import FACTS, Code
from gateway.wire.http.public import ProblemDocument
from gateway.wire.schema import Schema, components

_REF: Final = "#/components/schemas/{name}"
_TAGS: Final = {
    "health": "Whether the server runs, and what it counts.",
    "catalogue": "What can be given and bought, and for how much.",
    "wallet": "A viewer's coins.",
    "purchases": "Buying coins.",
    "gifts": "Giving.",
    "rooms": "Where gifts are given.",
    "creators": "What a creator earns.",
    "payouts": "Withdrawing what was earned.",
    "agencies": "What an agency is given of its creators' gifts, and withdrawing it.",
    "overlays": "Showing gifts in a stream.",
    "operators": "Running the server.",
    "demo": "There in the demo only: play money for everybody.",
    "documents": "This document and its kin.",
}
_INTRODUCTION: Final = (
    "Gifting for live streams. Amounts are integers: coins are bought and given, diamonds are earned (100 are the "
    "whole value of a coin). Times are milliseconds since the Unix epoch. Ids of gifts, purchases, grants, withdrawals "
    "and payout methods are UUIDv7 and come from the caller: the same id told twice is answered as the first time. "
    "Lists are read with `after` and `limit`; `next` is the following page's `after`, null behind the last. Errors are "
    "problem documents (RFC 9457) whose `code` decides; a retryable one says after how long."
)


def openapi(operations: Iterable[Operation]) -> Schema:
    """The whole document for these operations."""
    listed = sorted(operations, key=lambda operation: (operation.path, operation.method))
    kinds = _structs(listed)
    refs, schemas = components(kinds, _REF)
    ref_of = dict(zip(kinds, refs, strict=True))
    for kind, example in EXAMPLES.items():
        if kind.__name__ in schemas:
            schemas[kind.__name__]["examples"] = [msgspec.to_builtins(example)]
    paths: dict[str, Schema] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, ref_of)
    tags = {operation.tag for operation in listed}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Giftwire",
            "version": version("giftwire"),
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items() if name in tags],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": {code.value: {"value": _problem(code)} for code in Code},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of this server, such as `giftwire token` prints. Never in a URL.",
                }
            },
        },
    }


def _structs(operations: Sequence[Operation]) -> list[type[Struct]]:
    """Every Struct of a body, a query or an answer, each once."""
    kinds: dict[type[Struct], None] = {ProblemDocument: None}
    for operation in operations:
        for kind in (operation.body, operation.query, operation.answer):
            if isinstance(kind, type) and issubclass(kind, Struct):
                kinds[kind] = None
    return list(kinds)


def _operation(operation: Operation, ref_of: dict[type[Struct], Schema]) -> Schema:
    summary, _, rest = (operation.handle.__doc__ or "").strip().partition("\n")
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "security": [{"token": []}] if operation.roles else [],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {**_answer(operation, ref_of), **_refusals(operation, ref_of)},
    }
    notes = [" ".join(rest.split())]
    if operation.roles:
        notes.append(f"For tokens of: {', '.join(sorted(operation.roles))}.")
        described["x-roles"] = sorted(operation.roles)
    described["description"] = " ".join(filter(None, notes))
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": ref_of[operation.body]}}}
    elif "raw" in operation.takes:
        described["requestBody"] = {
            "required": True,
            "description": "As the provider signed it.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    return described


def _path_parameters(operation: Operation) -> list[Schema]:
    names = list(operation.path_types)
    schemas, _ = components(operation.path_types.values(), _REF)
    return [_parameter(name, "path", schema, required=True) for name, schema in zip(names, schemas, strict=True)]


def _query_parameters(operation: Operation) -> list[Schema]:
    """The fields of the query's Struct, each as a parameter. Null means absent here, so it is not told as a value."""
    if operation.query is None:
        return []
    _, schemas = components([operation.query], _REF)
    schema = schemas[operation.query.__name__]
    return [
        _parameter(name, "query", _without_null(told), required=name in schema.get("required", ()))
        for name, told in schema["properties"].items()
    ]


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    told = dict(schema)
    parameter: Schema = {"name": name, "in": place, "required": required}
    description = told.pop("description", None)
    if description:
        parameter["description"] = description
    return {**parameter, "schema": told}


def _without_null(schema: Schema) -> Schema:
    told = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    choices = [choice for choice in told.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return told
    del told["anyOf"]
    return {**choices[0], **told}


def _answer(operation: Operation, ref_of: dict[type[Struct], Schema]) -> Schema:
    if operation.answer is None:
        return {"204": {"description": "Done; there is nothing to say."}}
    if operation.answer is Response:
        schema: Schema = {"type": "object"} if operation.media_type == JSON else {"type": "string"}
        return {"200": {"description": "As it says.", "content": {operation.media_type: {"schema": schema}}}}
    told = (operation.answer.__doc__ or "").strip().partition("\n")[0]
    return {"200": {"description": told, "content": {JSON: {"schema": ref_of[operation.answer]}}}}


def _refusals(operation: Operation, ref_of: dict[type[Struct], Schema]) -> Schema:
    """One answer for each HTTP status, with an example of every code that has it."""
    by_status: dict[int, list[Code]] = {}
    for code in codes_of(operation):
        by_status.setdefault(FACTS[code].status, []).append(code)
    return {
        str(status): {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
            "content": {
                MEDIA_TYPE: {
                    "schema": ref_of[ProblemDocument],
                    "examples": {code.value: {"$ref": f"#/components/examples/{code.value}"} for code in codes},
                }
            },
        }
        for status, codes in sorted(by_status.items())
    }


def codes_of(operation: Operation) -> list[Code]:
    """Every code that an operation may answer, each once."""
    codes = list(operation.refuses)
    if operation.roles:
        codes += [Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.NOT_ALLOWED]
    if operation.counted:
        codes.append(Code.RATE_LIMITED)
    if operation.body is not None:
        codes += [Code.BAD_REQUEST, Code.UNSUPPORTED_MEDIA_TYPE]
    if operation.body is not None or "raw" in operation.takes:
        codes.append(Code.PAYLOAD_TOO_LARGE)
    if operation.body is not None or operation.query is not None or operation.path_types:
        codes.append(Code.UNPROCESSABLE)
    if "services" in operation.takes:
        codes += [Code.UNAVAILABLE, Code.INTERNAL]
    return list(dict.fromkeys(codes))


def _problem(code: Code) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(Problem(code).document())
    return {name: value for name, value in document.items() if value is not UNSET}

"""The documents say what the server does: every route, every shape, and examples that fit."""

import re
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from msgspec import Struct
from starlette.responses import Response

from gateway.edge.connection import PATH
from gateway.http.documents import Documents
from gateway.http.examples import EXAMPLES, MESSAGES
from gateway.http.operation import Operation
from gateway.http.pages import STATIC, page_routes
from gateway.http.routes import OPERATIONS, operations_of, routes_of
from gateway.papers.asyncapi import ADDRESS, REPLIES, TOLD, asyncapi
from gateway.papers.openapi import codes_of, openapi
from gateway.wire.codes import FACTS, Code
from gateway.wire.http import admin, creator, public, viewer
from gateway.wire.messages import ClientMessage, ServerMessage
from gateway.wire.schema import standalone

ALL = Documents(operations_of(demo=True)).operations
DOCUMENT = openapi(ALL)
VALIDATOR = jsonschema.Draft202012Validator


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    """Methods and paths of the routes are those of the document; pages are no API."""
    routes = {
        (method, route.path) for route in routes_of(ALL) for method in (route.methods or set()) if method != "HEAD"
    }
    told = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert routes == told
    pages = {getattr(page, "path", "") for page in page_routes(STATIC, demo=True)}
    assert not pages & set(DOCUMENT["paths"])


def test_routes_of_the_protocol_are_there() -> None:
    """What tools rely on is there by its method and path."""
    there = {(operation.method, operation.path) for operation in ALL}
    assert {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/v1/catalog"),
        ("GET", "/v1/packages"),
        ("POST", "/v1/webhooks/{provider}"),
        ("POST", "/v1/demo/guest"),
        ("GET", "/v1/wallet"),
        ("GET", "/v1/wallet/entries"),
        ("POST", "/v1/purchases"),
        ("POST", "/v1/gifts"),
        ("GET", "/v1/gifts/{id}"),
        ("GET", "/v1/rooms/{room}/events"),
        ("GET", "/v1/rooms/{room}/leaderboard"),
        ("GET", "/v1/creators/me/earnings"),
        ("POST", "/v1/creators/me/withdrawals"),
        ("DELETE", "/v1/creators/me/overlay-tokens/{jti}"),
        ("POST", "/v1/creators/me/rooms/{room}/test-gift"),
        ("PUT", "/v1/admin/creators/{creator}"),
        ("PUT", "/v1/admin/rooms/{room}"),
        ("POST", "/v1/admin/grants"),
        ("POST", "/v1/admin/refunds"),
        ("GET", "/v1/admin/audit"),
        ("GET", "/openapi.json"),
        ("GET", "/asyncapi.json"),
        ("GET", "/docs"),
    } <= there


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_operation_is_described(operation: Operation) -> None:
    """Each has a name of its own, a sentence, and tells who may ask and what may be refused."""
    told = DOCUMENT["paths"][operation.path][operation.method.lower()]
    assert [other.name for other in ALL].count(told["operationId"]) == 1
    assert len(told["summary"]) > 10
    assert bool(told["security"]) == bool(operation.roles)
    in_path = {parameter["name"] for parameter in told["parameters"] if parameter["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", operation.path))
    refused = {status for status in told["responses"] if not status.startswith("2")}
    assert refused == {str(FACTS[code].status) for code in codes_of(operation)}


def test_operations_of_operators_are_theirs_alone() -> None:
    """Nothing under /v1/admin can be asked by anybody else."""
    for operation in OPERATIONS:
        assert (operation.roles == {"operator"}) == operation.path.startswith("/v1/admin/"), operation.path


def test_answers_of_a_post_that_moves_money_need_an_id() -> None:
    """The Structs of these bodies have an `id` without a default."""
    for kind in (
        admin.GrantBody,
        admin.RefundBody,
        viewer.PurchaseBody,
        viewer.GiftBody,
        creator.WithdrawalBody,
        creator.PayoutMethodBody,
    ):
        (field,) = (field for field in msgspec.structs.fields(kind) if field.name == "id")
        assert field.required


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_example_fits_its_schema(kind: type[Struct]) -> None:
    """An example is valid, and is read back as it was."""
    example = EXAMPLES[kind]
    schema = standalone(kind)
    VALIDATOR.check_schema(schema)
    VALIDATOR(schema).validate(msgspec.to_builtins(example))
    assert msgspec.json.decode(msgspec.json.encode(example), type=kind) == example


def test_every_body_and_answer_has_an_example() -> None:
    """Nobody must guess what a body looks like."""
    kinds = {kind for operation in ALL for kind in (operation.body, operation.answer)}
    needed = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Struct)}
    assert {kind.__name__ for kind in needed} == {kind.__name__ for kind in EXAMPLES}


def test_problem_examples_fit_their_schema() -> None:
    """Every code has an example that is a valid problem document."""
    schema = standalone(public.ProblemDocument)
    examples = DOCUMENT["components"]["examples"]
    assert set(examples) == set(Code)
    for code, example in examples.items():
        VALIDATOR(schema).validate(example["value"])
        assert example["value"]["code"] == code


def test_references_lead_somewhere() -> None:
    """No `$ref` of either document is broken."""
    for document in (DOCUMENT, asyncapi()):
        for ref in _refs(document):
            target: Any = document
            for part in ref.removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/")]


def test_fields_are_described() -> None:
    """What the docstrings say of fields stands at the fields, and the description keeps none of it."""
    problem = DOCUMENT["components"]["schemas"]["ProblemDocument"]
    assert problem["description"] == "Why a request was not carried out (RFC 9457)."
    assert problem["properties"]["retryable"]["description"] == "whether the same request may succeed later."
    described = [schema.get("description", "") for schema in DOCUMENT["components"]["schemas"].values()]
    assert not [text for text in described if "Attributes" in text or "\n    " in text]


def test_every_message_is_in_the_asyncapi_document() -> None:
    """Every message of the WebSocket has its schema and an example that fits; commands name their replies."""
    document = asyncapi()
    kinds = {*get_args(ClientMessage), *get_args(ServerMessage)}
    assert set(MESSAGES) == kinds
    assert {kind.__name__ for kind in kinds} == set(document["components"]["messages"])
    assert set(REPLIES) == set(get_args(ClientMessage))
    assert {reply for replies in REPLIES.values() for reply in replies} | set(TOLD) == set(get_args(ServerMessage))
    assert document["channels"]["socket"]["address"] == ADDRESS == PATH
    for kind in kinds:
        payload = document["components"]["messages"][kind.__name__]["examples"][0]["payload"]
        VALIDATOR(standalone(kind)).validate(payload)
        assert payload["type"] == kind.__struct_config__.tag


async def test_page_for_people() -> None:
    """The page names every path and every code, and holds no script and nothing from elsewhere."""
    response = await Documents(operations_of(demo=True)).read_docs()
    assert isinstance(response, Response)
    page = bytes(response.body).decode()
    for path in DOCUMENT["paths"]:
        assert f"<code>{path}</code>" in page
    for code in Code:
        assert f'id="problem-{code}"' in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!/|#)', page)
    assert "default-src 'self'" in response.headers["content-security-policy"]


def _refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in _refs(value)]
    return [ref for value in part for ref in _refs(value)] if isinstance(part, list) else []

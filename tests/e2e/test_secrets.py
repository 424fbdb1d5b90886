"""No token, signing key or payout detail stands in a log, nor does a token in an address that the server makes."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.wire.messages import Role
from tests.gateways import fresh_id
from tests.serving import Serve

IBAN: Final = "GB33BUKB20201555555555"
ROLES: Final[tuple[Role, ...]] = ("viewer", "creator", "overlay", "operator")
PARTS: Final = {"room": "demo", "creator": "demo-creator", "user": "demo-creator", "provider": "sandbox", "jti": "none"}
JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A demo that logs all that it can."""
    serve = Serve(tmp_path / "var", "--demo", "--log-level", "debug")
    serve.start()
    yield serve
    serve.stop()


def test_secrets_stay_out_of_logs_and_addresses(serve: Serve) -> None:
    """After every kind of request, by every role, with good, bad and misplaced tokens, at the most talkative level."""
    tokens = [serve.signer.token("demo-creator", role) for role in ROLES]
    tokens += [tokens[0][:-4] + "AAAA", "x" * 40_000, serve.signer.token("demo-creator", "viewer") + "\xe9"]
    told = [_ask_everything(serve.url, token) for token in tokens]
    asyncio.run(_open_sockets(serve, tokens))
    serve.stop()
    # What `serve` prints for whoever starts it is no log: an overlay's address, whose token stands behind `#`.
    logs = re.sub(r"#token=\S+", "", serve.output) + "".join(
        path.read_text(errors="replace") for path in serve.data_dir.rglob("*log*") if path.is_file()
    )
    assert len(logs) > 200
    secret = (serve.data_dir / "secret.key").read_text().strip()
    assert JWT.findall(logs) == []
    assert [word for word in (secret, IBAN, "x" * 100, "AAAA") if word in logs] == []
    addresses = [value for answers in told for value in _addresses(answers)]
    assert any("#token=" in address for address in addresses)
    assert [address for address in addresses if JWT.search(address.partition("#")[0])] == []


def _ask_everything(url: str, token: str) -> list[Any]:
    answers = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        document = client.get("/openapi.json").json()
        authorization = {b"Authorization": f"Bearer {token}".encode("latin-1")}
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                parts = {name: PARTS.get(name, fresh_id()) for name in re.findall(r"{(\w+)}", path)}
                response = client.request(
                    method, path.format(**parts), headers=authorization, json=_body(document, operation)
                )
                if response.headers.get("content-type", "").partition(";")[0] == "application/json":
                    answers.append([response.json(), *response.headers.values()])
                assert response.status_code < 500 or response.status_code == 503, (path, response.text)
        # Where no token belongs.
        client.get("/v1/wallet", params={"token": token[:4_000]})
        client.get(f"/v1/rooms/{token[:2_000]}".encode("latin-1", "ignore").decode("latin-1"))
        client.post("/v1/gifts", headers=authorization, content=b"[" * 5_000)
    return answers


def _body(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None or "$ref" not in content.get("schema", {}):
        return None
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    example = dict(schema["examples"][0])
    if "id" in example:
        example["id"] = fresh_id()
    if example.get("creator") == "ada":
        example["creator"] = "demo-creator"
    return example


async def _open_sockets(serve: Serve, tokens: list[str]) -> None:
    for token in tokens:
        for url in (serve.ws_url, f"{serve.ws_url}?token={token[:500]}", f"{serve.ws_url}/{token[:500]}"):
            try:
                async with connect(url.encode("ascii", "ignore").decode(), proxy=None) as socket:
                    await socket.send(json.dumps({"type": "hello", "ref": "1", "token": token[:4_096]}))
                    await socket.recv()
                    await socket.send(json.dumps({"type": "hello", "token": token}))
                    await socket.recv()
            except (ConnectionClosed, InvalidStatus):
                continue


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, held in value.items():
            if name != "token":
                yield from _addresses(held)
    elif isinstance(value, list):
        for held in value:
            yield from _addresses(held)
    elif isinstance(value, str) and ("/" in value or "#" in value):
        yield value

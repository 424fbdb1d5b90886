"""The page at /docs: the OpenAPI document as plain HTML, made here. No script, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec

from gateway.wire.codes import FACTS, Code
from gateway.wire.schema import Schema


def docs_page(document: Schema) -> str:
    """The whole page."""
    info = document["info"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(path, method, operation, document))
    sections = "".join(
        f'<section id="tag-{tag["name"]}"><h2>{_text(tag["name"])}</h2><p>{_text(tag["description"])}</p>'
        f"{''.join(by_tag[tag['name']])}</section>"
        for tag in document["tags"]
    )
    links = "".join(f'<a href="#tag-{tag["name"]}">{_text(tag["name"])}</a>' for tag in document["tags"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{_text(info["title"])} API</title><link rel="icon" type="image/svg+xml" href="/static/icons/gift.svg">'
        '<link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<header><h1>{_text(info['title'])} API <small>{_text(info['version'])}</small></h1>"
        f"<p>{_marked(info['description'])}</p>"
        '<p>For machines: <a href="/openapi.json">openapi.json</a>, and for the WebSocket '
        '<a href="/asyncapi.json">asyncapi.json</a>.</p>'
        f'<nav>{links}<a href="#codes">codes</a></nav></header><main>{sections}{_codes()}</main></body></html>'
    )


def _operation(path: str, method: str, operation: Schema, document: Schema) -> str:
    parts = [
        f'<details id="{operation["operationId"]}"><summary><b class="{method}">{method.upper()}</b> '
        f"<code>{_text(path)}</code> <span>{_marked(operation['summary'])}</span></summary>",
        f"<p>{_marked(operation['description'])}</p>" if operation["description"] else "",
        _parameters(operation["parameters"]),
    ]
    body = operation.get("requestBody")
    if body:
        parts.append(_content("Body", body["content"], document))
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            content = _content("Answer", answer.get("content", {}), document)
            # What an answer of fields is stands with its fields.
            told = answer["description"]
            parts.append(f"<h4>{status}</h4>{'' if _marked(told) in content else f'<p>{_marked(told)}</p>'}{content}")
        else:
            parts.append(f'<p class="refusal"><b>{status}</b> {_marked(answer["description"])}</p>')
    return "".join((*parts, "</details>"))


def _parameters(parameters: list[Schema]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{_text(parameter['name'])}</code></td><td>{_text(parameter['in'])}</td>"
        f"<td>{_text(_type(parameter['schema']))}</td><td>{_marked(parameter.get('description', ''))}</td></tr>"
        for parameter in parameters
    )
    return f"<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>{rows}</table>"


def _content(title: str, content: Schema, document: Schema) -> str:
    parts: list[str] = []
    for media_type, told in content.items():
        schema = told["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        if not name:
            parts.append(f"<p>{title}: <code>{_text(media_type)}</code></p>")
            continue
        struct = document["components"]["schemas"][name]
        parts.append(f"<p>{title}: {_text(name)}. {_marked(struct.get('description', ''))}</p>")
        parts.append(_fields(struct))
        for example in struct.get("examples", ()):
            parts.append(f"<pre>{_text(_json(example))}</pre>")
    return "".join(parts)


def _fields(struct: Schema) -> str:
    required = struct.get("required", [])
    rows = "".join(
        f"<tr><td><code>{_text(name)}</code>{'' if name in required else ' <i>optional</i>'}</td>"
        f"<td>{_text(_type(field))}</td><td>{_marked(field.get('description', ''))}</td></tr>"
        for name, field in struct.get("properties", {}).items()
    )
    return f"<table><tr><th>field</th><th>type</th><th></th></tr>{rows}</table>" if rows else ""


def _type(schema: Schema) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " ".join((str(schema.get("type", "anything")), *_bounds(schema)))


def _bounds(schema: Schema) -> Iterator[str]:
    words = {"minimum": "from", "maximum": "to", "minLength": "of at least", "maxLength": "of at most"}
    for key, word in words.items():
        if key in schema:
            yield f"{word} {schema[key]}"
    if "default" in schema and schema["default"] is not None:
        yield f"(default {schema['default']})"


def _codes() -> str:
    rows = "".join(
        f'<tr id="problem-{code}"><td><code>{code}</code></td><td>{FACTS[code].status}</td>'
        f"<td>{'yes' if FACTS[code].retryable else 'no'}</td><td>{_text(FACTS[code].title)}</td></tr>"
        for code in Code
    )
    return (
        '<section id="codes"><h2>codes</h2><p>Why something was refused; over HTTP and on the WebSocket alike.</p>'
        f"<table><tr><th>code</th><th>status</th><th>retryable</th><th></th></tr>{rows}</table></section>"
    )


def _text(value: object) -> str:
    return escape(str(value))


def _marked(text: str) -> str:
    """Text in which `words` are code."""
    parts = escape(text).split("`")
    return "".join(part if index % 2 == 0 else f"<code>{part}</code>" for index, part in enumerate(parts))


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()

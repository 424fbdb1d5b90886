"""JSON Schema (2020-12) of the public protocol, made from its Structs.

msgspec gives types and bounds; the lines under `Attributes:` of a Struct's docstring become the descriptions of its
fields, so that what a reader of the code learns, a reader of the documents learns too.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

Schema = dict[str, Any]
"""A JSON Schema, or any other part of a generated document: JSON objects are dicts by nature."""

_FIELD_LINE = re.compile(r"^(?P<names>[a-z_]+(?:, [a-z_]+)*): (?P<text>.*)$")


def components(types: Iterable[Any], ref_template: str) -> tuple[list[Schema], dict[str, Schema]]:
    """Schemas of some types, and those of all Structs that they are made of.

    Args:
        types: Structs, or anything else that msgspec can encode.
        ref_template: how a Struct is referred to, such as `#/components/schemas/{name}`.

    Returns:
        One schema for each type, in order (a reference where it is a Struct), and the Structs' schemas by name.
    """
    listed = list(types)
    schemas, named = msgspec.json.schema_components(listed, ref_template=ref_template)
    for schema in named.values():
        _describe(schema)
    return list(schemas), dict(named)


def standalone(kind: Any) -> Schema:
    """One schema of a type that refers to nothing outside of itself: what a validator takes."""
    (schema,), named = components([kind], "#/$defs/{name}")
    return {**schema, "$defs": named}


def _describe(schema: Schema) -> None:
    """Split a Struct's docstring into its own description and those of its fields."""
    text, _, attributes = str(schema.get("description", "")).partition("Attributes:\n")
    if text:
        schema["description"] = _flowing(text)
    properties = schema.get("properties", {})
    for names, described in _fields(attributes):
        for name in names:
            if name in properties:
                properties[name] = {**properties[name], "description": described}


def _fields(attributes: str) -> list[tuple[list[str], str]]:
    found: list[tuple[list[str], str]] = []
    for line in filter(None, map(str.strip, attributes.splitlines())):
        match = _FIELD_LINE.match(line)
        if match:
            found.append((match["names"].split(", "), match["text"]))
        elif found:
            names, text = found[-1]
            found[-1] = (names, f"{text} {line}")
    return found


def _flowing(text: str) -> str:
    """Text without the line breaks of the source; paragraphs stay."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

"""TypeScript types of the public protocol, so that the pages are compiled against what the server really says.

`python -m gateway.wire.typescript` writes `wire.ts` (the WebSocket) and `wire_http.ts` into `gateway/web/src`; a test
compares the files with the Structs. Fields with a default may be left out in both directions, so they are optional.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec.inspect as shapes
from msgspec import Struct

from gateway.wire import messages
from gateway.wire.codes import FACTS, CloseCode, Code, NoticeCode
from gateway.wire.http import admin, agency, creator, demo, public, rails, users, viewer

FOLDER: Final = Path(__file__).parent.parent / "web" / "src"
HEADER: Final = "// {subject}, version 1. Written by `python -m gateway.wire.typescript`: do not edit.\n"

HTTP: Final = (public, viewer, creator, agency, admin, rails, users, demo)
UNIONS: Final = {
    "ClientMessage": messages.ClientMessage,
    "Event": messages.Event,
    "ServerMessage": messages.ServerMessage,
}
NUMBERS: Final = {
    "AMOUNT_MAX": messages.AMOUNT_MAX,
    "COUNT_MAX": messages.COUNT_MAX,
    "MESSAGE_LENGTH_MAX": messages.MESSAGE_LENGTH_MAX,
}


class Untranslatable(Exception):
    """A field has a type that TypeScript gets no word for; extend `_type_text`."""


def files() -> dict[Path, str]:
    """Every generated file with its text, the same for the same Structs."""
    return {FOLDER / "wire.ts": _messages_text(), FOLDER / "wire_http.ts": _http_text()}


def _messages_text() -> str:
    parts = [HEADER.format(subject="Messages of the public protocol"), *_numbers(), *_codes()]
    parts += map(_interface, _structs(messages))
    parts += [f"export type {name} = {_union(union)};\n" for name, union in UNIONS.items()]
    return "\n".join(parts)


def _http_text() -> str:
    interfaces = [_interface(struct) for module in HTTP for struct in _structs(module)]
    used = [s.__name__ for s in _structs(messages) if any(re.search(rf"[:(|] ?{s.__name__}\b", i) for i in interfaces)]
    return "\n".join(
        [
            HEADER.format(subject="Bodies and answers of the public protocol over HTTP"),
            f'import type {{ {", ".join(used)} }} from "./wire.ts";\n',
            *interfaces,
        ]
    )


def _numbers() -> Iterator[str]:
    yield "".join(f"export const {name} = {value};\n" for name, value in NUMBERS.items())


def _codes() -> Iterator[str]:
    yield f"export type Code =\n{_literals(Code)};\n"
    yield f"export type NoticeCode =\n{_literals(NoticeCode)};\n"
    retryable = "".join(f'  "{code}",\n' for code in Code if FACTS[code].retryable)
    yield (
        "/** Codes after which the same request may succeed later. */\n"
        f"export const RETRYABLE: readonly Code[] = [\n{retryable}];\n"
    )
    numbers = "".join(f"  {code.name}: {code.value},\n" for code in CloseCode)
    yield f"/** 4000-4499: reconnect; 4500-4999: do not. */\nexport const CLOSE = {{\n{numbers}}} as const;\n"


def _literals(values: Iterable[str]) -> str:
    return "\n".join(f'  | "{value}"' for value in values)


def _structs(module: ModuleType) -> Iterator[type[Struct]]:
    """Every Struct that a module defines, in the order of its text."""
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, Struct) and value.__module__ == module.__name__:
            yield value


def _interface(struct: type[Struct]) -> str:
    shape = shapes.type_info(struct)
    if not isinstance(shape, shapes.StructType):
        raise Untranslatable(struct.__name__)
    lines = [f"/** {(struct.__doc__ or '').partition(chr(10))[0]} */", f"export interface {struct.__name__} {{"]
    if shape.tag_field is not None:
        lines.append(f'  {shape.tag_field}: "{shape.tag}";')
    for field in shape.fields:
        optional = "" if field.required else "?"
        lines.append(f"  {field.encode_name}{optional}: {_type_text(field.type)};")
    return "\n".join([*lines, "}", ""])


def _union(union: object) -> str:
    return _type_text(shapes.type_info(union))


def _type_text(shape: shapes.Type) -> str:
    match shape:
        case shapes.Metadata():
            return _type_text(shape.type)
        case shapes.StrType() | shapes.DateType():
            return "string"
        case shapes.IntType() | shapes.FloatType():
            return "number"
        case shapes.BoolType():
            return "boolean"
        case shapes.NoneType():
            return "null"
        case shapes.LiteralType():
            return " | ".join(f'"{value}"' for value in shape.values)
        case shapes.StructType():
            return shape.cls.__name__
        case shapes.ListType():
            inner = _type_text(shape.item_type)
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        case shapes.DictType():
            return f"Record<{_type_text(shape.key_type)}, {_type_text(shape.value_type)}>"
        case shapes.RawType():
            return "unknown"
        case shapes.UnionType():
            return " | ".join(_type_text(member) for member in shape.types)
        case _:
            raise Untranslatable(repr(shape))


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")

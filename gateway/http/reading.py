"""From what a client sent to values, or to a problem that names the field at fault. Nothing unread is believed."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from gateway.http.problems import Problem
from gateway.wire.codes import Code

StructT = TypeVar("StructT", bound=msgspec.Struct)
_MISSING: Final = re.compile(r"missing required field `(?P<name>[^`]+)`")


async def json_body(request: Request, kind: type[StructT], bytes_max: int) -> StructT:
    """The body as a Struct. Types are not bent: `"1"` is no integer.

    Raises:
        Problem: not JSON by its header (415) or by its content (400), too large (413), or a wrong field (422).
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE)
    content = await raw_body(request, bytes_max)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as exc:
        raise _unprocessable(str(exc), "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Problem(Code.BAD_REQUEST, f"The body is not valid JSON: {exc}") from None


async def raw_body(request: Request, bytes_max: int) -> bytes:
    """The body as it came.

    Raises:
        Problem: more than `bytes_max` bytes; no more than that is read.
    """
    too_large = Problem(Code.PAYLOAD_TOO_LARGE, f"At most {bytes_max} bytes are read.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > bytes_max:
            raise too_large
    return bytes(content)


def query(parameters: Mapping[str, str], kind: type[StructT]) -> StructT:
    """What stands behind `?` as a Struct; unknown parameters are passed over.

    Raises:
        Problem: a parameter with a wrong value.
    """
    try:
        return msgspec.convert(dict(parameters), kind, strict=False)
    except msgspec.ValidationError as exc:
        raise _unprocessable(str(exc), "") from None


def path_part(text: str, name: str, kind: Any) -> object:
    """One part of the path.

    Raises:
        Problem: it cannot be the name or id of anything.
    """
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise Problem(Code.UNPROCESSABLE, str(exc), field=name) from None


def _unprocessable(message: str, root: str) -> Problem:
    """msgspec says where a wrong value stands, but of a missing one only the object that lacks it."""
    text, _, at = message.partition(" - at `")
    place = at.rstrip("`") or "$"
    missing = _MISSING.search(text)
    if missing:
        place = f"{place}.{missing['name']}"
    return Problem(Code.UNPROCESSABLE, f"{text}.", field=place if root else place.removeprefix("$."))

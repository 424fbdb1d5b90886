"""Plain values, as TOML gives them, into frozen Structs.

`msgspec.convert` stops at the first fault. This walks the Structs itself, converts each field alone, and so meets every
fault of a file; unknown keys are faults too.
"""

from typing import Any, TypeVar, get_args, get_origin

import msgspec

from catalog.faults import Fault

StructT = TypeVar("StructT", bound=msgspec.Struct)
_AT_FAULT = object()


class Reader:
    """Reads one file; `faults` gathers what was wrong.

    Args:
        file: its name, for the faults.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def read(self, struct: type[StructT], raw: object) -> StructT | None:
        """A Struct from the file's table; None when there were faults."""
        value = self._struct(struct, raw, "")
        return None if self.faults else value  # type: ignore[return-value]

    def _value(self, kind: Any, raw: object, key: str) -> object:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, raw, key)
        if get_origin(kind) is tuple and isinstance(raw, list):
            item = get_args(kind)[0]
            return tuple(self._value(item, entry, f"{key}[{place}]") for place, entry in enumerate(raw))
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as exc:
            message, _, inner = str(exc).partition(" - at `$")
            self._fault(key + inner.rstrip("`"), message)
            return _AT_FAULT

    def _struct(self, struct: type[msgspec.Struct], raw: object, key: str) -> object:
        if not isinstance(raw, dict):
            self._fault(key, f"Expected a table, got `{type(raw).__name__}`")
            return _AT_FAULT
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        for name in raw.keys() - fields.keys():
            self._fault(_join(key, name), "unknown key")
        values: dict[str, object] = {}
        for name, field in fields.items():
            if name in raw:
                values[field.name] = self._value(field.type, raw[name], _join(key, name))
            elif field.required:
                self._fault(_join(key, name), "is missing")
                values[field.name] = _AT_FAULT
        return _AT_FAULT if _AT_FAULT in values.values() else struct(**values)

    def _fault(self, key: str, message: str) -> None:
        self.faults.append(Fault(self.file, key, message))


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name

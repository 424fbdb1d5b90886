"""The reference of all settings as a page of Markdown, made from the code, so that it cannot say anything else.

What a setting means stands in the docstring of its section, its bounds in its type.
"""

import inspect
import re
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from gateway.run.settings.config import DEMO_DEFAULTS, Config
from gateway.run.settings.sources import SettingPath, settings, variable_of

_INTRODUCTION: Final = """# Configuration

Made from the code by `giftwire config reference`; a test compares them.

A setting comes from the first of these that names it: a flag of the command, the environment, the file that `--config`
or `GIFTWIRE_CONFIG` names, its default. In the file, which is TOML, `ledger.partitions` is `partitions` in the table
`[ledger]`. A variable that ends in `_FILE` names a file that holds the value. A setting that does not exist and a value
out of its bounds stop the start, and all faults are told at once: `giftwire config check`. `giftwire config show` tells
what is in force, and why. A name with `_ms` is in milliseconds, with `_bytes` in bytes, with `_bp` in hundredths of a
percent.
"""
_ATTRIBUTE: Final = re.compile(r"^([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)$")


def reference() -> str:
    """The page."""
    parts = [_INTRODUCTION, _table("Everything", Config, [path for path in settings() if len(path) == 1])]
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, msgspec.Struct):
            paths = [path for path in settings() if path[0] == field.name]
            parts.append(_table(f"[{field.name}]", type(field.default), paths))
    return "\n".join(parts)


def meanings(section: type[msgspec.Struct]) -> dict[str, str]:
    """What each setting of a section means, by its name, from the section's docstring."""
    found: dict[str, str] = {}
    names: list[str] = []
    _, _, attributes = (inspect.getdoc(section) or "").partition("Attributes:\n")
    for line in inspect.cleandoc(attributes).splitlines():
        match = _ATTRIBUTE.match(line)
        if match:
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def _table(title: str, section: type[msgspec.Struct], paths: list[SettingPath]) -> str:
    lines = [f"## {title}", "", "| setting | default | values | meaning |", "|---|---|---|---|"]
    known, texts = settings(), meanings(section)
    for path in paths:
        field = known[path]
        default = "" if field.default is None else f"`{_shown(field.default)}`"
        if path in DEMO_DEFAULTS:
            default += f" (demo: `{_shown(DEMO_DEFAULTS[path])}`)"
        name = f"`{'.'.join(path)}`<br>`{variable_of(path)}`"
        lines.append(f"| {name} | {default} | {_values(field.type)} | {texts[path[-1]]} |".replace("\n", " "))
    return "\n".join(lines) + "\n"


def _values(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        return ", ".join(filter(None, (_bounds(base, meta) for meta in metas if isinstance(meta, Meta))))
    kinds = [one for one in get_args(kind) if one is not type(None)]
    if kinds:
        return _values(kinds[0])
    return {bool: "`true`, `false`", str: "text"}.get(kind, "a path" if kind.__name__ == "Path" else "")


def _bounds(base: Any, meta: Meta) -> str:
    if base is str:
        least, most = meta.min_length or 0, meta.max_length
        length = f"text of {least} to {most} characters" if most else "text"
        return f"{length} like `{meta.pattern}`".replace("|", "\\|") if meta.pattern else length
    low = f"{_shown(meta.ge)} to" if meta.ge is not None else f"above {_shown(meta.gt)} to"
    return f"{low} {_shown(meta.le)}"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

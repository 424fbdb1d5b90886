"""Where settings come from: flags, then environment, then file, then defaults; every fault is told at once.

A setting has a path: `("port",)` or `("ledger", "partitions")`. It is `port` or `[ledger] partitions` in the file,
`GIFTWIRE_PORT` or `GIFTWIRE_LEDGER_PARTITIONS` in the environment, where `…_FILE` names a file that holds the value.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from gateway.run.settings.config import DEMO_DEFAULTS, SECRETS, Config

SettingPath = tuple[str, ...]
PREFIX: Final = "GIFTWIRE_"
CONFIG_VARIABLE: Final = "GIFTWIRE_CONFIG"
SECRET_FILE_BYTES_MAX: Final = 64 * 1024
_NOT_SETTINGS: Final = frozenset({("ledger", "redis_url"), ("ledger", "database_url")})


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with the configuration: where it stands, and what is wrong."""

    place: str
    message: str


class ConfigFaults(Exception):
    """The configuration cannot be used.

    Attributes:
        faults: all of them, in the order of the sources.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(f"{fault.place}: {fault.message}" for fault in faults))
        self.faults = faults


class Loaded(msgspec.Struct, frozen=True):
    """A configuration, and for each setting that is no default the place it comes from."""

    config: Config
    origins: Mapping[SettingPath, str]


class _Given(msgspec.Struct):
    """A value as a source gives it; `text` when it is text that stands for the value."""

    value: Any
    place: str
    text: bool


def settings() -> dict[SettingPath, msgspec.structs.FieldInfo]:
    """Every setting there is, by its path."""
    found: dict[SettingPath, msgspec.structs.FieldInfo] = {}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, msgspec.Struct):
            for inner in msgspec.structs.fields(field.default):
                found[field.name, inner.name] = inner
        else:
            found[field.name,] = field
    return {path: field for path, field in found.items() if path not in _NOT_SETTINGS}


def variable_of(path: SettingPath) -> str:
    """The environment variable of a setting."""
    return PREFIX + "_".join(path).upper()


def load(flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None) -> Loaded:
    """Gather the configuration.

    Args:
        flags: values from the command line by setting name; None where a flag was not given.
        environ: the environment; only names that begin with GIFTWIRE_ are looked at.
        file: a TOML file, if any; else the one that GIFTWIRE_CONFIG names.

    Raises:
        ConfigFaults: with every unknown key and every wrong value of all sources.
    """
    known = settings()
    faults: list[Fault] = []
    if file is None and CONFIG_VARIABLE in environ:
        file = Path(environ[CONFIG_VARIABLE])
    given: dict[SettingPath, _Given] = {}
    if file is not None:
        given |= _from_file(file, known, faults)
    given |= _from_environment(environ, known, faults)
    given |= {
        (name,): _Given(value, "--" + name.replace("_", "-"), text=isinstance(value, str))
        for name, value in flags.items()
        if value is not None
    }
    values: dict[SettingPath, Any] = {}
    for path, entry in given.items():
        try:
            values[path] = _convert(entry, known[path])
        except msgspec.ValidationError as exc:
            faults.append(Fault(entry.place, _reason(exc)))
    if faults:
        raise ConfigFaults(faults)
    origins = {path: entry.place for path, entry in given.items()}
    if values.get(("demo",)):
        origins = dict.fromkeys(DEMO_DEFAULTS, "--demo") | origins
        values = dict(DEMO_DEFAULTS) | values
    return Loaded(_build(values), origins)


def shown(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every setting as (name, value, where from), secrets hidden."""
    rows = []
    for path in settings():
        value: Any = loaded.config
        for name in path:
            value = getattr(value, name)
        text = "" if value is None else str(value)
        if path[-1] in SECRETS and value is not None:
            text = "(hidden)"
        rows.append((".".join(path), text, loaded.origins.get(path, "default")))
    return rows


def _build(values: Mapping[SettingPath, Any]) -> Config:
    top: dict[str, Any] = {path[0]: value for path, value in values.items() if len(path) == 1}
    for field in msgspec.structs.fields(Config):
        inside = {path[1]: value for path, value in values.items() if len(path) == 2 and path[0] == field.name}
        if inside:
            top[field.name] = msgspec.structs.replace(field.default, **inside)
    return Config(**top)


def _from_file(
    file: Path, known: Mapping[SettingPath, msgspec.structs.FieldInfo], faults: list[Fault]
) -> dict[SettingPath, _Given]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        faults.append(Fault(str(file), str(exc)))
        return {}
    sections = {path[0] for path in known if len(path) == 2}
    given: dict[SettingPath, _Given] = {}
    for key, value in tree.items():
        inside = value if key in sections and isinstance(value, dict) else None
        entries = {(key,): value} if inside is None else {(key, inner): v for inner, v in inside.items()}
        for path, entry in entries.items():
            place = f"{file}: {'.'.join(path)}"
            if path in known:
                given[path] = _Given(entry, place, text=False)
            else:
                faults.append(Fault(place, "no such setting"))
    return given


def _from_environment(
    environ: Mapping[str, str], known: Mapping[SettingPath, msgspec.structs.FieldInfo], faults: list[Fault]
) -> dict[SettingPath, _Given]:
    by_variable = {variable_of(path): path for path in known}
    given: dict[SettingPath, _Given] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE):
        path = by_variable.get(variable)
        text = environ[variable]
        if path is None and variable.endswith("_FILE"):
            path = by_variable.get(variable.removesuffix("_FILE"))
            if path is not None:
                try:
                    text = _read_secret(Path(text))
                except (OSError, ValueError) as exc:
                    faults.append(Fault(variable, str(exc)))
                    continue
        if path is None:
            faults.append(Fault(variable, "no such setting"))
        elif path in given:
            faults.append(Fault(variable, f"{given[path].place} sets the same"))
        else:
            given[path] = _Given(text, variable, text=True)
    return given


def _read_secret(file: Path) -> str:
    with file.open("rb") as handle:
        content = handle.read(SECRET_FILE_BYTES_MAX + 1)
    if len(content) > SECRET_FILE_BYTES_MAX:
        raise ValueError(f"{file} is larger than {SECRET_FILE_BYTES_MAX} bytes")
    return content.decode().strip()


def _convert(entry: _Given, field: msgspec.structs.FieldInfo) -> Any:
    kinds = get_args(field.type) or (field.type,)
    if Path in kinds:
        text = msgspec.convert(str(entry.value) if isinstance(entry.value, Path) else entry.value, str)
        if not text:
            raise msgspec.ValidationError("Expected a path, got nothing")
        return Path(text)
    return msgspec.convert(entry.value, field.type, strict=not entry.text)


def _reason(exc: msgspec.ValidationError) -> str:
    reason = str(exc)
    return reason[0].lower() + reason[1:]

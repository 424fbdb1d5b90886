"""Where the configuration of a running `serve` comes from, and how a change of it is taken in or refused.

What was accepted last stands in a file of its own, which the gateways and the worker read. So an edit that is half
done, or wrong, touches nobody: not even a process that dies meanwhile and is started again.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from catalog.faults import CatalogInvalid
from catalog.load import load_catalog
from gateway.run.keeping.folder import DataFolder, put_in_place
from gateway.run.settings.config import Config
from gateway.run.settings.options import Unusable, loaded, selling
from gateway.run.settings.sources import CONFIG_VARIABLE

ACCEPTED: Final = "accepted.toml"
CANDIDATE: Final = "candidate.toml"
FORMER: Final = "former.toml"
FIXED: Final = (
    *(("data_dir",), ("host",), ("port",), ("demo",), ("signing_key",), ("redis_url",), ("database_url",)),
    *(("embedded",), ("ledger", "partitions"), ("ledger", "id_window_ms"), ("ledger", "id_bucket_ms")),
)
"""Settings, or sections, of what is not replaced: the port, the servers, and what is stored."""


class ConfigRefused(Exception):
    """A changed configuration cannot be taken in; the message says why. What was accepted before goes on."""


class ConfigSource:
    """The file and the flags that a `serve` was started with.

    Args:
        file: as it was given; None where the environment may name one.
        flags: by the settings' names.

    Attributes:
        accepted: the file that the parts read; None when there is none.
    """

    def __init__(self, folder: DataFolder, file: Path | None, flags: Mapping[str, Any]) -> None:
        named = os.environ.get(CONFIG_VARIABLE)
        self._file = file if file is not None or named is None else Path(named)
        self._flags = dict(flags)
        self._candidate = folder.run / CANDIDATE
        self._former = folder.run / FORMER
        self.accepted = None if self._file is None else folder.run / ACCEPTED

    def accept(self) -> None:
        """Let the parts read what the file holds now.

        Raises:
            Unusable: it cannot be read any more.
        """
        if self._file is not None and self.accepted is not None:
            self._copy(self._file, self.accepted)

    def reread(self, before: Config) -> Config:
        """The configuration as it is given now; the parts do not read it yet.

        Args:
            before: as it was accepted last.

        Raises:
            ConfigRefused: it has faults, its catalogue has, or it changes what cannot change now.
        """
        try:
            config = self._loaded()
            load_catalog(config.catalog_file)
        except Unusable as exc:
            raise ConfigRefused(exc.message.replace(str(self._candidate), str(self._file))) from exc
        except CatalogInvalid as exc:
            raise ConfigRefused(str(exc)) from exc
        changed = [".".join(path) for path in FIXED if _at(config, path) != _at(before, path)]
        if changed:
            raise ConfigRefused(f"{', '.join(changed)} cannot change while this runs: stop it and start it anew")
        return config

    def take(self) -> None:
        """Let the parts read what `reread` read last."""
        if self.accepted is not None:
            put_in_place(self._former, self.accepted.read_bytes())
            self._candidate.replace(self.accepted)

    def put_back(self) -> None:
        """Let them read again what they read before `take`."""
        if self.accepted is not None:
            self._former.replace(self.accepted)

    def _loaded(self) -> Config:
        if self._file is None:
            return selling(loaded(None, self._flags).config)
        self._copy(self._file, self._candidate)
        return selling(loaded(self._candidate, self._flags).config)

    def _copy(self, file: Path, to: Path) -> None:
        try:
            put_in_place(to, file.read_bytes())
        except OSError as exc:
            raise Unusable(f"{file} cannot be read: {exc.strerror}") from exc


def _at(config: Config, path: tuple[str, ...]) -> object:
    value: object = config
    for name in path:
        value = getattr(value, name)
    return value

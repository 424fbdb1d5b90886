"""What the docs list is what the code has."""

import msgspec
import pytest

from gateway.run.settings.config import Config
from gateway.run.settings.reference import meanings, reference
from tests.repo.sources import ROOT

SECTIONS = [
    Config,
    *(type(field.default) for field in msgspec.structs.fields(Config) if isinstance(field.default, msgspec.Struct)),
]


def test_page_of_the_settings() -> None:
    """docs/configuration.md is what `giftwire config reference` prints."""
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_meanings_of_a_section(section: type[msgspec.Struct]) -> None:
    """Every setting is explained, and nothing is explained that is no setting."""
    nested = {field.name for field in msgspec.structs.fields(section) if isinstance(field.default, msgspec.Struct)}
    assert meanings(section).keys() == {field.name for field in msgspec.structs.fields(section)} - nested

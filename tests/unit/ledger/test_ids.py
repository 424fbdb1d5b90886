"""UUIDv7: time in, time out, and nothing but version 7."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import format_id, id_time_ms, new_id, parse_id


@given(st.integers(0, 2**48 - 1))
def test_new_id_round_trip(now_ms: int) -> None:
    """A fresh id is a UUIDv7 of the RFC's variant that carries its time."""
    fresh = new_id(now_ms)
    parsed = uuid.UUID(bytes=fresh)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert id_time_ms(fresh) == now_ms
    assert parse_id(format_id(fresh)) == fresh


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0" * 36,
        "8d2a9c1e-5b7f-4c3d-9e1a-2f6b8c0d4e7a",
        "8d2a9c1e-5b7f-7c3d-1e1a-2f6b8c0d4e7a",
        "8d2a9c1e05b7f-7c3d-9e1a-2f6b8c0d4e7a",
        "8d2a9c1e-5b7f-7c3d-9e1a-2f6b8c0d4e7g",
        "8d2a9c1e-5b7f-7c3d-9e1a-2f6b8c0d4e  ",
        "8d2a9c1e-5b7f-7c3d-9e1a-2f6b8c0d4e7a0",
    ],
    ids=["empty", "short", "no dashes", "version 4", "other variant", "a dash less", "no digit", "spaces", "long"],
)
def test_parse_id_of_another_kind(text: str) -> None:
    """What is not a UUIDv7 is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_id(text)

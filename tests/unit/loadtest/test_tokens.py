"""Users' tokens are what the server reads."""

from pathlib import Path

import jwt
import pytest

from loadtest.tokens import KeyUnreadable, TokenSigner

KEY = b"k" * 48


def test_token_holds_the_documented_claims(tmp_path: Path) -> None:
    """The key file's last newline is no part of the key; an overlay's token names its room."""
    path = tmp_path / "secret.key"
    path.write_bytes(KEY + b"\n")
    token = TokenSigner.from_file(path, ttl_s=60).token("u", "overlay", room="r", level=3)
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    assert {name: claims[name] for name in ("sub", "role", "room", "name", "level")} == {
        "sub": "u",
        "role": "overlay",
        "room": "r",
        "name": "u",
        "level": 3,
    }
    assert claims["exp"] - claims["iat"] == 60


def test_token_without_a_room_has_no_such_claim() -> None:
    """A viewer may enter any room."""
    assert "room" not in jwt.decode(TokenSigner(KEY).token("u", "viewer"), KEY, algorithms=["HS256"])


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_unusable_key_is_told(tmp_path: Path, content: bytes | None) -> None:
    """An absent or empty key file is refused in words."""
    path = tmp_path / "secret.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyUnreadable, match="key"):
        TokenSigner.from_file(path)

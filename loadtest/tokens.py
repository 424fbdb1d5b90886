"""Tokens for the users of a run, signed with the server's own key.

The protocol has no call that mints tokens for others, so the generator needs the key file of the data folder
(`secret.key`) or of the configuration; an operator's token alone cannot stand for a thousand viewers.
"""

import time
from pathlib import Path
from typing import Final

import jwt

from gateway.wire.messages import Role

_ALGORITHM: Final = "HS256"
KEY_FILE: Final = "secret.key"


class KeyUnreadable(Exception):
    """The signing key cannot be read."""


class TokenSigner:
    """Signs tokens that last as long as a run may.

    Args:
        key: as the server holds it.
        ttl_s: lifetime of each token.
    """

    def __init__(self, key: bytes, ttl_s: int = 6 * 3600) -> None:
        self._key = key
        self._ttl_s = ttl_s

    @classmethod
    def from_file(cls, path: Path, ttl_s: int = 6 * 3600) -> "TokenSigner":
        """A signer with the key of this file.

        Raises:
            KeyUnreadable: no such file, no right to read it, or it is empty.
        """
        try:
            key = path.read_bytes().strip()
        except OSError as exc:
            raise KeyUnreadable(f"cannot read the signing key: {exc}") from exc
        if not key:
            raise KeyUnreadable(f"the signing key {path} is empty")
        return cls(key, ttl_s)

    def token(self, user: str, role: Role, *, room: str | None = None, level: int = 0) -> str:
        """A token for one user."""
        now_s = int(time.time())
        claims: dict[str, str | int] = {
            "sub": user,
            "role": role,
            "name": user,
            "level": level,
            "iat": now_s,
            "exp": now_s + self._ttl_s,
        }
        if room is not None:
            claims["room"] = room
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

"""Tokens say who somebody is, or are refused."""

import base64

import jwt
import pytest

from gateway.auth import NAME_LENGTH_MAX, BadToken, TokenExpired, Tokens
from loadtest.tokens import TokenSigner

KEY = "k" * 40


def test_token_of_ours_says_who_it_is() -> None:
    """What was put into a token comes out of it."""
    tokens = Tokens(KEY)
    identity = tokens.verify(tokens.mint("overlay", "ada", name="Ada L.", room="demo", level=7, ttl_s=60))
    assert (identity.user, identity.role, identity.name, identity.room, identity.level) == (
        *("ada", "overlay", "Ada L.", "demo", 7),
    )
    assert identity.jti
    assert identity.expires_ms > 0


def test_token_of_the_load_generator_is_understood() -> None:
    """The generator signs on its own; both must agree on the claims."""
    identity = Tokens(KEY).verify(TokenSigner(KEY.encode()).token("ada", "viewer", level=3))
    assert (identity.user, identity.role, identity.level, identity.room) == ("ada", "viewer", 3, None)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("Ada\x00\x1b[2J", "Ada[2J"),
        ("\u202eada", "ada"),
        ("x" * 10_000, "x" * NAME_LENGTH_MAX),
        ("\ud800", "ada"),
        ("\u200b\u3164", "ada"),
        ("", "ada"),
    ],
    ids=["control", "bidi", "long", "surrogate", "invisible", "empty"],
)
def test_name_that_must_not_be_shown(name: str, seen: str) -> None:
    """What would disturb others is left out of it; where nothing is left, the id is shown."""
    claims = {"sub": "ada", "role": "viewer", "exp": 2**33, "name": name}
    assert Tokens(KEY).verify(jwt.encode(claims, KEY, algorithm="HS256")).name == seen


def test_country_of_a_token() -> None:
    """It comes out as it was put in; most tokens have none."""
    tokens = Tokens(KEY)
    assert tokens.verify(tokens.mint("viewer", "ada", country="DE")).country == "DE"
    assert tokens.verify(tokens.mint("viewer", "ada")).country is None
    with pytest.raises(ValueError, match="country"):
        tokens.mint("viewer", "ada", country="Germany")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "ada", "role": "viewer"},
        {"role": "viewer", "exp": 2**33},
        {"sub": "ada", "role": "king", "exp": 2**33},
        {"sub": "a b", "role": "viewer", "exp": 2**33},
        {"sub": "ada", "role": "viewer", "exp": 2**33, "room": "../etc"},
        {"sub": "ada", "role": "viewer", "exp": 2**33, "country": "de"},
        {"sub": "ada", "role": "viewer", "exp": 2**33, "jti": "\ud800"},
    ],
    ids=["no end", "nobody", "unknown role", "bad name", "bad room", "bad country", "odd jti"],
)
def test_token_with_wrong_claims_is_refused(claims: dict[str, str | int]) -> None:
    """A signature of ours is not enough."""
    with pytest.raises(BadToken):
        Tokens(KEY).verify(jwt.encode(claims, KEY, algorithm="HS256"))


def test_token_of_another_key_or_algorithm_is_refused() -> None:
    """Only our key with the pinned algorithm counts; an unsigned token does not."""
    claims = {"sub": "ada", "role": "operator", "exp": 2**33}
    for token in (
        jwt.encode(claims, "z" * 40, algorithm="HS256"),
        jwt.encode(claims, "k" * 64, algorithm="HS512"),
        jwt.encode(claims, None, algorithm="none"),
        "",
        "not.a.token",
        "\ud800.a.b",
        base64.urlsafe_b64encode(b"[" * 2_500).decode().rstrip("=") + ".e30.eA",
    ):
        with pytest.raises(BadToken):
            Tokens(KEY).verify(token)


def test_token_whose_time_is_over_is_told_apart() -> None:
    """An expired token is another case than a wrong one: the client may ask for a new one."""
    with pytest.raises(TokenExpired):
        Tokens(KEY).verify(jwt.encode({"sub": "ada", "role": "viewer", "exp": 1_000}, KEY, algorithm="HS256"))


@pytest.mark.parametrize(
    ("user", "ttl_s", "room"), [("a b", 60, None), ("ada", 0, None), ("ada", 10**9, None), ("ada", 60, "x y")]
)
def test_token_out_of_range_is_not_made(user: str, ttl_s: int, room: str | None) -> None:
    """A token that nobody could use is refused where it is made."""
    with pytest.raises(ValueError, match=r".+"):
        Tokens(KEY).mint("viewer", user, ttl_s=ttl_s, room=room)

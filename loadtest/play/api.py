"""The server's HTTP side as the generator needs it: set a run up, read the money after it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx
from msgspec import Struct

from loadtest.script.naming import grant_id
from loadtest.tokens import TokenSigner

REQUESTS_MAX: Final = 16
"""Requests in flight at a time."""
TRIES_MAX: Final = 6
TIMEOUT_S: Final = 30.0
AUDIT_S_MAX: Final = 300.0
"""An audit looks at everything, and one runs at a time: so long may ours take, and so long is another's waited for."""
BASIS_POINTS: Final = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class ApiError(Exception):
    """The server did not do what the run needs; the message says which call and what it answered."""


class CatalogGift(Struct, frozen=True):
    """What the run must know of a catalogue's gift."""

    id: str
    price_coins: int
    combo: bool


class AuditResult(Struct, frozen=True):
    """The server's own audit: all well, and what was not, in words."""

    ok: bool
    violations: list[str]


def http_url(ws_url: str) -> str:
    """The origin of the HTTP side of a WebSocket address."""
    url = httpx.URL(ws_url)
    scheme = {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)
    return str(url.copy_with(scheme=scheme, raw_path=b"")).rstrip("/")


class Api:
    """Calls with an operator's token, and with users' tokens where a call is theirs.

    Args:
        base_url: origin, such as `http://127.0.0.1:8080`.
        operator_token: for the admin routes.
        signer: for users' tokens.
    """

    def __init__(self, base_url: str, operator_token: str, signer: TokenSigner) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=TIMEOUT_S, limits=httpx.Limits(max_connections=REQUESTS_MAX), trust_env=False
        )
        self._operator_token = operator_token
        self._signer = signer
        self._slots = asyncio.Semaphore(REQUESTS_MAX)

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def catalog(self) -> dict[str, CatalogGift]:
        """Gifts by id."""
        answer = await self._call("GET", "/v1/catalog", None)
        return {
            gift["id"]: CatalogGift(gift["id"], gift["price_coins"], bool(gift.get("combo", False)))
            for gift in answer["gifts"]
        }

    async def make_creator(self, creator: str) -> int:
        """Make a creator; returns its share of a coin in basis points."""
        answer = await self._call("PUT", f"/v1/admin/creators/{creator}", self._operator_token, {"name": creator})
        return creator_share_bp(answer)

    async def make_room(self, room: str, creator: str) -> None:
        """Make a room in which the creator earns."""
        body = {"creator": creator, "title": f"Load test {room}"}
        await self._call("PUT", f"/v1/admin/rooms/{room}", self._operator_token, body)

    async def grant(self, user: str, coins: int) -> None:
        """Give coins to a user, once."""
        body = {"id": grant_id(int(time.time() * 1000)), "user": user, "coins": coins, "reason": "load test"}
        await self._call("POST", "/v1/admin/grants", self._operator_token, body)

    async def has_sandbox(self) -> bool:
        """Whether somebody can buy without paying: only a demo has the route, and OPTIONS asks nothing of it."""
        response = await self._client.options(f"/v1/demo/purchases/{grant_id(int(time.time() * 1000))}/pay")
        return response.status_code != httpx.codes.NOT_FOUND

    async def balance(self, user: str) -> int:
        """Coins in a user's wallet."""
        answer = await self._call("GET", "/v1/wallet", self._signer.token(user, "viewer"))
        return int(answer["balance_coins"])

    async def live_diamonds(self, creator: str) -> int:
        """A creator's live earnings."""
        answer = await self._call("GET", "/v1/creators/me/earnings", self._signer.token(creator, "creator"))
        return int(answer["live_diamonds"])

    async def audit(self) -> AuditResult:
        """The server's audit over everything it stores. While another one runs, it is waited for."""
        answer = await self._call("GET", "/v1/admin/audit", self._operator_token, patience_s=AUDIT_S_MAX)
        violations = [
            f"{invariant['id']}: {violation}"
            for invariant in answer["invariants"]
            if not invariant["ok"]
            for violation in invariant.get("violations") or ["not held"]
        ]
        return AuditResult(bool(answer["ok"]), violations)

    async def each(self, keys: Iterable[Key], call: Callable[[Key], Awaitable[Value]]) -> dict[Key, Value]:
        """The same call for many, several at a time.

        Raises:
            ApiError: the first that failed.
        """
        ordered = list(keys)

        async def one(key: Key) -> Value:
            async with self._slots:
                return await call(key)

        return dict(zip(ordered, await asyncio.gather(*(one(key) for key in ordered)), strict=True))

    async def each_readable(
        self, keys: Iterable[Key], call: Callable[[Key], Awaitable[Value]]
    ) -> dict[Key, Value | None]:
        """The same reading for many; None where it failed."""

        async def read(key: Key) -> Value | None:
            try:
                return await call(key)
            except ApiError:
                return None

        return await self.each(keys, read)

    async def _call(
        self, method: str, path: str, token: str | None, body: dict[str, Any] | None = None, patience_s: float = 0.0
    ) -> Any:
        """Ask, and ask again while the server says that this may help; every call here may be repeated.

        Args:
            patience_s: how long one answer may take, where that is more than TIMEOUT_S; and so long the server may say
                in all that others are to be waited for, beside TRIES_MAX tries.

        Raises:
            ApiError: it did not help.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        problem, tries, left_s = "", 0, patience_s
        while tries < TRIES_MAX:
            await asyncio.sleep(0 if tries == 0 else 0.1 * 2**tries)
            try:
                response = await self._client.request(
                    method, path, headers=headers, json=body, timeout=max(TIMEOUT_S, patience_s)
                )
            except httpx.HTTPError as exc:
                problem = f"{type(exc).__name__} {exc}"
                if patience_s and isinstance(exc, httpx.TimeoutException):
                    break
                tries += 1
                continue
            if response.is_success:
                return response.json()
            problem = f"{response.status_code} {response.text[:300]}"
            if response.status_code not in (429, 503):
                break
            wait_s = retry_after_s(response)
            if 0 < wait_s <= left_s:
                left_s -= wait_s
                await asyncio.sleep(wait_s)
            else:
                tries += 1
        raise ApiError(f"{method} {path}: {problem}")


def retry_after_s(response: httpx.Response) -> float:
    """How long the server says to wait before the next try; 0 where it does not say."""
    try:
        return float(response.json()["retry_after_ms"]) / 1000
    except (ValueError, LookupError, TypeError):
        return 0.0


def creator_share_bp(creator: dict[str, Any]) -> int:
    """The creator's share as its answer tells it; half of the coin where it does not."""
    commission_bp = creator.get("commission_bp")
    return BASIS_POINTS - int(BASIS_POINTS // 2 if commission_bp is None else commission_bp)

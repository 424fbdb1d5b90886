"""A charge-back is a row, then coins out of a wallet in Valkey, then what creators give back in the books. Its dispute
is won: that is a row, then what creators get back in the books with a grant, then the grant's coins.

Whichever real process that has a part in a step is killed there: each took effect once. Every step is held up by a lock
of the test, so that the kill falls into it and not near it.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.ids import format_id, new_id
from tests.faults.locks import Locks, ask, locks_of
from tests.serving import Serve, serving
from tests.waiting import until_true

WITHIN_S: Final = 90.0
GIVEN: Final = 60
BOUGHT: Final = 120
"""The smallest package with the bonus of a first purchase."""
DIAMONDS: Final = 50
_SUM: Final = """
SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN accounts ON id = account_id WHERE kind = $1
"""
_RECORDS: Final = "SELECT count(*) FROM journal_records WHERE kind = $1"

Step = Callable[["Shop", "Chargeback"], Awaitable[None]]


class Chargeback:
    """One viewer's purchase that is charged back: 60 of its coins were given away, so the wallet owes them."""

    def __init__(self, number: int) -> None:
        self.viewer = f"buyer{number}"
        self.purchase = fresh()
        self.gift = fresh()
        self.id = fresh()


class Shop:
    """What the test asks of the server, again and again until it is answered."""

    def __init__(self, serve: Serve, locks: Locks, client: httpx.AsyncClient) -> None:
        self.locks = locks
        self.ordered: asyncio.Task[Any] | None = None
        self.database_url: str = json.loads((serve.data_dir / "endpoints.json").read_text())["database_url"]
        self.serve = serve
        self._client = client

    async def insist(self, user: str, role: str, method: str, path: str, body: Any = None) -> Any:
        """The answer, whatever dies meanwhile: the same request each time."""
        token = self.serve.signer.token(user, role)  # type: ignore[arg-type]
        answers: list[Any] = []

        async def answered() -> bool:
            try:
                headers = {"Authorization": f"Bearer {token}"}
                response = await self._client.request(method, path, json=body, headers=headers)
            except httpx.HTTPError:
                return False
            if response.status_code >= 500:
                return False
            assert response.status_code == 200, response.text
            answers.append(response.json())
            return True

        await until_true(answered, WITHIN_S, lambda: f"no answer to {path}")
        return answers[-1]

    async def sell(self, one: Chargeback) -> None:
        """The purchase is credited, and the gift is given and in the books."""
        package = {"id": one.purchase, "package": "coins_100", "platform": "web", "country": "US"}
        await self.insist(one.viewer, "viewer", "POST", "/v1/purchases", package)
        paid = f"/v1/demo/purchases/{one.purchase}/pay"
        assert (await self.insist(one.viewer, "viewer", "POST", paid, {"outcome": "paid"}))["balance_coins"] == BOUGHT
        gift = {"id": one.gift, "room": "demo", "gift": "rose", "count": GIVEN}
        await self.insist(one.viewer, "viewer", "POST", "/v1/gifts", gift)
        booked = "SELECT count(*) FROM journal_records WHERE id = $1"

        async def in_the_books() -> bool:
            return bool(await ask(self.database_url, booked, uuid.UUID(one.gift)) == 1)

        await until_true(in_the_books, WITHIN_S)

    def order(self, one: Chargeback) -> None:
        """Begin to ask for it."""
        self.ordered = asyncio.create_task(self.charge_back(one))

    async def charge_back(self, one: Chargeback) -> Any:
        """All coins of the purchase; the refund as it stands."""
        body = {"id": one.id, "purchase": one.purchase, "kind": "chargeback", "reason": "the bank says so"}
        return await self.insist("olga", "operator", "POST", "/v1/admin/refunds", body)

    def win(self, one: Chargeback) -> None:
        """Begin to ask that what was taken comes back."""
        self.ordered = asyncio.create_task(self.reinstate(one))

    async def reinstate(self, one: Chargeback) -> Any:
        """All that was taken comes back; the refund as it stands."""
        path = f"/v1/admin/refunds/{one.id}/reinstate"
        return await self.insist("olga", "operator", "POST", path, {"note": "the bank gave in"})

    async def balance(self, one: Chargeback) -> int:
        """Coins in the viewer's wallet."""
        return int((await self.insist(one.viewer, "viewer", "GET", "/v1/wallet"))["balance_coins"])

    async def kill(self, victim: str) -> None:
        """Kill a process, let the locks go, and wait until what was asked for is answered all the same."""
        old_pid = self.serve.processes()[victim]
        self.serve.kill(victim)
        await self.locks.let_go()

        async def is_back() -> bool:
            return self.serve.processes().get(victim, old_pid) != old_pid

        await until_true(is_back, WITHIN_S, lambda: self.serve.output)
        assert self.ordered is not None
        await self.ordered

    async def until_settled(self, one: Chargeback) -> Any:
        """Wait until creators have given back; the refund as it stands then."""
        found: list[Any] = []

        async def settled() -> bool:
            found.append(await self.charge_back(one))
            return bool(found[-1]["state"] == "settled")

        await until_true(settled, WITHIN_S, lambda: str(found[-1]))
        return found[-1]

    async def until_reinstated(self, one: Chargeback) -> Any:
        """Wait until creators have what was taken and the wallet is out of debt; the reinstatement."""
        found: list[Any] = []

        async def reinstated() -> bool:
            found.append((await self.reinstate(one))["reinstated"])
            return "done_ms" in found[-1] and await self.balance(one) > 0

        await until_true(reinstated, WITHIN_S, lambda: str(found[-1]))
        return found[-1]


def fresh() -> str:
    """A new id."""
    return format_id(new_id(time.time_ns() // 1_000_000))


async def before_its_row(shop: Shop, one: Chargeback) -> None:
    """The order was heard, and nothing is stored."""
    await shop.locks.hold("SELECT 1 FROM purchases WHERE id = $1 FOR UPDATE", uuid.UUID(one.purchase))
    shop.order(one)
    await shop.locks.until_stuck("FROM purchases WHERE id = $1 FOR UPDATE")


async def before_its_coins_are_taken(shop: Shop, one: Chargeback) -> None:
    """The row is stored, and Valkey was not asked yet."""
    await shop.locks.hold("LOCK TABLE journal_records IN ACCESS EXCLUSIVE MODE")
    shop.order(one)
    await shop.locks.until_stuck("SELECT wallet_after, taken_coins FROM journal_records")


async def before_that_is_noted(shop: Shop, one: Chargeback) -> None:
    """Valkey gave the coins, and the row does not say so."""
    await before_its_coins_are_taken(shop, one)
    await shop.locks.hold("SELECT 1 FROM refunds WHERE id = $1 FOR UPDATE", uuid.UUID(one.id))
    await shop.locks.let_go(1)
    await shop.locks.until_stuck("UPDATE refunds SET state = 'taken'")
    assert await shop.balance(one) == -GIVEN


async def before_creators_give_back(shop: Shop, one: Chargeback) -> None:
    """The books have the viewer's part, and the cascade waits for the creator's day."""
    await shop.locks.hold("SELECT 1 FROM creator_days FOR UPDATE")
    shop.order(one)
    await shop.locks.until_stuck("FOR UPDATE OF creator_days")


async def before_the_cascade_is_whole(shop: Shop, one: Chargeback) -> None:
    """Shares, day and refund are written, the records are not, and nothing is committed."""
    await before_creators_give_back(shop, one)
    await shop.locks.hold("LOCK TABLE journal_records IN SHARE MODE")
    await shop.locks.let_go(1)
    await shop.locks.until_stuck("INSERT INTO journal_records (partition, epoch, at, seq, id, kind, creator")


async def before_it_is_known_to_come_back(shop: Shop, one: Chargeback) -> None:
    """The order to let it come back was heard, and nothing is stored."""
    await shop.locks.hold("SELECT 1 FROM refunds WHERE id = $1 FOR UPDATE", uuid.UUID(one.id))
    shop.win(one)
    await shop.locks.until_stuck("FROM refunds WHERE id = $1 FOR SHARE")


async def before_anything_comes_back(shop: Shop, one: Chargeback) -> None:
    """That it is to come back is stored, and the books have not begun."""
    await shop.locks.hold("SELECT 1 FROM positions WHERE partition = -1 FOR UPDATE")
    shop.win(one)
    stored = "SELECT count(*) FROM reinstatements WHERE refund = $1"

    async def is_stored() -> bool:
        return bool(await ask(shop.database_url, stored, uuid.UUID(one.id)) == 1)

    await until_true(is_stored, WITHIN_S)


async def before_creators_have_it_back(shop: Shop, one: Chargeback) -> None:
    """Grant and sums are written, the creators' record is not, and nothing is committed."""
    await shop.locks.hold("LOCK TABLE journal_records IN SHARE MODE")
    shop.win(one)
    await shop.locks.until_stuck("INSERT INTO journal_records (partition, epoch, at, seq, id, kind, creator")


async def before_its_coins_are_noted(shop: Shop, one: Chargeback) -> None:
    """Creators have theirs, Valkey has the coins, and the grant's row does not say so."""
    await before_creators_have_it_back(shop, one)
    # It waits behind the transaction that writes the grant, and before whoever carries it out.
    holding = asyncio.create_task(shop.locks.hold("LOCK TABLE credits IN SHARE MODE"))
    await shop.locks.until_stuck("LOCK TABLE credits")
    await shop.locks.let_go(1)
    await holding
    await shop.locks.until_stuck("UPDATE credits SET credited_at")
    assert await shop.balance(one) == BOUGHT - GIVEN


LIVES: Final[tuple[tuple[tuple[Step, str], tuple[Step, str]], ...]] = (
    ((before_its_row, "gateway-1"), (before_it_is_known_to_come_back, "gateway-1")),
    ((before_its_row, "postgres"), (before_creators_have_it_back, "postgres")),
    ((before_its_coins_are_taken, "gateway-1"), (before_anything_comes_back, "gateway-1")),
    ((before_its_coins_are_taken, "valkey"), (before_its_coins_are_noted, "valkey")),
    ((before_that_is_noted, "gateway-1"), (before_creators_have_it_back, "gateway-1")),
    ((before_that_is_noted, "valkey"), (before_its_coins_are_noted, "worker")),
    ((before_that_is_noted, "postgres"), (before_its_coins_are_noted, "postgres")),
    ((before_creators_give_back, "worker"), (before_creators_have_it_back, "worker")),
    ((before_the_cascade_is_whole, "worker"), (before_anything_comes_back, "worker")),
)
"""Of each charge-back: where it is held up, and what is killed there; then the same of what comes back."""


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """A server with one gateway and the demo's provider; earnings stay pending."""
    monkeypatch.setenv("GIFTWIRE_LEDGER_MATURING_DAYS", "7")
    with serving(tmp_path / "var", "--demo") as serve:
        url = json.loads((serve.data_dir / "endpoints.json").read_text())["database_url"]
        client = httpx.AsyncClient(base_url=serve.url, timeout=20.0, trust_env=False)
        async with client, locks_of(url) as locks:
            yield Shop(serve, locks, client)


async def test_each_charge_back_and_what_comes_back_takes_effect_once_whatever_dies(shop: Shop) -> None:
    """A kill in the midst of each and of its end: wallets, creator, platform and records are as if nothing had died."""
    for number, ((step, victim), (back, victim_of_back)) in enumerate(LIVES):
        one = Chargeback(number)
        await shop.sell(one)
        await step(shop, one)
        await shop.kill(victim)
        settled = await shop.until_settled(one)
        said = {name: settled[name] for name in ("taken_coins", "balance_coins", "returned_coins", "creator_diamonds")}
        assert said == {
            "taken_coins": BOUGHT,
            "balance_coins": -GIVEN,
            "returned_coins": GIVEN,
            "creator_diamonds": GIVEN * DIAMONDS,
        }, step.__name__
        assert await shop.balance(one) == -GIVEN, step.__name__
        await back(shop, one)
        await shop.kill(victim_of_back)
        reinstated = await shop.until_reinstated(one)
        assert (reinstated["coins"], reinstated["creator_diamonds"]) == (BOUGHT, GIVEN * DIAMONDS), back.__name__
        assert await shop.balance(one) == BOUGHT - GIVEN, back.__name__
    times, url = len(LIVES), shop.database_url
    earned = times * GIVEN * DIAMONDS
    expected = {
        "coins_sold": -times * BOUGHT,
        "coins_granted": -times * BOUGHT,
        "coins_reversed": times * BOUGHT,
        "spent": times * GIVEN,
        "wallet": times * (BOUGHT - GIVEN),
        "pending": 0,
        "available": earned,
        "commission": earned,
        "commission_returned": 0,
    }

    async def are_in_the_books() -> bool:
        return bool(await ask(url, _RECORDS, "grant") == times)

    await until_true(are_in_the_books, WITHIN_S)
    assert {kind: await ask(url, _SUM, kind) for kind in expected} == expected
    kinds = ("purchase", "gift", "chargeback", "clawed_back", "reinstated", "grant")
    assert {kind: await ask(url, _RECORDS, kind) for kind in kinds} == dict.fromkeys(kinds, times)
    report = await asyncio.to_thread(shop.serve.audit)
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]

"""A charge-back is a row, then coins out of a wallet in Valkey, then what creators give back in the books.

Whichever real process is killed at whichever of these steps: it took effect once.

Every step is held up by a lock of the test, so that the kill falls into it and not near it.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
ACCOUNTS: Final = ("coins_sold", "coins_reversed", "spent", "wallet", "pending", "commission", "commission_returned")
KINDS: Final = ("purchase", "gift", "chargeback", "clawed_back")
_SUM: Final = """
SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN accounts ON id = account_id WHERE kind = $1
"""
_RECORDS: Final = "SELECT count(*) FROM journal_records WHERE kind = $1"

Step = Callable[["Shop", "Chargeback"], Awaitable[None]]


class Chargeback:
    """One viewer's purchase that is charged back: 60 of its coins were given away, so the wallet owes them."""

    def __init__(self) -> None:
        self.viewer = f"buyer-{fresh()}"
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

    async def until_settled(self, one: Chargeback) -> Any:
        """Wait until creators have given back; the refund as it stands then."""
        found: list[Any] = []

        async def settled() -> bool:
            found.append(await self.charge_back(one))
            return bool(found[-1]["state"] == "settled")

        await until_true(settled, WITHIN_S, lambda: str(found[-1]))
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
    wallet = await shop.insist(one.viewer, "viewer", "GET", "/v1/wallet")
    assert wallet["balance_coins"] == -GIVEN


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


STEPS: Final[tuple[Step, ...]] = (
    before_its_row,
    before_its_coins_are_taken,
    before_that_is_noted,
    before_creators_give_back,
    before_the_cascade_is_whole,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server with one gateway and the demo's provider; earnings stay pending."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIFTWIRE_LEDGER_MATURING_DAYS", "7")
        with serving(tmp_path_factory.mktemp("serve") / "var", "--demo") as running:
            yield running


@pytest.fixture
async def shop(serve: Serve) -> AsyncIterator[Shop]:
    """What the test asks of it."""
    url = json.loads((serve.data_dir / "endpoints.json").read_text())["database_url"]
    client = httpx.AsyncClient(base_url=serve.url, timeout=20.0, trust_env=False)
    async with client, locks_of(url) as locks:
        yield Shop(serve, locks, client)


@pytest.mark.parametrize("victim", ["gateway-1", "worker", "valkey", "postgres"])
async def test_each_charge_back_takes_effect_once_whatever_dies(shop: Shop, victim: str) -> None:
    """A kill at each of the five steps: wallets, creator, platform and records are what five charge-backs make them."""
    serve, url = shop.serve, shop.database_url
    before = {kind: await ask(url, _SUM, kind) for kind in ACCOUNTS}
    records = {kind: await ask(url, _RECORDS, kind) for kind in KINDS}
    for step in STEPS:
        one = Chargeback()
        await shop.sell(one)
        await step(shop, one)
        old_pid = serve.processes()[victim]
        serve.kill(victim)

        async def is_back(old_pid: int = old_pid) -> bool:
            return serve.processes().get(victim, old_pid) != old_pid

        await shop.locks.let_go()
        await until_true(is_back, WITHIN_S, lambda: serve.output)
        assert shop.ordered is not None
        await shop.ordered
        settled = await shop.until_settled(one)
        said = {name: settled[name] for name in ("taken_coins", "balance_coins", "returned_coins", "creator_diamonds")}
        assert said == {
            "taken_coins": BOUGHT,
            "balance_coins": -GIVEN,
            "returned_coins": GIVEN,
            "creator_diamonds": GIVEN * DIAMONDS,
        }, step.__name__
        wallet = await shop.insist(one.viewer, "viewer", "GET", "/v1/wallet")
        assert wallet["balance_coins"] == -GIVEN, step.__name__
    times = len(STEPS)
    earned = times * GIVEN * DIAMONDS
    expected = {
        "coins_sold": -times * BOUGHT,
        "coins_reversed": times * BOUGHT,
        "spent": times * GIVEN,
        "wallet": -times * GIVEN,
        "pending": 0,
        "commission": earned,
        "commission_returned": -earned,
    }
    assert {kind: await ask(url, _SUM, kind) - before[kind] for kind in ACCOUNTS} == expected
    assert {kind: await ask(url, _RECORDS, kind) - records[kind] for kind in KINDS} == dict.fromkeys(KINDS, times)
    report = await asyncio.to_thread(serve.audit)
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]

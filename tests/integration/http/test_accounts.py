"""An operator reads any account at any time; nobody else does."""

from typing import get_args

from gateway.wire.http.admin import AccountKindName
from ledger.accounts import AccountKind
from tests.integration.http.api import OPERATOR, Api, Refusal, refusal

PATH = "/v1/admin/accounts"


def test_kinds_that_can_be_asked_for() -> None:
    """Every kind of account that the books have, and no other."""
    assert list(get_args(AccountKindName)) == [kind.value for kind in AccountKind]


async def test_wallet_at_a_time(api: Api) -> None:
    """After a grant of 10 and gifts of 1 and 3 the books say 6 now, 9 after the first gift, and 0 before all of it."""
    await api.grant("vera", 10)
    await api.give("vera")
    await api.flush()
    first = await api.get(f"{PATH}/wallet/vera", OPERATOR, "operator")
    assert (first["balance"], [entry["amount"] for entry in first["entries"]]) == (9, [-1, 10])
    await api.give("vera", count=3)
    await api.flush()
    now = await api.get(f"{PATH}/wallet/vera", OPERATOR, "operator", limit=2)
    assert (now["balance"], now["unit"], now["next"]) == (6, "coins", 2)
    assert [(one["number"], one["amount"], one["balance_after"], one["cause"]) for one in now["entries"]] == [
        (3, -3, 6, "gift"),
        (2, -1, 9, "gift"),
    ]
    rest = await api.get(f"{PATH}/wallet/vera", OPERATOR, "operator", limit=2, after=now["next"])
    assert ([entry["amount"] for entry in rest["entries"]], rest["next"], rest["balance"]) == ([10], None, 6)
    at_ms = now["entries"][1]["at_ms"]
    if now["entries"][0]["at_ms"] > at_ms:
        then = await api.get(f"{PATH}/wallet/vera", OPERATOR, "operator", at_ms=at_ms)
        assert then["balance"] == 9
    before = await api.get(f"{PATH}/wallet/vera", OPERATOR, "operator", at_ms=rest["entries"][0]["at_ms"] - 1)
    assert (before["balance"], before["entries"]) == (0, [])
    # Both are of this machine's clock.
    assert all(one["recorded_at_ms"] >= one["at_ms"] for one in now["entries"])


async def test_accounts_of_creator_and_platform(api: Api) -> None:
    """What a creator earned is pending; what was spent stands in the platform's account of the viewer's partition."""
    await api.grant("vera", 10)
    await api.give("vera", count=4)
    await api.flush()
    pending = await api.get(f"{PATH}/pending/cleo", OPERATOR, "operator")
    assert (pending["balance"], pending["unit"], pending["partition"]) == (200, "diamonds", -1)
    spent = await api.get(f"{PATH}/spent/platform", OPERATOR, "operator", unit="coins")
    assert spent["balance"] == 4


async def test_account_refusals(api: Api) -> None:
    """Only operators read accounts; an unknown kind, unit or owner is refused by its name."""
    assert refusal(await api.call("GET", f"{PATH}/wallet/vera", "vera")).status == 403
    assert refusal(await api.call("GET", f"{PATH}/wallet/vera")).status == 401
    assert refusal(await api.call("GET", f"{PATH}/wallet/nobody", OPERATOR, "operator")) == Refusal(404, "not_found")
    for path, field in (("purse/vera", "kind"), ("wallet/vera?unit=gold", "unit"), ("wallet/vera?at_ms=-1", "at_ms")):
        found = refusal(await api.call("GET", f"{PATH}/{path}", OPERATOR, "operator"))
        assert found == Refusal(422, "unprocessable", field), found

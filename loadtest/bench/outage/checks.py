"""What is right and wrong afterwards, from outside: books by SQL, wallets and earnings by arithmetic, and the audit."""

import asyncio
import time
from typing import Final, TypeAlias

import asyncpg
import msgspec
from msgspec import Struct

from loadtest.bench.outage.gifts import PROCESS, Book, Fate
from loadtest.bench.outage.result import Checks
from loadtest.bench.server import BenchServer, ServerFailed, giftwire
from loadtest.play.api import BASIS_POINTS, Api
from loadtest.script.naming import GiftIds, GiftKeys, Run

ROWS_AT_A_TIME: Final = 5_000
WRITTEN_S_MAX: Final = 300.0
LOOK_S: Final = 0.2
DIAMONDS_PER_COIN: Final = 100
_WRITTEN: Final = "SELECT coalesce(sum(seq), 0)::bigint FROM positions WHERE partition >= 0"
_GIFTS: Final = "SELECT id::text, coins FROM journal_records WHERE kind = 'gift' AND viewer LIKE $1"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class _Audit(Struct):
    ok: bool


class Given(Struct, frozen=True):
    """Who takes part and with what.

    Attributes:
        coins: that each sender was given.
        share_bp: of a coin that the creator earns, in basis points.
    """

    run: Run
    senders: int
    coins: int
    share_bp: int


async def written(connection: Connection) -> int:
    """Records of all partitions that the books have."""
    return int(await connection.fetchval(_WRITTEN))


class Found(Struct, frozen=True):
    """Gifts of a run in the books, as `Checks` has them."""

    records: int
    coins: int
    lost: int
    doubled: int
    refused: int


async def look_into_books(connection: Connection, run: Run, fate: bytearray) -> Found:
    """Read every gift of the run, a few at a time.

    Args:
        fate: of each gift, by its number, as a `Fate`.
    """
    records, coins, doubled, refused, there = 0, 0, 0, 0, bytearray(len(fate))
    keys, base = GiftKeys(run), GiftIds(run, PROCESS).key(0)
    async with connection.transaction(readonly=True):
        async for gift_id, paid in connection.cursor(_GIFTS, f"{run.prefix}-s%", prefetch=ROWS_AT_A_TIME):
            number = keys.key(gift_id) - base
            records += 1
            coins += paid
            if not 0 <= number < len(fate) or fate[number] == Fate.REFUSED:
                refused += 1
            elif there[number]:
                doubled += 1
            else:
                there[number] = 1
    lost = sum(one == Fate.ACCEPTED and not seen for one, seen in zip(fate, there, strict=True))
    return Found(records, coins, lost, doubled, refused)


async def check(server: BenchServer, api: Api, connection: Connection, given: Given, book: Book) -> Checks:
    """Look at everything, once no gift is on its way any more.

    Raises:
        ServerFailed: the audit could not look.
        ApiError: the server does not say what is in a wallet.
    """
    found = await look_into_books(connection, given.run, book.fate)
    run = given.run
    balances = await api.each(range(given.senders), lambda number: api.balance(run.sender(number)))
    due = sum(book.coins_of) * DIAMONDS_PER_COIN * given.share_bp // BASIS_POINTS
    audit_ok, audit_s = await _audit(server)
    return Checks(
        accepted=book.accepted,
        in_books=found.records,
        lost=found.lost,
        doubled=found.doubled,
        refused_in_books=found.refused,
        coins_answered=sum(book.coins_of),
        coins_in_books=found.coins,
        wrong_wallets=sum(balance != given.coins - book.coins_of[number] for number, balance in balances.items()),
        wrong_earnings=await api.live_diamonds(run.creator(0)) - due,
        unanswered=len(book.waiting),
        audit_ok=audit_ok,
        audit_s=audit_s,
    )


def faults_of(checks: Checks) -> list[str]:
    """What is wrong, in words."""
    counted = {
        "accepted gifts are not in the books": checks.lost,
        "gifts are in the books more than once": checks.doubled,
        "refused gifts are in the books": checks.refused_in_books,
        "coins were answered that the books do not have": checks.coins_answered - checks.coins_in_books,
        "wallets are wrong": checks.wrong_wallets,
        "diamonds too many are the creator's": checks.wrong_earnings,
        "gifts have no answer": checks.unanswered,
    }
    faults = [f"{count:,} {words}" for words, count in counted.items() if count]
    return faults if checks.audit_ok else [*faults, "the audit does not hold"]


async def until_written(connection: Connection, last: int) -> None:
    """Wait until the books have so many records, or for long."""
    deadline_s = time.monotonic() + WRITTEN_S_MAX
    while time.monotonic() < deadline_s:
        if await written(connection) >= last:
            return
        await asyncio.sleep(LOOK_S)


async def _audit(server: BenchServer) -> tuple[bool, float]:
    began_s = time.monotonic()
    audit = await asyncio.create_subprocess_exec(
        *(*giftwire(), "audit", "--data-dir", str(server.data_dir), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaint = await audit.communicate()
    except BaseException:
        audit.kill()
        raise
    if audit.returncode not in (0, 1):
        raise ServerFailed(f"the audit could not look: {complaint.decode(errors='replace')[-1500:]}")
    report = msgspec.json.decode(said, type=_Audit)
    return report.ok and audit.returncode == 0, round(time.monotonic() - began_s, 1)

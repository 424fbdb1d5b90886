"""The steady gifts of the bench of an outage on a real socket, and how it reads the books."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import pytest

from gateway.wire.messages import Accepted, ClientMessage, Refused, SendGift
from loadtest.bench.outage.checks import look_into_books
from loadtest.bench.outage.gifts import PROCESS, Fate, SteadyGifts
from loadtest.script.naming import GiftIds, Run

if TYPE_CHECKING:
    from tests.integration.loadtest.conftest import Peer, ScriptedServer

RUN = Run(5)
RATE = 500.0
DEADLINE_S = 10.0


async def give(scripted: "ScriptedServer", gifts: int) -> SteadyGifts:
    """Two senders who give so many gifts, or some more, and have an answer to each."""
    steady = SteadyGifts(scripted.url, RUN, ["token", "token"], RATE)
    await steady.open()
    giving = asyncio.create_task(steady.give())
    try:
        await scripted.until(lambda: steady.book.sent >= gifts)
        steady.end()
        await giving
        await steady.answered(DEADLINE_S)
    finally:
        giving.cancel()
        await asyncio.gather(giving, return_exceptions=True)
        await steady.close()
    return steady


def asked(scripted: "ScriptedServer") -> Counter[tuple[str, str]]:
    """How often each gift was asked for, by `ref` and id."""
    return Counter((message.ref, message.id) for message in scripted.messages if isinstance(message, SendGift))


async def test_gifts_have_one_answer_each(scripted: "ScriptedServer") -> None:
    """Those that are refused as overloaded are not sent again, and coins are what was answered."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if not isinstance(message, SendGift):
            return
        if int(message.ref) % 3:
            peer.send(Accepted(message.ref, message.id, 2, 10, replay=False))
        else:
            peer.send(Refused("overloaded", "not now", retryable=True, ref=message.ref, retry_after_ms=1))

    scripted.answer = answer
    book = (await give(scripted, 9)).book
    refused = -(-book.sent // 3)
    assert (book.waiting, dict(book.refused), book.accepted) == ({}, {"overloaded": refused}, book.sent - refused)
    assert sum(book.coins_of) == 2 * book.accepted
    assert set(asked(scripted).values()) == {1}
    assert len(asked(scripted)) == book.sent


async def test_gift_whose_outcome_is_unknown_is_asked_for_again(scripted: "ScriptedServer") -> None:
    """With the same id, until it is answered; it counts once."""
    told = Counter[str]()

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if not isinstance(message, SendGift):
            return
        told[message.ref] += 1
        if message.ref == "1" and told["1"] < 3:
            peer.send(Refused("unavailable", "not now", retryable=True, ref="1", retry_after_ms=1))
        else:
            peer.send(Accepted(message.ref, message.id, 1, 10, replay=told[message.ref] > 1))

    scripted.answer = answer
    book = (await give(scripted, 4)).book
    assert (book.accepted, book.tally.accepted, dict(book.tally.asked_again)) == (
        book.sent,
        book.sent,
        {"unavailable": 2},
    )
    assert sorted(asked(scripted).values())[-2:] == [1, 3]


async def test_gifts_on_a_socket_that_is_lost(scripted: "ScriptedServer") -> None:
    """They are asked for again when their sender is back; those of the other sender are not."""
    lost = list[str]()

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if not isinstance(message, SendGift):
            return
        if message.ref == "1" and not lost:
            lost.append(message.ref)
            peer.cut()
        else:
            peer.send(Accepted(message.ref, message.id, 1, 10, replay=False))

    scripted.answer = answer
    steady = await give(scripted, 6)
    assert (steady.line.reconnects, steady.line.faults) == (1, [])
    assert steady.book.accepted == steady.book.sent
    again = {int(ref) for (ref, _), times in asked(scripted).items() if times > 1}
    assert 1 in again
    assert all(number % 2 for number in again)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([(0, 5), (1, 7)], (2, 12, 0, 0, 0)),
        ([(0, 5)], (1, 5, 1, 0, 0)),
        ([(0, 5), (1, 7), (1, 7)], (3, 19, 0, 1, 0)),
        ([(0, 5), (1, 7), (2, 1)], (3, 13, 0, 0, 1)),
        ([(0, 5), (1, 7), (3, 1)], (3, 13, 0, 0, 0)),
        ([(0, 5), (1, 7), (4, 1)], (3, 13, 0, 0, 1)),
        ([], (0, 0, 2, 0, 0)),
    ],
    ids=["as answered", "lost", "doubled", "refused", "without an answer", "never sent", "empty"],
)
async def test_books_against_what_was_answered(
    rows: list[tuple[int, int]], found: tuple[int, ...], database_url: str
) -> None:
    """Of four gifts two were accepted, one refused, and one has no answer: that one may be in the books or not."""
    fate = bytearray((Fate.ACCEPTED, Fate.ACCEPTED, Fate.REFUSED, Fate.WAITING))
    ids = GiftIds(RUN, PROCESS)
    connection = await asyncpg.connect(database_url)
    try:
        # Stands before the table of the books, whose keys let no gift in twice.
        await connection.execute("CREATE TEMP TABLE journal_records (id uuid, viewer text, kind text, coins bigint)")
        records = [(ids.make(number, 1_000), RUN.sender(0), "gift", coins) for number, coins in rows]
        records += [
            (ids.make(9, 1_000), "somebody", "gift", 100),
            (ids.make(8, 1_000), RUN.sender(0), "grant", 100),
        ]
        await connection.executemany("INSERT INTO journal_records VALUES ($1, $2, $3, $4)", records)
        seen = await look_into_books(connection, RUN, fate)
    finally:
        await connection.close()
    assert (seen.records, seen.coins, seen.lost, seen.doubled, seen.refused) == found

"""Clients on a real socket: they come back when they should, and never change the id of a gift."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import (
    Accepted,
    Ack,
    ClientMessage,
    Events,
    GiftEvent,
    Join,
    Notice,
    Ping,
    Position,
    Refused,
    Sender,
    SendGift,
    Undo,
    Undone,
    UndoneEvent,
)
from loadtest.clients.connection import RECEIVE_BYTES, Client, ClientRefused, Line
from loadtest.clients.overlay import OverlayClient
from loadtest.clients.sender import SenderClient, SenderDesk
from loadtest.clients.viewer import ViewerClient
from loadtest.record.columns import Answer, Commands, Sightings, Undoing
from loadtest.record.frames import FrameBook
from loadtest.script.naming import GiftIds, GiftKeys, Run
from loadtest.script.workload import Sending

if TYPE_CHECKING:
    from tests.integration.loadtest.conftest import Peer, ScriptedServer

RUN = Run(5)


@asynccontextmanager
async def opened(*clients: Client) -> AsyncIterator[None]:
    """Clients that stand ready and are closed in the end."""
    for client in clients:
        await client.open()
    try:
        yield
    finally:
        for client in clients:
            client.line.closing = True
            await client.close()


def make_desk(line: Line, *row: Sending, undo_share: float = 0.0) -> tuple[SenderDesk, SenderClient]:
    """A desk with one sender and these sendings."""
    desk = SenderDesk(Commands(1), GiftIds(RUN, 1), ["room-0"], {0: 0}, [("rose", False)], iter(row), undo_share)
    client = SenderClient(line, "s", "token", desk)
    desk.senders[0] = client
    return desk, client


def begin(desk: SenderDesk) -> None:
    """Start now."""
    desk.begin(time.monotonic_ns(), time.time_ns() - time.monotonic_ns())


def accept(peer: "Peer", gift: SendGift, *, replay: bool = False) -> None:
    """The usual answer."""
    peer.send(Accepted(gift.ref, gift.id, 1, 99, replay))


def gifts_of(messages: list[ClientMessage]) -> list[SendGift]:
    """The gifts among them."""
    return [message for message in messages if isinstance(message, SendGift)]


async def test_gifts_are_sent_in_order_and_answers_are_booked(scripted: "ScriptedServer", line: Line) -> None:
    """Each sending becomes one command with its own id, none before its time."""
    scripted.answer = lambda peer, message: accept(peer, message) if isinstance(message, SendGift) else None
    desk, client = make_desk(line, *(Sending(0.02 * n, 0, 0, n + 1, False) for n in range(5)))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.accepted_total == 5)
    sent = gifts_of(scripted.messages)
    assert [(gift.room, gift.gift, gift.count) for gift in sent] == [("room-0", "rose", n + 1) for n in range(5)]
    assert len({gift.id for gift in sent}) == 5
    assert all(a <= b for a, b in zip(desk.commands.intended_ns, desk.commands.sent_ns, strict=True))
    assert desk.done
    assert desk.unanswered() == []


async def test_repeated_gift_is_the_same_command_twice(scripted: "ScriptedServer", line: Line) -> None:
    """A repeat has the same id and content, and its replay is one acceptance."""
    seen: set[str] = set()

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            accept(peer, message, replay=message.id in seen)
            seen.add(message.id)

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, True))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: len(gifts_of(scripted.messages)) == 2 and desk.commands.accepted_total == 1)
    first, second = gifts_of(scripted.messages)
    assert first == second
    assert desk.commands.fresh_accepts[0] == 1


async def test_lost_answer_is_asked_for_with_the_same_id(scripted: "ScriptedServer", line: Line) -> None:
    """The line is cut after the gift: the sender comes back and tells the same command again."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            if peer.number == 0:
                peer.cut()
            else:
                accept(peer, message, replay=True)

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 3, False))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.answer[:1].tolist() == [Answer.RECOVERED])
    first, again = gifts_of(scripted.messages)
    assert first == again
    assert line.reconnects == 1
    assert line.faults == []


async def test_unavailable_is_told_again_until_the_outcome_is_known(scripted: "ScriptedServer", line: Line) -> None:
    """After `unavailable` the gift may have been charged: it stays open until the same id is answered."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            if len(gifts_of(scripted.messages)) < 3:
                peer.send(Refused("unavailable", "", True, message.ref, message.id, retry_after_ms=1))
            else:
                accept(peer, message, replay=True)

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.accepted_total == 1)
    assert len({gift.id for gift in gifts_of(scripted.messages)}) == 1
    assert desk.commands.answer[0] == Answer.RECOVERED


@pytest.mark.parametrize(("code", "retryable"), [("overloaded", True), ("insufficient_coins", False)])
async def test_refusal_is_booked_and_not_told_again(
    scripted: "ScriptedServer", line: Line, code: str, retryable: bool
) -> None:
    """An open model does not push after a refusal: the gift is refused, and that is counted."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            peer.send(Refused(code, "", retryable, message.ref, message.id))

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.refused_total == 1)
        assert desk.unanswered() == []
    assert desk.commands.refusals.names == [code]
    assert desk.commands.refused_for_good[0] == (not retryable)


async def test_refusal_after_a_lost_answer_does_not_settle_a_gift(scripted: "ScriptedServer", line: Line) -> None:
    """Cut off, told again, and now rate limited: the first telling may have been charged, so it is asked again."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            match len(gifts_of(scripted.messages)):
                case 1:
                    peer.cut()
                case 2:
                    peer.send(Refused("rate_limited", "", True, message.ref, message.id, retry_after_ms=1))
                case _:
                    accept(peer, message, replay=True)

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False))
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.accepted_total == 1)
    assert desk.commands.answer[0] == Answer.RECOVERED
    assert desk.commands.refused_total == 0


def hold(peer: "Peer", gift: SendGift) -> None:
    """The answer to a gift that can be undone, though not for long: so that the undo comes at once."""
    peer.send(Accepted(gift.ref, gift.id, 1, 99, False, undo_until_ms=1))


def undos_of(messages: list[ClientMessage]) -> list[Undo]:
    """The undos among them."""
    return [message for message in messages if isinstance(message, Undo)]


@pytest.mark.parametrize("failure", ["cut", "unavailable", "rate_limited"])
async def test_undo_is_asked_for_until_its_outcome_is_known(
    scripted: "ScriptedServer", line: Line, failure: str
) -> None:
    """A gift is undone by its id, again and again while nobody knows whether it was."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            hold(peer, message)
        elif isinstance(message, Undo):
            if len(undos_of(scripted.messages)) > 1:
                peer.send(Undone(message.ref, message.id, 1, 100, replay=True))
            elif failure == "cut":
                peer.cut()
            else:
                peer.send(Refused(failure, "", True, message.ref, message.id, retry_after_ms=1))

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False), undo_share=1.0)
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.undone_total == 1)
        assert desk.unanswered() == []
    first, again = undos_of(scripted.messages)
    assert first == again and [first.id] == [gift.id for gift in gifts_of(scripted.messages)]
    assert (desk.commands.undoing[0], desk.commands.contradictions) == (Undoing.UNDONE, [])


async def test_undo_that_comes_too_late_is_booked(scripted: "ScriptedServer", line: Line) -> None:
    """It is not asked for again, and the gift counts as paid."""

    def answer(peer: "Peer", message: ClientMessage) -> None:
        if isinstance(message, SendGift):
            hold(peer, message)
        elif isinstance(message, Undo):
            peer.send(Refused("undo_expired", "", False, message.ref, message.id))

    scripted.answer = answer
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False), undo_share=1.0)
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: bool(desk.commands.undoing) and desk.commands.undoing[0] == Undoing.REFUSED)
        assert desk.unanswered() == []
    assert (desk.commands.accepted_total, desk.commands.undone_total) == (1, 0)


async def test_gift_that_cannot_be_undone_is_kept(scripted: "ScriptedServer", line: Line) -> None:
    """Only what the server said can be undone is, and of it only the scenario's share."""
    scripted.answer = lambda peer, message: accept(peer, message) if isinstance(message, SendGift) else None
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False), undo_share=1.0)
    async with opened(client):
        begin(desk)
        await scripted.until(lambda: desk.commands.accepted_total == 1)
    assert desk.commands.undoing[0] == Undoing.NONE
    none, _ = make_desk(line)
    none.commands.tell(0, 0, 0, 0, 1)
    assert none.undo_after_s(0, 2**50) is None


async def test_gift_waits_for_the_welcome_of_a_new_connection(scripted: "ScriptedServer", line: Line) -> None:
    """Due between hello and welcome, it is told after the welcome: nothing but hello goes before it."""
    scripted.answer = lambda peer, message: accept(peer, message) if isinstance(message, SendGift) else None
    desk, client = make_desk(line, Sending(0.0, 0, 0, 1, False))
    async with opened(client):
        scripted.welcomes = False
        scripted.peers[0].cut()
        await scripted.until(lambda: len(scripted.messages) == 2)
        begin(desk)
        await scripted.until(lambda: desk.done)
        assert gifts_of(scripted.messages) == []
        scripted.welcome(scripted.peers[1])
        await scripted.until(lambda: desk.commands.accepted_total == 1)
    assert desk.commands.answer[0] == Answer.ACCEPTED


async def test_client_that_is_sent_away_for_good_does_not_come_back(scripted: "ScriptedServer", line: Line) -> None:
    """Codes from 4500 on mean: do not reconnect. It is a fault of the run."""
    desk, client = make_desk(line)
    async with opened(client):
        scripted.peers[0].cut(4504)
        await scripted.until(lambda: bool(line.faults))
    assert len(scripted.peers) == 1
    assert "4504" in line.faults[0]
    assert desk.commands.accepted_total == 0


async def test_client_that_is_never_welcomed_fails_to_open(scripted: "ScriptedServer", line: Line) -> None:
    """A bad token closes with 4500 before any welcome: opening says so."""
    scripted.welcomes = False
    scripted.answer = lambda peer, message: peer.cut(4500)
    _, client = make_desk(line)
    with pytest.raises(ClientRefused, match="4500"):
        await client.open()


def events(seq: int, *numbers: int) -> Events:
    """A frame with these gifts of process 1."""
    ids = GiftIds(RUN, 1)
    return Events(
        "room-0",
        1,
        seq,
        [GiftEvent(seq, Sender("s", "s"), "c", "rose", 1, 1, 1, 0, id=ids.make(number, 1_000)) for number in numbers],
    )


async def test_overlay_notes_gifts_and_acknowledges(scripted: "ScriptedServer", line: Line) -> None:
    """What it saw is in its book under the command's key, and the server hears how far it is."""
    sightings = Sightings(0)
    overlay = OverlayClient(line, "o", "token", "room-0", sightings, GiftKeys(RUN))
    async with opened(overlay):
        scripted.peers[0].send(events(1, 7))
        scripted.peers[0].send(events(2, 8))
        await scripted.until(lambda: Ack("room-0", 2) in scripted.messages)
    assert sightings.key.tolist() == [1 << 32 | 7, 1 << 32 | 8]
    assert sightings.seq.tolist() == [1, 2]
    assert sightings.gaps == []


async def test_overlay_notes_what_was_undone(scripted: "ScriptedServer", line: Line) -> None:
    """It stands in the book under the key of the gift, marked."""
    sightings, gift_id = Sightings(0), GiftIds(RUN, 1).make(7, 1_000)
    overlay = OverlayClient(line, "o", "token", "room-0", sightings, GiftKeys(RUN))
    held = GiftEvent(1, Sender("s", "s"), "c", "rose", 1, 1, 1, 0, id=gift_id, undo_until_ms=5)
    back = UndoneEvent(2, gift_id, Sender("s", "s"), "c", "rose", 1, 1, 1, 4)
    async with opened(overlay):
        scripted.peers[0].send(Events("room-0", 1, 2, [held, back]))
        await scripted.until(lambda: len(sightings) == 2)
    assert (overlay.gifts_seen, overlay.undone_seen) == (1, 1)
    assert sightings.key.tolist() == [1 << 32 | 7, 1 << 32 | 7]
    assert (sightings.undone.tolist(), sightings.undo_until_ms.tolist()) == ([0, 1], [5, 0])


async def test_overlay_resumes_after_the_last_event(scripted: "ScriptedServer", line: Line) -> None:
    """It asks for what came after its last position, and takes what it is given."""
    sightings = Sightings(0)
    overlay = OverlayClient(line, "o", "token", "room-0", sightings, GiftKeys(RUN))
    async with opened(overlay):
        scripted.peers[0].send(events(3, 7))
        await scripted.until(lambda: overlay.seq == 3)
        scripted.peers[0].cut(4001)
        await scripted.until(lambda: Join("join", "room-0", Position(1, 3)) in scripted.messages)
        scripted.peers[1].send(events(4, 8))
        await scripted.until(lambda: overlay.gifts_seen == 2)
    assert sightings.gaps == []


async def test_overlay_that_is_not_recovered_notes_the_gap(scripted: "ScriptedServer", line: Line) -> None:
    """A resume that the server cannot serve is a hole in a complete receiver."""
    sightings = Sightings(0)
    overlay = OverlayClient(line, "o", "token", "room-0", sightings, GiftKeys(RUN))
    async with opened(overlay):
        scripted.recovers, scripted.seq = False, 9
        scripted.peers[0].cut()
        await scripted.until(lambda: bool(sightings.gaps))
    assert "not recovered from 1-0: now 1-9" in sightings.gaps[0]


async def test_viewers_of_a_room_share_their_frames(scripted: "ScriptedServer", line: Line) -> None:
    """Two viewers who get the same bytes decode them once and keep the same list."""
    book = FrameBook(0)
    viewers = [ViewerClient(line, f"v{n}", "token", n, "room-0", book) for n in range(2)]
    async with opened(*viewers):
        for seq in (1, 2):
            for peer in scripted.peers:
                peer.send(events(seq, seq))
        await scripted.until(lambda: all(viewer.seq == 2 for viewer in viewers))
    lists = [viewer.watch.frames.tolist() for viewer in viewers if viewer.watch is not None]
    assert lists == [[0, 1], [0, 1]]
    assert len(book.frames) == 2


@pytest.mark.parametrize("how", ["resync", "not recovered"])
async def test_viewer_that_is_told_of_a_gap_no_longer_counts(scripted: "ScriptedServer", line: Line, how: str) -> None:
    """Its sums cannot agree, and it knows: told by a notice, or by a resume that was not served."""
    viewer = ViewerClient(line, "v", "token", 0, "room-0", FrameBook(0))
    async with opened(viewer):
        if how == "resync":
            scripted.peers[0].send(Notice("resync", "ticks were skipped"))
        else:
            scripted.recovers = False
            scripted.peers[0].cut(4001)
        await scripted.until(lambda: viewer.watch is not None and bool(viewer.watch.lost))


async def test_viewer_that_resumes_still_counts(scripted: "ScriptedServer", line: Line) -> None:
    """Cut off and given what it missed, it is judged like everybody."""
    viewer = ViewerClient(line, "v", "token", 0, "room-0", FrameBook(0))
    async with opened(viewer):
        scripted.peers[0].send(events(1, 1))
        await scripted.until(lambda: viewer.seq == 1)
        scripted.peers[0].cut()
        await scripted.until(lambda: Join("join", "room-0", Position(1, 1)) in scripted.messages)
        scripted.peers[1].send(events(2, 2))
        await scripted.until(lambda: viewer.seq == 2)
    assert viewer.watch is not None
    assert viewer.watch.lost == ""


async def test_viewer_on_a_bad_line_reads_nothing_while_it_stalls(scripted: "ScriptedServer", line: Line) -> None:
    """Its frames wait in small buffers, so the server's fill; when it goes on it is shown all that was written."""
    viewer = ViewerClient(line, "v", "token", 0, "room-0", FrameBook(0), slow=True)
    watcher = ViewerClient(line, "w", "token", 1, "room-0", FrameBook(0))
    async with opened(viewer, watcher):
        assert viewer.transport is not None
        taken_bytes = viewer.transport.underlying_transport.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF
        )
        assert taken_bytes <= 2 * RECEIVE_BYTES
        viewer.stall(True)
        for seq in range(1, 301):
            for peer in scripted.peers:
                peer.send(events(seq, seq))
        await scripted.until(lambda: watcher.seq == 300)
        assert viewer.seq == 0
        viewer.stall(False)
        await scripted.until(lambda: viewer.seq == 300)
    assert viewer.watch is not None
    assert viewer.watch.slow


async def test_clients_stop_coming_back_when_the_run_ends(scripted: "ScriptedServer", line: Line) -> None:
    """A client that finds no server and waits for its next try is closed at once, and does not try again."""
    _, client = make_desk(line)
    async with opened(client):
        scripted.stop_listening()
        scripted.peers[0].cut()
        await scripted.until(lambda: client.transport is None)
        assert any("_reconnect" in repr(task) for task in asyncio.all_tasks())
    assert not any("_reconnect" in repr(task) for task in asyncio.all_tasks())
    assert len(scripted.peers) == 1


class Unlucky(random.Random):
    """A chance after which nobody who waits for it comes back during a test."""

    def uniform(self, a: float, b: float) -> float:
        return 1_000.0


async def test_client_comes_back_when_it_was_told_to(scripted: "ScriptedServer", line: Line) -> None:
    """The time in a drain's notice counts in the place of a time of chance, once."""
    line.rng = Unlucky()
    client = SenderClient(line, "s", "token", make_desk(line)[0])
    async with opened(client):
        scripted.peers[0].send(Notice("drain", "Come back.", 0))
        scripted.peers[0].cut(4000)
        await scripted.until(lambda: len(scripted.peers) == 2)
        await scripted.until(lambda: client.send(Ping("p")))
        assert line.reconnects == 1
        scripted.peers[1].send(Notice("drain", "Come back.", 3_600_000))
        scripted.peers[1].cut(4000)
        await scripted.until(lambda: not client.send(Ping("p")))
        assert len(scripted.peers) == 2


async def test_overlay_that_is_kept_out_for_now_asks_again(scripted: "ScriptedServer", line: Line) -> None:
    """A join that was refused for now is repeated on the same connection, from where the overlay was."""
    overlay = OverlayClient(line, "o", "token", "room-0", Sightings(0), GiftKeys(RUN))
    async with opened(overlay):
        scripted.peers[0].send(events(1, 1))
        await scripted.until(lambda: overlay.seq == 1)
        scripted.unavailable = 2
        scripted.peers[0].cut()
        joins = [Join("join", "room-0"), *[Join("join", "room-0", Position(1, 1))] * 3]
        await scripted.until(lambda: [one for one in scripted.messages if isinstance(one, Join)] == joins)
        assert len(scripted.peers) == 2
    assert line.faults == []


async def test_client_whose_handshake_is_cut_comes_back(scripted: "ScriptedServer", line: Line) -> None:
    """A socket that a dying server accepts and closes before the upgrade is a loss like any other."""
    viewer = ViewerClient(line, "v", "token", 0, "room-0", FrameBook(0))
    cut = asyncio.Event()

    async def cut_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        cut.set()

    async with opened(viewer), await asyncio.start_server(cut_off, "127.0.0.1", 0) as dying:
        good, line.url = line.url, f"ws://127.0.0.1:{dying.sockets[0].getsockname()[1]}/v1/ws"
        scripted.peers[0].cut()
        async with asyncio.timeout(10):
            await cut.wait()
        line.url = good
        await scripted.until(lambda: len(scripted.peers) == 2)

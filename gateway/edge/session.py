"""One authenticated connection: what it may ask, and what it is told. Reads messages, writes replies, knows no bytes.

Everything here is synchronous. Work that must wait (entering a room for the first time, looking up a place) is handed
to tasks that `SessionServices` owns, and comes back through a method of the session.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import UNSET, Struct

from gateway.admission.accounts import Accounts
from gateway.admission.admission import Admission
from gateway.auth import LEEWAY_S, BadToken, Identity, TokenExpired, Tokens
from gateway.counting.metrics import ACCEPTED, REPLAYED, Metrics, Shed
from gateway.edge.config import EdgeConfig
from gateway.edge.frames import frame, overloaded_frame
from gateway.edge.shown_wallet import UNHEARD, Mark, ShownWallet
from gateway.gifts import GiftDesk, GiftReply, Told, place_name, unknown_place
from gateway.places import Places
from gateway.replies import refused, too_many_in_flight
from gateway.undos import UndoDesk
from gateway.wallets import Wallets
from gateway.wire.codec import BadMessage, decode, encode
from gateway.wire.codes import CloseCode, Code
from gateway.wire.messages import (
    COUNT_MAX,
    MESSAGE_LENGTH_MAX,
    Ack,
    Balance,
    Hello,
    Join,
    Leave,
    Left,
    Limits,
    Notice,
    Ping,
    Pong,
    Refused,
    SendGift,
    ServerMessage,
    Undo,
    Welcome,
)
from ledger.errors import LedgerUnavailable
from ledger.model import GiftAccepted
from ledger.service import Ledger

if TYPE_CHECKING:
    from gateway.edge.connection import Connection
    from gateway.rooms.rooms import Rooms

_log = structlog.get_logger()
_Command = Hello | Join | Leave | Ping
EARLY_MESSAGES_MAX: Final = 32
"""Messages that a client may send after its hello before it was welcomed."""
BAD_MESSAGES_MAX: Final = 50
"""Messages that could not be understood, after which a connection is closed: it speaks another protocol."""


class SessionServices(Struct, frozen=True):
    """What sessions need of the process.

    Attributes:
        spawn: runs a coroutine as a task that somebody owns; what it raises is logged there.
        revoked: whether a token has been taken back.
        revoked_among: those of some tokens that have been.
    """

    tokens: Tokens
    ledger: Ledger
    desk: GiftDesk
    undo_desk: UndoDesk
    places: Places
    rooms: "Rooms"
    admission: Admission
    accounts: Accounts
    wallets: Wallets
    now_ms: Callable[[], int]
    spawn: Callable[[Coroutine[None, None, None]], None]
    revoked: Callable[[str], Coroutine[None, None, bool]]
    revoked_among: Callable[[Sequence[str]], Coroutine[None, None, set[str]]]
    metrics: Metrics


class Session:
    """What a connection is once its handshake is done.

    Attributes:
        identity: None until the hello was answered.
        gifts_in_flight: gifts, and gifts to be undone, that wait for their outcome.
        leaves_for_ms: it is about to be closed and should come back so long after; None while it stays.
        rooms: names of the rooms that it is in or entering.
    """

    __slots__ = (
        "_bad_messages",
        "_config",
        "_early",
        "_greeting",
        "_joins",
        "_services",
        "_tokens_at_ms",
        "_tokens_left",
        "_unsaid_coins",
        "_wallet",
        "connection",
        "gifts_in_flight",
        "identity",
        "leaves_for_ms",
        "rooms",
    )

    def __init__(self, connection: "Connection", services: SessionServices, config: EdgeConfig) -> None:
        self.connection = connection
        self.identity: Identity | None = None
        self.rooms: tuple[str, ...] = ()
        self._services = services
        self._config = config
        self._greeting = False
        self._early: list[bytes] | None = None
        self._joins: deque[Join] | None = None
        self.gifts_in_flight = 0
        self.leaves_for_ms: int | None = None
        self._bad_messages = 0
        self._tokens_left = float(config.commands_burst_max)
        self._tokens_at_ms = 0
        self._wallet: ShownWallet | None = None
        self._unsaid_coins: int | None = None

    @property
    def is_overlay(self) -> bool:
        """Whether it shows a creator's gifts on a stream."""
        return self.identity is not None and self.identity.role == "overlay"

    def sees_all(self, creator: str) -> bool:
        """Whether it is told every gift of this creator's rooms: the creator, its overlays and operators are."""
        identity = self.identity
        if identity is None or identity.role == "viewer":
            return False
        return identity.role == "operator" or identity.user == creator

    @property
    def revocable(self) -> str:
        """What its token is taken back by; empty for a viewer's, which nobody takes back, and before the hello."""
        return "" if self.identity is None or self.identity.role == "viewer" else self.identity.jti

    def expired(self, now_ms: int) -> bool:
        """Whether its token's time is over, by the clock that a hello is judged by."""
        return self.identity is not None and self.identity.expires_ms + LEEWAY_S * 1000 <= now_ms

    def send(self, message: ServerMessage) -> None:
        """Write one message that must not be skipped; one to a connection that is gone is dropped."""
        encoding = self.connection.encoding
        self.connection.write(frame(encode(message, encoding), encoding))

    def receive(self, payload: bytes) -> None:
        """Carry out one message of the client; what comes while the hello is being answered waits for that."""
        if self._greeting:
            self._keep_for_later(payload)
            return
        try:
            message = decode(payload, self.connection.encoding)
        except BadMessage as exc:
            self._not_understood(exc)
            return
        if self.identity is None:
            self._before_hello(message)
            return
        if isinstance(message, SendGift):
            if not self._turned_away(message) and self._may_command(self.identity, message.ref, message.id):
                self._give(self.identity, message)
        elif isinstance(message, Undo):
            if self._may_command(self.identity, message.ref, message.id):
                self._undo(self.identity, message)
        elif isinstance(message, Ack):
            self._services.rooms.acknowledge(self, message.room, message.seq)
        elif self._may_command(self.identity, message.ref, cost=self._cost(message)):
            self._command(self.identity, message)

    def ended(self) -> None:
        """The connection is gone."""
        for room in self.rooms:
            self._services.rooms.leave(self, room)
        if self.identity is not None:
            self._services.accounts.leave(self, self.identity)
            self._services.metrics.session_ended(self.identity.role)

    # Hello.

    def _keep_for_later(self, payload: bytes) -> None:
        self._early = self._early or []
        if len(self._early) >= EARLY_MESSAGES_MAX:
            self.connection.close(CloseCode.PROTOCOL_ERROR, "too many messages before the welcome")
            return
        self._early.append(payload)

    def _before_hello(self, message: object) -> None:
        if not isinstance(message, Hello):
            self.connection.close(CloseCode.PROTOCOL_ERROR, "the first message must be hello")
            return
        admission, address = self._services.admission, self.connection.address
        if admission.ask(address):
            self.connection.close(CloseCode.RATE_LIMITED, "too many hellos from this address")
            return
        try:
            identity = self._services.tokens.verify(message.token)
        except TokenExpired:
            self.connection.close(CloseCode.TOKEN_EXPIRED, "the token has expired")
            return
        except BadToken:
            admission.bad_token(address, "websocket")
            self.connection.close(CloseCode.BAD_TOKEN, "the token is not valid")
            return
        if identity.role == "agency":
            # Its name may be that of a creator, whose gifts are not for it to see.
            self.connection.close(CloseCode.FORBIDDEN, "an agency's token is for HTTP")
            return
        if self._services.accounts.command(identity):
            self.connection.close(CloseCode.RATE_LIMITED, "too many commands of this account")
            return
        self._greeting = True
        self._services.spawn(self._greet(message, identity))

    async def _greet(self, hello: Hello, identity: Identity) -> None:
        services = self._services
        balance: int | None = None
        try:
            if identity.role == "viewer":
                with services.wallets.greeting(self, identity.user):
                    balance = await services.ledger.balance(identity.user)
            elif identity.jti and await services.revoked(identity.jti):
                self.connection.close(CloseCode.BAD_TOKEN, "the token was taken back")
                return
        except LedgerUnavailable as exc:
            _log.warning("hello_failed", error=str(exc))
            self.connection.close(CloseCode.GOING_AWAY, "unavailable")
            return
        if self.connection.is_closing:
            return
        # From the reading of the wallet to here nothing else had its turn.
        self.identity = identity
        self._greeting = False
        self.connection.greeted()
        services.metrics.session_begun(identity.role)
        replaced = services.accounts.enter(self, identity)
        if replaced is not None:
            replaced.connection.close(CloseCode.REPLACED, "the account opened another connection")
        self.send(
            Welcome(
                ref=hello.ref,
                session=f"{id(self.connection):x}",
                user=identity.user,
                role=identity.role,
                server_time_ms=services.now_ms(),
                limits=self._limits(),
                balance_coins=UNSET if balance is None else balance,
            )
        )
        if self._unsaid_coins is not None:
            self.send(Balance(self._unsaid_coins))
            self._unsaid_coins = None
        early, self._early = self._early, None
        for payload in early or ():
            self.receive(payload)

    def _limits(self) -> Limits:
        config, gifts = self._config, self._services.desk.config
        return Limits(
            message_bytes_max=config.message_bytes_max,
            gift_count_max=COUNT_MAX,
            message_length_max=MESSAGE_LENGTH_MAX,
            rooms_max=config.rooms_per_session_max,
            commands_per_second_max=config.commands_per_s_max,
            heartbeat_ms=config.heartbeat_ms,
            undo_coins_min=gifts.undo_coins_min or UNSET,
            undo_window_ms=gifts.undo_window_ms if gifts.undo_coins_min else UNSET,
        )

    # Commands.

    def _command(self, identity: Identity, message: _Command) -> None:
        if isinstance(message, Ping):
            self.send(Pong(message.ref, self._services.now_ms()))
        elif isinstance(message, Join):
            self._join(identity, message)
        elif isinstance(message, Leave):
            self._leave(message)
        else:
            self.send(refused(Code.BAD_REQUEST, "hello was said already", ref=message.ref, field="$.type"))

    def _join(self, identity: Identity, message: Join) -> None:
        if identity.room is not None and identity.room != message.room:
            self.send(refused(Code.NOT_ALLOWED, "The token is for another room.", ref=message.ref))
            return
        if message.room not in self.rooms and len(self.rooms) >= self._config.rooms_per_session_max:
            self.send(refused(Code.NOT_ALLOWED, "This connection is in as many rooms as it may be.", ref=message.ref))
            return
        if message.room not in self.rooms:
            self.rooms += (message.room,)
        if self._joins is None:
            self._joins = deque((message,))
            self._services.spawn(self._enter_next(self._joins))
        else:
            self._joins.append(message)

    async def _enter_next(self, joins: deque[Join]) -> None:
        """One after another: each may read much, and the others need the connections to Valkey too.

        Each is a task of its own: one that fails is counted, and those behind it are answered all the same.
        """
        try:
            await self._services.rooms.enter(self, joins.popleft())
        except asyncio.CancelledError:
            joins.clear()
            raise
        finally:
            if joins and not self.connection.is_closing:
                self._services.spawn(self._enter_next(joins))
            else:
                self._joins = None

    def _leave(self, message: Leave) -> None:
        if message.room in self.rooms:
            self.forget_room(message.room)
            self._services.rooms.leave(self, message.room)
        self.send(Left(message.ref, message.room))

    def _turned_away(self, message: SendGift) -> bool:
        """Whether more gifts wait than may. The first thing that is looked at: a refusal for load must cost little."""
        if not self._services.desk.turns_away():
            return False
        bound = self._services.desk.bound
        self._services.metrics.gift_turned_away()
        self.connection.reply(overloaded_frame(message.ref, message.id, bound, self.connection.encoding))
        return True

    def _give(self, identity: Identity, message: SendGift) -> None:
        if self.leaves_for_ms is not None:
            wait_ms = max(1, self.leaves_for_ms)
            self._told(refused(Code.UNAVAILABLE, ref=message.ref, id=message.id, retry_after_ms=wait_ms))
            return
        if self.gifts_in_flight >= self._config.gifts_in_flight_max:
            self._services.metrics.shed(Shed.IN_FLIGHT_MAX)
            self._told(self._too_many(message))
            return
        name = place_name(message)
        if isinstance(name, Refused):
            self._told(name)
            return
        self.gifts_in_flight += 1
        self.connection.talks = True
        began_s, mark = time.perf_counter(), self._mark()

        def outcome(reply: GiftReply, paid: GiftAccepted | None) -> None:
            self.gifts_in_flight -= 1
            self._told(reply, time.perf_counter() - began_s)
            if reply.balance_coins is not UNSET:
                self._told_balance(0 if paid is None else paid.seq, reply.balance_coins, mark)

        place = self._services.places.peek(name)
        if place is None:
            self._services.spawn(self._find_and_give(identity, message, name, outcome))
        else:
            self._services.desk.give(identity, message, place, outcome)

    def _too_many(self, message: SendGift | Undo) -> Refused:
        return too_many_in_flight(self._config.gifts_in_flight_max, ref=message.ref, id=message.id)

    async def _find_and_give(self, identity: Identity, message: SendGift, name: str, outcome: Told) -> None:
        try:
            place = await self._services.places.find(name)
        except LedgerUnavailable:
            outcome(refused(Code.UNAVAILABLE, ref=message.ref, id=message.id), None)
            return
        if place is None:
            outcome(unknown_place(message), None)
        else:
            self._services.desk.give(identity, message, place, outcome)

    def _told(self, reply: GiftReply, took_s: float = 0.0) -> None:
        if isinstance(reply, Refused):
            self._services.metrics.gift_answered(reply.code, took_s)
        else:
            self._services.metrics.gift_answered(REPLAYED if reply.replay else ACCEPTED, took_s)
        self._reply(reply)

    def _reply(self, reply: GiftReply) -> None:
        """Send it with what else is answered in this moment: of many gifts on one socket many are paid at once."""
        encoding = self.connection.encoding
        self.connection.reply(frame(encode(reply, encoding), encoding))

    def _undo(self, identity: Identity, message: Undo) -> None:
        if self.gifts_in_flight >= self._config.gifts_in_flight_max:
            self._services.metrics.shed(Shed.IN_FLIGHT_MAX)
            self.send(self._too_many(message))
            return
        # Also while this gateway goes: the time for it may be over before the client is at another one.
        self.gifts_in_flight += 1
        self._services.spawn(self._ask_to_undo(identity, message))

    async def _ask_to_undo(self, identity: Identity, message: Undo) -> None:
        mark = self._mark()
        try:
            reply = await self._services.undo_desk.undo(identity, message)
        finally:
            self.gifts_in_flight -= 1
        self.send(reply)
        if reply.balance_coins is not UNSET:
            self._told_balance(0, reply.balance_coins, mark)

    def _mark(self) -> Mark:
        return UNHEARD if self._wallet is None else self._wallet.mark

    def _told_balance(self, seq: int, coins: int, since: Mark) -> None:
        """A reply told the balance; what is newer is told after it."""
        newer = self._shown().replied(seq, coins, since)
        if newer is not None:
            self.send(Balance(newer))

    # Told by the process.

    def wallet_changed(self, seq: int, balance_coins: int) -> None:
        """The wallet holds this since the record `seq`; told unless something newer was told."""
        if self._shown().changed(seq, balance_coins):
            self._tell_wallet(balance_coins)

    def wallet_doubted(self) -> None:
        """Changes of the wallet may have been missed."""
        self._shown().doubted()

    def wallet_read(self, balance_coins: int) -> None:
        """After that the wallet was read, and held this."""
        if self._wallet is not None and self._wallet.read(balance_coins):
            self._tell_wallet(balance_coins)

    def _shown(self) -> ShownWallet:
        # Most of who only watches never needs one.
        if self._wallet is None:
            self._wallet = ShownWallet()
        return self._wallet

    def _tell_wallet(self, coins: int) -> None:
        if self.identity is None:
            # The welcome goes first.
            self._unsaid_coins = coins
        else:
            self.send(Balance(coins))

    def forget_room(self, room: str) -> None:
        """It is not in this room (any more)."""
        self.rooms = tuple(name for name in self.rooms if name != room)

    def leave(self, for_ms: int) -> None:
        """It is about to be closed: the gifts in flight are still answered, new ones should be sent elsewhere.

        Args:
            for_ms: how long after its close it should come back.
        """
        self.leaves_for_ms = for_ms

    def notify(self, notice: Notice) -> None:
        """Send a notice."""
        if self.identity is not None:
            self.send(notice)

    # Limits.

    def _not_understood(self, exc: BadMessage) -> None:
        if self.identity is None:
            self.connection.close(CloseCode.PROTOCOL_ERROR, "the first message must be hello")
            return
        self._bad_messages += 1
        if self._bad_messages > BAD_MESSAGES_MAX:
            self.connection.close(CloseCode.PROTOCOL_ERROR, "too many messages that could not be understood")
            return
        self.send(
            refused(
                Code.BAD_REQUEST,
                exc.message,
                ref=UNSET if exc.ref is None else exc.ref,
                field=exc.field or "$",
            )
        )

    def _cost(self, message: _Command) -> int:
        """As how many commands it counts."""
        reads = isinstance(message, Join) and (message.since is not None or self.is_overlay)
        return min(self._config.resume_commands, self._config.commands_burst_max) if reads else 1

    def _may_command(self, identity: Identity, ref: str, gift_id: str | None = None, cost: int = 1) -> bool:
        """Take from a bucket that fills steadily, and from the account's; else the command is refused. With a token
        whose time is over nothing is done."""
        config, now_ms = self._config, self._services.now_ms()
        if self.expired(now_ms):
            self.connection.close(CloseCode.TOKEN_EXPIRED, "the token has expired")
            return False
        filled = (now_ms - self._tokens_at_ms) * config.commands_per_s_max / 1000
        self._tokens_at_ms = now_ms
        self._tokens_left = min(self._tokens_left + filled, config.commands_burst_max)
        if self._tokens_left < cost:
            self._services.metrics.shed(Shed.RATE_LIMITED)
            wait_s = (cost - self._tokens_left) / config.commands_per_s_max
        else:
            wait_s = self._services.accounts.command(identity, cost)
            if not wait_s:
                self._tokens_left -= cost
                return True
        wait_ms = max(1, round(wait_s * 1000))
        self.send(refused(Code.RATE_LIMITED, ref=ref, id=UNSET if gift_id is None else gift_id, retry_after_ms=wait_ms))
        return False

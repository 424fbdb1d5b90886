"""Frames and messages that keep no rule: each ends in a close code of the RFC's or ours, or in a refusal."""

import asyncio
import gc
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.edge.config import EdgeConfig
from gateway.wire.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from tests.gateways import Gateway, Message, running_gateway
from tests.integration.edge.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, Raws, frame
from tests.waiting import until

IDLE_FRAMES_MAX = 200
REPLY_QUEUE_BYTES_MAX = 65_536
MESSAGE_BYTES_MAX = 16_384
DEEP = 5_000
PING_TEXT = b'{"type":"ping","ref":"p"}'


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with narrow bounds, which holds nothing of anybody at the end. It reads as much as comes."""
    edge = EdgeConfig(
        commands_per_s_max=100_000,
        commands_burst_max=100_000,
        idle_frames_max=IDLE_FRAMES_MAX,
        reply_queue_bytes_max=REPLY_QUEUE_BYTES_MAX,
        viewer_queue_bytes_max=REPLY_QUEUE_BYTES_MAX,
        overlay_queue_bytes_max=REPLY_QUEUE_BYTES_MAX,
        close_ms_max=200,
    )
    async with running_gateway(valkey_url, database_url, settings={"edge": edge}) as running:
        await running.make_room()
        yield running
        await running.hang_up()
        await until(lambda: running.services.edge.connections == 0, 5)


async def _greeted(gateway: Gateway, raws: Raws, role: str = "viewer") -> Raw:
    raw = await raws.upgraded()
    hello = {"type": "hello", "ref": "h", "token": gateway.token("ada", role)}  # type: ignore[arg-type]
    raw.write(frame(TEXT, msgspec.json.encode(hello)))
    assert b'"welcome"' in (await raw.frame())[1]
    return raw


BROKEN: dict[str, tuple[bytes, int]] = {
    "unmasked": (frame(TEXT, PING_TEXT, mask=False), 1002),
    "reserved_bit_1": (frame(TEXT, PING_TEXT, reserved=4), 1002),
    "reserved_bit_2": (frame(TEXT, PING_TEXT, reserved=2), 1002),
    "reserved_bit_3": (frame(TEXT, PING_TEXT, reserved=1), 1002),
    "opcode_3": (frame(0x3), 1002),
    "opcode_7": (frame(0x7), 1002),
    "opcode_11": (frame(0xB), 1002),
    "opcode_15": (frame(0xF), 1002),
    "ping_of_126_bytes": (frame(PING, bytes(126)), 1002),
    "close_of_126_bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "fragmented_ping": (frame(PING, b"a", final=False), 1002),
    "fragmented_close": (frame(CLOSE, b"\x03\xe8", final=False), 1002),
    "continuation_of_nothing": (frame(CONTINUATION, b"a"), 1002),
    "message_inside_a_message": (frame(TEXT, b"{", final=False) + frame(TEXT, b"}"), 1002),
    "close_inside_a_message": (frame(TEXT, b"{", final=False) + frame(CLOSE, b"\x03\xe8"), 1002),
    "claims_2_to_the_63": (frame(TEXT, b"abc", size=2**63), 1009),
    "claims_all_ones": (frame(TEXT, b"abc", size=2**64 - 1), 1009),
    "claims_one_over": (frame(TEXT, b"abc", size=MESSAGE_BYTES_MAX + 1), 1009),
    "is_far_over": (frame(TEXT, bytes(300_000)), 1009),
    "parts_are_over": (
        frame(TEXT, bytes(MESSAGE_BYTES_MAX), final=False) + frame(CONTINUATION, b"a"),
        1009,
    ),
    "text_is_no_utf8": (frame(TEXT, b'{"type":"ping","ref":"\xff\xfe"}'), 1007),
    "text_is_a_surrogate": (frame(TEXT, b'{"type":"ping","ref":"\xed\xa0\x80"}'), 1007),
    "text_is_overlong": (frame(TEXT, b'{"type":"ping","ref":"\xc0\xaf"}'), 1007),
    "parts_are_no_utf8": (frame(TEXT, b'{"a":"\xc3', final=False) + frame(CONTINUATION, b'"}'), 1007),
    "unknown_field_is_no_utf8": (frame(TEXT, b'{"type":"ping","ref":"p","more":"\xff"}'), 1007),
    "binary_where_text_is": (frame(BINARY, PING_TEXT), 1003),
    "binary_part_where_text_is": (frame(BINARY, b"{", final=False) + frame(CONTINUATION, b"}"), 1003),
    "close_of_one_byte": (frame(CLOSE, b"\x03"), 1002),
    "close_reason_is_no_utf8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_frame_that_breaks_a_rule_is_closed_with_its_code(gateway: Gateway, raws: Raws, case: str) -> None:
    """Before the hello and after it, and the code arrives although more was sent behind."""
    content, code = BROKEN[case]
    for raw in (await raws.upgraded(), await _greeted(gateway, raws)):
        raw.write(content + frame(TEXT, PING_TEXT) * 5)
        assert await raw.close_code() == code
        raw.hang_up()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
async def test_close_with_a_code_that_nobody_may_send(gateway: Gateway, raws: Raws, code: int) -> None:
    """It is a broken frame."""
    raw = await _greeted(gateway, raws)
    raw.write(frame(CLOSE, code.to_bytes(2, "big")))
    assert await raw.close_code() == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_close_with_a_good_code_is_echoed(gateway: Gateway, raws: Raws, code: int) -> None:
    """And the socket ends, although the client does not end it."""
    raw = await _greeted(gateway, raws)
    raw.write(frame(CLOSE, code.to_bytes(2, "big") + "tschüß".encode()))
    assert await raw.close_code() == code
    await raw.ended()


async def test_text_where_msgpack_was_agreed(gateway: Gateway, raws: Raws) -> None:
    """1003 says that this kind is not taken."""
    raw = await raws.upgraded(SUBPROTOCOL_MSGPACK)
    raw.write(frame(TEXT, PING_TEXT))
    assert await raw.close_code() == 1003


@pytest.mark.parametrize("kind", ["ping", "pong", "empty_part", "tiny_part"])
async def test_flood_of_frames_that_say_nothing(gateway: Gateway, raws: Raws, kind: str) -> None:
    """Up to the bound they are borne; one more closes."""
    part = {
        "ping": frame(PING),
        "pong": frame(PONG, b"x"),
        "empty_part": frame(CONTINUATION, final=False),
        "tiny_part": frame(CONTINUATION, b" ", final=False),
    }[kind]
    borne, closed = await _greeted(gateway, raws), await _greeted(gateway, raws)
    for raw, over in ((borne, 0), (closed, 1)):
        if "part" in kind:
            begun = frame(TEXT, b"{", final=False) + part * (IDLE_FRAMES_MAX - 1 + over)
            raw.write(begun + frame(CONTINUATION, b'"type":"ping","ref":"p"}'))
        else:
            raw.write(part * (IDLE_FRAMES_MAX + over) + frame(TEXT, PING_TEXT))
    assert await _pong(borne)
    assert await closed.close_code() == 4502
    assert 'giftwire_shed_total{reason="frames_max"} 1.0' in gateway.services.shared_metrics.text().decode()
    raws_of_many = await _greeted(gateway, raws)
    raws_of_many.write((frame(TEXT, b"{", final=False) if "part" in kind else b"") + part * 20_000)
    assert await raws_of_many.close_code() == 4502


async def test_client_that_asks_and_never_reads(gateway: Gateway, raws: Raws) -> None:
    """What waits for it is bounded, whoever it is; it is closed, and what it still sends goes nowhere."""
    for role in ("viewer", "overlay"):
        raw = await _greeted(gateway, raws, role)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = frame(TEXT, b'{"type":"leave","ref":"' + b"r" * 64 + b'","room":"' + b"a" * 64 + b'"}') * 500
        highest = 0
        async with asyncio.timeout(20):
            while gateway.services.edge.connections and not raw.writer.transport.is_closing():
                for connection in gateway.services.edge.everybody():
                    highest = max(highest, connection.waiting_bytes)
                if raw.writer.transport.get_write_buffer_size() < 1_000_000:
                    raw.write(flood)
                await asyncio.sleep(0)
        assert highest < REPLY_QUEUE_BYTES_MAX + 2 * len(flood)
        raw.hang_up()
        await until(lambda: gateway.services.edge.connections == 0, 5)
    assert 'giftwire_shed_total{reason="queue_max"} 2.0' in gateway.services.shared_metrics.text().decode()


ODD: dict[str, bytes] = {
    "nothing": b"",
    "array": b"[]",
    "null": b"null",
    "number": b"1" + b"0" * 10_000,
    "deep_array": b"[" * DEEP + b"]" * DEEP,
    "deep_unknown_field": b'{"type":"ping","ref":"p","more":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep_beside_a_wrong_field": b'{"type":"gift","count":"x","more":' + b'{"a":' * 2_500 + b"1" + b"}" * 2_500 + b"}",
    "nan": b'{"type":"ack","room":"demo","seq":NaN}',
    "infinity": b'{"type":"ack","room":"demo","seq":Infinity}',
    "huge_integer": b'{"type":"ack","room":"demo","seq":' + b"9" * 10_000 + b"}",
    "huge_exponent": b'{"type":"ack","room":"demo","seq":1e400}',
    "float": b'{"type":"ack","room":"demo","seq":1.5}',
    "negative": b'{"type":"ack","room":"demo","seq":-1}',
    "over_2_to_the_53": b'{"type":"ack","room":"demo","seq":9007199254740992}',
    "lone_surrogate": b'{"type":"ping","ref":"\\ud800"}',
    "nul_in_a_name": b'{"type":"join","ref":"j","room":"de\\u0000mo"}',
    "newline_after_a_name": b'{"type":"join","ref":"j","room":"demo\\n"}',
    "byte_order_mark": b"\xef\xbb\xbf" + PING_TEXT,
    "type_is_a_list": b'{"type":["ping"],"ref":"p"}',
    "unknown_type": b'{"type":"pingpong","ref":"p"}',
    "trailing_bytes": PING_TEXT + b"{}",
    "unclosed": PING_TEXT[:-1],
}


@pytest.mark.parametrize("case", ODD)
async def test_message_that_cannot_be_understood_is_refused(gateway: Gateway, raws: Raws, case: str) -> None:
    """The session stays, and its next command is carried out."""
    raw = await _greeted(gateway, raws)
    raw.write(frame(TEXT, ODD[case]) + frame(TEXT, PING_TEXT))
    refused = await _message(raw)
    assert (refused["type"], refused["code"]) == ("refused", "bad_request")
    assert await _pong(raw)


@pytest.mark.parametrize("case", ODD)
async def test_message_that_cannot_be_understood_before_the_hello_closes(raws: Raws, case: str) -> None:
    """Whoever cannot say hello speaks another protocol."""
    raw = await raws.upgraded(SUBPROTOCOL_JSON)
    raw.write(frame(TEXT, ODD[case]))
    assert await raw.close_code() == 4502


async def test_key_that_stands_twice(gateway: Gateway, raws: Raws) -> None:
    """The last one counts, for the check as for the work."""
    raw = await _greeted(gateway, raws)
    raw.write(frame(TEXT, b'{"type":"ping","ref":"first","ref":"last"}'))
    assert (await _message(raw))["ref"] == "last"


async def test_hostile_connections_leave_nothing(gateway: Gateway, raws: Raws) -> None:
    """No task, connection or session stays of a crowd of them."""
    await _crowd(gateway, raws)
    before = _kept()
    for _ in range(3):
        await _crowd(gateway, raws)
    assert _kept() <= before


async def _crowd(gateway: Gateway, raws: Raws) -> None:
    for content, _ in BROKEN.values():
        raw = await _greeted(gateway, raws)
        raw.write(content)
        await raw.close_code()
    await raws.close()
    await until(lambda: gateway.services.edge.connections == 0, 5)


def _kept() -> int:
    gc.collect()
    ours = sum(str(type(thing).__module__).startswith(("gateway.edge", "websockets.")) for thing in gc.get_objects())
    return ours + len(asyncio.all_tasks())


async def _message(raw: Raw) -> Message:
    while True:
        opcode, payload = await raw.frame()
        if opcode == TEXT:
            message: Message = msgspec.json.decode(payload)
            return message


async def _pong(raw: Raw) -> bool:
    return bool((await _message(raw))["type"] == "pong")

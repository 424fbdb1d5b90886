"""Client messages are read strictly, and what cannot be read says which field and which command."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.codec import BadMessage, Encoding, decode, encode
from gateway.wire.codes import FACTS, CloseCode, Code
from gateway.wire.messages import ID_PATTERN, NAME_PATTERN, Accepted, Id, Name, Refused, SendGift

GIFT = {"type": "gift", "ref": "1", "id": "01890000-0000-7000-8000-000000000000", "room": "demo", "gift": "rose"}


@pytest.mark.parametrize("encoding", Encoding)
def test_gift_with_its_defaults(encoding: Encoding) -> None:
    """Both encodings carry the same command, and what is absent has the contract's default."""
    coder = msgspec.json if encoding is Encoding.JSON else msgspec.msgpack
    command = decode(coder.encode(GIFT | {"field_of_a_newer_client": 1}), encoding)
    assert command == SendGift(ref="1", id=str(GIFT["id"]), gift="rose", room="demo")
    assert (command.count, command.combo, command.anonymous) == (1, False, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "0"}, "$.id"),
        ({"id": "01890000-0000-4000-8000-000000000000"}, "$.id"),
        ({"count": 0}, "$.count"),
        ({"count": 10_000}, "$.count"),
        ({"count": "1"}, "$.count"),
        ({"room": "a room"}, "$.room"),
        ({"room": "demo\n"}, "$.room"),
        ({"id": "01890000-0000-7000-8000-000000000000\n"}, "$.id"),
        ({"gift": "x" * 65}, "$.gift"),
        ({"gift": ""}, "$.gift"),
        ({"gift": "lion!"}, "$.gift"),
        ({"video": "-v"}, "$.video"),
        ({"to": "a b"}, "$.to"),
        ({"to": 7}, "$.to"),
        ({"message": "x" * 201}, "$.message"),
        ({"type": "present"}, "$.type"),
    ],
)
def test_gift_with_a_wrong_field(change: dict[str, object], field: str) -> None:
    """The fault names the field, and the reply can name the command."""
    with pytest.raises(BadMessage) as caught:
        decode(msgspec.json.encode(GIFT | change), Encoding.JSON)
    assert (caught.value.field, caught.value.ref) == (field, "1")


class _Told(msgspec.Struct):
    id: Id = "01890000-0000-7000-8000-000000000000"
    gift: Name = "rose"
    room: Name | None = None
    video: Name | None = None
    to: Name | None = None


@pytest.mark.parametrize("encoding", Encoding)
@given(field=st.sampled_from(["id", "gift", "room", "video", "to"]), data=st.data())
def test_gift_is_looked_at_as_every_other_message_is(encoding: Encoding, field: str, data: st.DataObject) -> None:
    """Ids and names of gifts are checked in a way of their own: what is taken, and what is said, is the same."""
    pattern = ID_PATTERN if field == "id" else NAME_PATTERN
    text = data.draw(st.one_of(st.text(max_size=70), st.from_regex(pattern), st.from_regex(pattern.removeprefix("^"))))
    coder = msgspec.json if encoding is Encoding.JSON else msgspec.msgpack
    try:
        coder.decode(coder.encode({field: text}), type=_Told)
        wanted = None
    except msgspec.ValidationError as exc:
        wanted = str(exc)
    try:
        decode(coder.encode(GIFT | {field: text}), encoding)
        found = None
    except BadMessage as exc:
        found = exc.message
    assert found == wanted


def test_wrong_field_beside_a_deep_nest() -> None:
    """Looking for the `ref` of a message with a wrong field is no way past the bound on nesting."""
    deep = b'{"type":"gift","count":"x","ref":"1","more":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    packed = b"\x83\xa4type\xa4gift\xa5count\xa1x\xa4more" + b"\x91" * 9_000 + b"\x01"
    for payload, encoding in ((deep, Encoding.JSON), (packed, Encoding.MSGPACK)):
        with pytest.raises(BadMessage) as caught:
            decode(payload, encoding)
        assert caught.value.ref is None


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 10_000, b"null"])
def test_payload_that_is_no_message(payload: bytes) -> None:
    """Whatever the bytes are, the answer is a BadMessage and nothing else."""
    for encoding in Encoding:
        with pytest.raises(BadMessage):
            decode(payload, encoding)


def test_replies_leave_out_what_is_not_there() -> None:
    """Optional fields are absent, never null."""
    accepted = Accepted(ref="1", id="i", coins=5, balance_coins=95, replay=False)
    assert encode(accepted, Encoding.JSON) == (
        b'{"type":"accepted","ref":"1","id":"i","coins":5,"balance_coins":95,"replay":false}'
    )
    refused = Refused(code=Code.BAD_REQUEST, message="no", retryable=False, field="$.room")
    assert encode(refused, Encoding.JSON) == (
        b'{"type":"refused","code":"bad_request","message":"no","retryable":false,"field":"$.room"}'
    )


def test_every_code_has_its_facts() -> None:
    """The registry is complete, and only server-side trouble is worth a retry."""
    assert set(FACTS) == set(Code)
    assert {code for code, facts in FACTS.items() if facts.retryable} == {
        Code.RATE_LIMITED,
        Code.OVERLOADED,
        Code.UNAVAILABLE,
        Code.INTERNAL,
    }


def test_close_codes_say_whether_to_come_back() -> None:
    """4000-4499 reconnect, 4500-4999 do not."""
    assert {code for code in CloseCode if code.reconnect} == {
        CloseCode.GOING_AWAY,
        CloseCode.SLOW_CONSUMER,
        CloseCode.HEARTBEAT,
        CloseCode.INSUFFICIENT_STATE,
        CloseCode.RATE_LIMITED,
    }

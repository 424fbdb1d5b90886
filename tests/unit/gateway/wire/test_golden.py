"""Messages have the very bytes that clients were promised, in both encodings (tests/golden/wire)."""

from typing import get_args

import msgspec
import pytest

from gateway.wire.codec import Encoding, decode
from gateway.wire.messages import ClientMessage, Event, Events, ServerMessage
from tests.unit.gateway.wire.golden import CLIENT, FOLDER, SERVER, Frame, frames, text_of

FRAMES = frames()


def kept(name: str) -> Frame:
    """What a file holds."""
    return msgspec.json.decode((FOLDER / name).read_bytes(), type=Frame)


@pytest.mark.parametrize("name", FRAMES)
def test_bytes_of_a_message(name: str) -> None:
    """They are those of its file."""
    assert text_of(FRAMES[name]) == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", CLIENT)
def test_client_message_from_its_bytes(name: str) -> None:
    """The server reads from each encoding what the client meant."""
    frame = kept(f"client/{name}.json")
    assert decode(frame.json.encode(), Encoding.JSON) == CLIENT[name]
    assert decode(bytes.fromhex(frame.msgpack), Encoding.MSGPACK) == CLIENT[name]


@pytest.mark.parametrize("name", SERVER)
def test_server_message_from_its_bytes(name: str) -> None:
    """A client reads from each encoding what the server meant."""
    frame = kept(f"server/{name}.json")
    assert msgspec.json.decode(frame.json, type=ServerMessage) == SERVER[name]
    assert msgspec.msgpack.decode(bytes.fromhex(frame.msgpack), type=ServerMessage) == SERVER[name]


def test_files_are_complete() -> None:
    """Every message and every kind of event has one, and no file is without a message."""
    assert {type(sent) for sent in CLIENT.values()} == set(get_args(ClientMessage))
    assert {type(told) for told in SERVER.values()} == set(get_args(ServerMessage))
    told = [event for message in SERVER.values() if isinstance(message, Events) for event in message.events]
    assert {type(event) for event in told} == set(get_args(Event))
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()} == set(FRAMES)

"""The AsyncAPI 3.0 document of the WebSocket, made from its messages: one channel, what goes in, what comes out."""

from importlib.metadata import version
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from gateway.http.examples import MESSAGES
from gateway.wire.codec import MESSAGE_BYTES_MAX, SUBPROTOCOL_JSON, SUBPROTOCOLS
from gateway.wire.codes import CloseCode
from gateway.wire.messages import (
    Accepted,
    Ack,
    Balance,
    ClientMessage,
    Events,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    Notice,
    Ping,
    Pong,
    Refused,
    SendGift,
    ServerMessage,
    Undo,
    Undone,
    Welcome,
)
from gateway.wire.schema import Schema, components

CHANNEL: Final = "socket"
ADDRESS: Final = "/v1/ws"
_REF: Final = "#/components/schemas/{name}"
REPLIES: Final[dict[type[Struct], tuple[type[Struct], ...]]] = {
    Hello: (Welcome, Refused),
    Join: (Joined, Refused),
    Leave: (Left, Refused),
    SendGift: (Accepted, Refused),
    Undo: (Undone, Refused),
    Ping: (Pong, Refused),
    Ack: (),
}
"""What a command is answered with; the reply repeats its `ref`."""
TOLD: Final = (Events, Balance, Notice)
"""What the server tells without being asked."""


def asyncapi() -> Schema:
    """The whole document."""
    kinds = [*get_args(ClientMessage), *get_args(ServerMessage)]
    refs, schemas = components(kinds, _REF)
    messages = {kind.__name__: _message(kind, ref) for kind, ref in zip(kinds, refs, strict=True)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Giftwire",
            "version": version("giftwire"),
            "description": (
                f"One WebSocket at `{ADDRESS}`. The first message is `hello`; its token never stands in a URL. "
                f"Subprotocols: {', '.join(f'`{name}`' for name in SUBPROTOCOLS)} (JSON in text frames, MessagePack in "
                f"binary ones; the first is the default). A client message has at most {MESSAGE_BYTES_MAX} bytes. "
                f"Close codes 4000-4499: come back, with full jitter; 4500-4999: do not. {_close_codes()}"
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            CHANNEL: {
                "address": ADDRESS,
                "description": f"Subprotocol `{SUBPROTOCOL_JSON}` and its MessagePack twin.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            **{_verb(kind): _command(kind, replies) for kind, replies in REPLIES.items()},
            **{_verb(kind): _told(kind) for kind in TOLD},
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(kind: type[Struct], schema: Schema) -> Schema:
    tag = str(kind.__struct_config__.tag)
    return {
        "name": tag,
        "title": kind.__name__,
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "payload": schema,
        "examples": [{"name": tag, "payload": msgspec.to_builtins(MESSAGES[kind])}],
    }


def _command(kind: type[Struct], replies: tuple[type[Struct], ...]) -> Schema:
    """A client's command. `action` is seen from the server, which receives it."""
    operation: Schema = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "messages": [_message_ref(kind)],
    }
    if replies:
        operation["reply"] = {
            "channel": {"$ref": f"#/channels/{CHANNEL}"},
            "messages": [_message_ref(reply) for reply in replies],
        }
    return operation


def _told(kind: type[Struct]) -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "messages": [_message_ref(kind)],
    }


def _message_ref(kind: type[Struct]) -> dict[str, Any]:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{kind.__name__}"}


def _verb(kind: type[Struct]) -> str:
    return f"{'tell' if kind in TOLD else 'take'}{kind.__name__}"


def _close_codes() -> str:
    return ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in CloseCode) + "."

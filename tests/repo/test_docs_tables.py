"""What stands in docs as well as in the code is the same in both."""

import re

import msgspec
import pytest

from gateway.counting.metrics import METRICS
from gateway.edge.config import EdgeConfig
from gateway.room.config import RoomConfig
from gateway.rooms.relay import RelayStats
from gateway.wire.codec import MESSAGE_BYTES_MAX, Encoding, decode
from gateway.wire.codes import CloseCode, Code
from gateway.wire.messages import COUNT_MAX, MESSAGE_LENGTH_MAX, ServerMessage
from ledger.books.flusher import FlusherStats
from ledger.config import LedgerConfig
from tests.repo.doc_tables import DOCS, TABLES, found

PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_table_that_is_made_from_the_code(name: str) -> None:
    """Its page holds what the code says; `python -m tests.repo.doc_tables` brings it up to date."""
    page, text = found()[name]
    assert text == TABLES[name](), f"{page.name} is out of date"


def test_tables_are_all_made() -> None:
    """No page has a table of a name that nothing makes."""
    assert found().keys() == TABLES.keys()


def test_close_codes() -> None:
    """Number, name and whether to come back are those of the code, and none is missing."""
    rows = re.findall(r"^\| (\d{4}) \| ([a-z ]+) \| (yes|no) \|", PROTOCOL, re.MULTILINE)
    assert rows == [
        (str(code.value), code.name.lower().replace("_", " "), "yes" if code.reconnect else "no") for code in CloseCode
    ]


def test_codes_that_come_over_http_only() -> None:
    """The page names the first of them, and the registry keeps them behind the others."""
    assert f"those from `{Code.UNAUTHORIZED}` on come over HTTP only" in PROTOCOL
    codes = list(Code)
    assert codes[codes.index(Code.UNAUTHORIZED) - 1] is Code.UNDO_EXPIRED


def test_examples_of_messages() -> None:
    """What the page shows as sent can be read by the other side, unless it is cut short."""
    lines = re.findall(r"^([<>]) (\{.*\})$", PROTOCOL, re.MULTILINE)
    whole = [(way, text) for way, text in lines if not text.endswith("…}")]
    read = set()
    for way, text in whole:
        if way == ">" and '"dance"' not in text:
            read.add(type(decode(text.replace("…", "").encode(), Encoding.JSON)))
        elif way == "<":
            read.add(type(msgspec.json.decode(text, type=ServerMessage)))
    assert len(read) >= 10


def test_bounds_in_prose() -> None:
    """Numbers that the pages state are the defaults and constants of the code."""
    edge, rooms, ledger = EdgeConfig(), RoomConfig(), LedgerConfig()
    for words in (
        f"more than {MESSAGE_BYTES_MAX:,} bytes",
        f"within {edge.hello_ms_max // 1000} seconds",
        f"silent for {edge.heartbeat_ms // 1000} seconds",
        f"may be in {edge.rooms_per_session_max} rooms",
        f"{edge.commands_per_s_max} commands\na second over time and {edge.commands_burst_max} at once",
        f"have {edge.gifts_in_flight_max} gifts without an\nanswer",
        f"1 to {COUNT_MAX:,}",
        f"at most {MESSAGE_LENGTH_MAX} characters",
        f"every {rooms.tick_ms} ms",
        f"more than {rooms.tick_viewers:,} viewers",
        f"more than {rooms.events_per_tick_max} events",
        f"gifts of {rooms.big_gift_coins:,} coins or more",
        f"{rooms.combo_window_ms // 1000} seconds by default",
        f"more than {rooms.resume_facts_max:,} events",
        f"at most {rooms.resume_page_facts} events",
        f"the newest {rooms.replay_facts_max} events of the last {rooms.replay_ms_max // 3_600_000} hours",
        f"for {rooms.ack_life_ms // 86_400_000} days",
        f"the next {ledger.undo_pause_ms // 60_000} minutes",
        f"when {ledger.batch_waiting_max:,} gifts wait",
        f"may be {ledger.id_window_ms // 3_600_000} hour old and {ledger.id_ahead_ms // 60_000} minutes ahead",
        f"pass {edge.overlay_queue_bytes_max // 2**20} MiB",
    ):
        assert _flowing(words) in _flowing(PROTOCOL), words
    assert f"{ledger.journal_records_max:,} records" in OPERATIONS


def test_metrics_of_the_alerts() -> None:
    """Every metric, duty and number that the page would alert on exists."""
    alerts = OPERATIONS[OPERATIONS.index("Worth an alert") : OPERATIONS.index("## Logs")]
    names = set(re.findall(r"`(giftwire_\w+)", alerts))
    known = {metric.name for metric in METRICS}
    assert {name for name in names if not name.startswith(("giftwire_worker_", "giftwire_audit_"))} <= known
    assert all(f"`{name}`" in TABLES["metrics"]() for name in names)
    for stats in (RelayStats, FlusherStats):
        assert "last_at_ms" in stats.__struct_fields__


def _flowing(text: str) -> str:
    return " ".join(text.split())

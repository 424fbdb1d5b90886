"""Logs are JSON where nobody watches, from the level on that was asked for, and never stop who writes them."""

import json
import subprocess
import sys
from pathlib import Path

WORDS = (
    "import logging, structlog\n"
    "from gateway.run.logs import set_up_logs\n"
    "set_up_logs('info', 'tried')\n"
    "structlog.get_logger().debug('unheard')\n"
    "structlog.get_logger().info('heard', number=1)\n"
    "logging.getLogger('library').warning('%s too', 'heard')\n"
    "print('done')\n"
)


def logged(to: str) -> subprocess.CompletedProcess[str]:
    """Log into a file; what was printed."""
    with open(to, "w", encoding="utf-8") as log:
        return subprocess.run(
            [sys.executable, "-c", WORDS],
            cwd=Path(__file__).parents[4],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=60,
            check=False,
        )


def test_logs_in_a_file(tmp_path: Path) -> None:
    """Each line is JSON with the process that speaks, ours and a library's alike."""
    assert logged(str(tmp_path / "log")).stdout == "done\n"
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["event"], line["level"], line["process"]) for line in lines] == [
        ("heard", "info", "tried"),
        ("heard too", "warning", "tried"),
    ]
    assert lines[0]["number"] == 1


def test_logs_on_a_full_disk() -> None:
    """The writer goes on."""
    assert logged("/dev/full").stdout == "done\n"

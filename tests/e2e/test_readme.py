"""The commands of README.md and docs/start.md, run as they stand there, against a real server.

A block after `<!-- run -->` is run; a block of JSON right behind it is what its commands print, but for ids, names and
tokens. All blocks of a page run in one shell, one after the other. `make run` and `make test` are not run as a whole
(the one never ends, the other would run this test again): `make -n` says what they do, and the rest of the suite does
those things. What `make run` prints is compared with what `giftwire serve --demo` prints here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.repo.sources import ROOT
from tests.serving import Serve, serving

SHOWN_URL = "http://127.0.0.1:8080"
END = "--- the block ends"
VARYING = {"id", "user", "name"}
_BLOCK = re.compile(
    r"<!-- run -->\n```(?P<kind>bash|python)\n(?P<text>.*?)```\n(?:```json\n(?P<prints>.*?)```\n)?", re.DOTALL
)

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="the pages' commands need bash and curl"
)


class Block(Struct, frozen=True):
    """Commands of a page, and the lines that they print; None where the page does not say."""

    commands: str
    prints: list[str] | None


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A demo whose data folder is `var` of a folder in which `.venv` is this environment."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / ".venv").symlink_to(sys.prefix)
    with serving(folder / "var", "--demo") as running:
        yield running


@pytest.mark.parametrize("name", ["README.md", "docs/start.md"])
def test_commands_of_a_page(serve: Serve, name: str) -> None:
    """Every block ends well and prints what the page says."""
    blocks = blocks_of(ROOT / name)
    assert len(blocks) >= 3
    printed = run(serve, blocks)
    assert len(printed) == len(blocks)
    for block, lines in zip(blocks, printed, strict=True):
        if block.prints is not None:
            assert [shape(json.loads(line)) for line in lines] == [shape(json.loads(line)) for line in block.prints]


def test_page_that_serve_prints(serve: Serve) -> None:
    """README.md shows it, with shorter tokens and paths and the usual port."""
    printed = serve.output.replace(serve.url, SHOWN_URL).replace(str(serve.data_dir), "…/giftwire/var")
    # Tests start it as a module; README.md shows how `make run` does.
    printed = printed.replace(" giftwire token", " …/giftwire/.venv/bin/giftwire token")
    printed = re.sub(r"token=([\w-]{20})[\w.-]+", r"token=\1…", printed)
    assert f"```text\n{printed.strip()}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_make_targets() -> None:
    """`make run` serves the demo, `make test` runs pytest; both set up what they need before."""
    # `make test` runs this under make, which would tell the inner one that it is not alone.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    for target, does in (("run", "giftwire serve --demo"), ("test", "-m pytest")):
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, env=alone
        )
        assert does in done.stdout.splitlines()[-1]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^run: setup web$", makefile, re.MULTILINE)
    assert re.search(r"^test: setup web$", makefile, re.MULTILINE)


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page that are to be run."""
    blocks = []
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        prints = match["prints"].splitlines() if match["prints"] else None
        commands = match["text"] if match["kind"] == "bash" else f".venv/bin/python - <<'END'\n{match['text']}END\n"
        blocks.append(Block(commands, prints))
    return blocks


def run(serve: Serve, blocks: list[Block]) -> list[list[str]]:
    """Run blocks in one shell; the lines that each of them printed."""
    script = "set -euo pipefail\n" + f"\nprintf '\\n%s\\n' '{END}'\n".join(block.commands for block in blocks)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIFTWIRE_")}
    done = subprocess.run(
        ["bash", "-c", script.replace(SHOWN_URL, serve.url)],
        cwd=serve.data_dir.parent,
        env={**environment, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [[line for line in part.splitlines() if line] for part in done.stdout.split(END)]


def shape(answer: Any) -> Any:
    """An answer without what differs each time; that it is there still counts."""
    if isinstance(answer, dict):
        return {key: "…" if key in VARYING else shape(value) for key, value in answer.items()}
    return answer

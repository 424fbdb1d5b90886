"""The wheel brings everything that the code reads when it runs."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.repo.sources import PACKAGES, ROOT, files

LEFT_OUT = (ROOT / "gateway" / "web",)
"""Sources of the pages: what is built from them is in the wheel."""


def test_wheel(tmp_path: Path) -> None:
    """Every file of the packages is in it: code, scripts, migrations, catalogue, and the pages once built."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in files(package, "*")
        if path.is_file() and not any(path.is_relative_to(left_out) for left_out in LEFT_OUT)
    }
    assert wanted - inside == set()
    strange = {
        name
        for name in inside
        if name.partition("/")[0] not in (*PACKAGES, wheel.name[: wheel.name.index("-py")] + ".dist-info")
    }
    assert strange == set()
    assert not any(name.startswith("gateway/web") for name in inside)

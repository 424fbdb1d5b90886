"""The data folder: refused with a reason when it cannot be used, private, and one serve's at a time."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.run.keeping import folder as folder_module
from gateway.run.keeping.folder import (
    SOCKET_NAME_BYTES_MAX,
    SOCKET_PATH_BYTES_MAX,
    DataFolder,
    FolderTaken,
    FolderUnusable,
    ServeLock,
    WorkerLock,
    put_in_place,
    signing_key,
)

NOBODY = 65_534


def as_somebody_else(act: Callable[[], object]) -> str:
    """What goes wrong for a user who is not root; empty when nothing does."""
    read_handle, write_handle = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            act()
        except FolderUnusable as exc:
            os.write(write_handle, str(exc).encode())
        os._exit(0)
    os.close(write_handle)
    with os.fdopen(read_handle, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.fixture
def seen_by_all() -> Iterator[Path]:
    """A folder that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="gw-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_folder_that_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that were missing are made for their owner alone, and the path is whole."""
    monkeypatch.chdir(tmp_path)
    folder = DataFolder(Path("a/b"))
    assert folder.path == tmp_path / "a" / "b"
    for made in (tmp_path / "a" / "b", folder.run, folder.logs):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """It is refused by name."""
    (tmp_path / "var").write_text("")
    with pytest.raises(FolderUnusable, match="var is not a folder"):
        DataFolder(tmp_path / "var")


def test_folder_of_somebody_else(seen_by_all: Path) -> None:
    """It is refused with a way out, and its permissions stay."""
    (seen_by_all / "var").mkdir(mode=0o500)
    assert "choose another with --data-dir" in as_somebody_else(lambda: DataFolder(seen_by_all / "var"))
    assert stat.S_IMODE((seen_by_all / "var").stat().st_mode) == 0o500


def test_folder_where_none_can_be_made(seen_by_all: Path) -> None:
    """It is refused with a way out."""
    seen_by_all.chmod(0o555)
    said = as_somebody_else(lambda: DataFolder(seen_by_all / "a" / "b"))
    seen_by_all.chmod(0o755)
    assert "cannot be made: Permission denied; choose another with --data-dir" in said


def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with less free space than a start asks for is refused with both numbers."""
    folder = DataFolder(tmp_path)
    folder.check_room()
    monkeypatch.setattr(folder_module, "FREE_BYTES_MIN", 2**62)
    with pytest.raises(FolderUnusable, match=f"MiB are free, {2**42} are needed"):
        folder.check_room()


@pytest.mark.parametrize(("over", "inside"), [(0, True), (1, False)])
def test_sockets_at_the_bound_of_their_path(tmp_path: Path, over: int, inside: bool) -> None:
    """Sockets stand in the data folder as long as the kernel takes their paths, and in a short one beyond."""
    longest = SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES_MAX - len("/run")
    base = Path(tempfile.gettempdir()).resolve()
    path = base / ("x" * (longest + over - len(str(base)) - 1))
    try:
        folder = DataFolder(path)
        sockets = folder.sockets()
        assert (sockets == folder.run) is inside
        assert len(os.fsencode(sockets)) + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        folder.remove_short_sockets()
        assert sockets.exists() is inside
    finally:
        for made in (path / "run", path / "logs", path):
            made.rmdir()


def test_short_sockets_that_somebody_opened(tmp_path: Path) -> None:
    """A short folder that others may enter is not used: a socket there would be anybody's."""
    folder = DataFolder(tmp_path / ("x" * 100))
    sockets = folder.sockets()
    try:
        sockets.chmod(0o755)
        with pytest.raises(FolderUnusable, match="ours alone"):
            folder.sockets()
    finally:
        folder.remove_short_sockets()


def test_lock_taken_twice(tmp_path: Path) -> None:
    """The second is refused with the first one's process id; after the first has gone it may."""
    folder = DataFolder(tmp_path)
    with ServeLock(folder), pytest.raises(FolderTaken, match=f"process {os.getpid()}"), ServeLock(folder):
        pass
    with ServeLock(folder):
        pass


def test_worker_lock_goes_to_the_next(tmp_path: Path) -> None:
    """One worker of a folder has it at a time; when that one lets go, the next has it."""
    folder = DataFolder(tmp_path)
    with WorkerLock(folder) as second:
        with WorkerLock(folder) as first:
            assert first.take()
            assert not second.take()
        assert second.take()


def test_signing_key_of_a_folder(tmp_path: Path) -> None:
    """It is made once, stays the same, and only its owner may read it."""
    key = signing_key(tmp_path / "var")
    assert len(key) >= 32
    assert signing_key(tmp_path / "var") == key
    assert stat.S_IMODE((tmp_path / "var" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret.key"]


@pytest.mark.parametrize(("length", "right"), [(32, True), (31, False)])
def test_signing_key_at_its_shortest(tmp_path: Path, length: int, right: bool) -> None:
    """A key of 32 characters is used, a shorter one is refused."""
    (tmp_path / "secret.key").write_text("k" * length)
    if right:
        assert signing_key(tmp_path) == "k" * length
    else:
        with pytest.raises(FolderUnusable, match="too short"):
            signing_key(tmp_path)


def test_put_in_place_where_it_fails(tmp_path: Path) -> None:
    """What was there stays, and nothing half written is left."""
    (tmp_path / "state").mkdir()
    with pytest.raises(OSError, match="state"):
        put_in_place(tmp_path / "state", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]

"""The data folder: who may use it, the locks of its `serve` and its worker, the signing key, where sockets can stand.

Nothing that is there gets looser permissions than it has; what is made here is its owner's alone.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

RUN: Final = "run"
"""The part of a data folder whose content only lives while we run."""
SOCKET_PATH_BYTES_MAX: Final = 107
"""The kernel's bound for the path of a unix socket."""
SOCKET_NAME_BYTES_MAX: Final = len("/.s.PGSQL.5432")
SHORT_PARENT_BYTES_MAX: Final = 60
FREE_BYTES_MIN: Final = 256 * 2**20
"""What a start asks for: PostgreSQL's first folder and its first log segments."""
KEY_BYTES: Final = 48
WORKER_ID_BYTES: Final = 16


class FolderUnusable(Exception):
    """The data folder cannot be used; the message says why and what helps."""


class FolderTaken(FolderUnusable):
    """Another `serve` works on it.

    Attributes:
        pid: of that one; 0 when it cannot be read.
    """

    def __init__(self, folder: Path, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{folder} is in use: giftwire serve already runs on it as {who}; stop that one first")
        self.pid = pid


class DataFolder:
    """A data folder that may be used: it exists, we may write to it, and there is room.

    Attributes:
        path: absolute, without symbolic links.
        valkey, postgres, logs: the folders of the servers' data and of the log files.
        run: what only lives while we run.
    """

    def __init__(self, path: Path) -> None:
        self.path = _made(path)
        self.valkey = self.path / "valkey"
        self.postgres = self.path / "postgres"
        self.run = _made(self.path / RUN)
        self.logs = _made(self.path / "logs")

    def check_room(self) -> None:
        """See that there is room for a start.

        Raises:
            FolderUnusable: less than FREE_BYTES_MIN is free.
        """
        free = free_bytes(self.path)
        if free < FREE_BYTES_MIN:
            raise FolderUnusable(
                f"the disk of {self.path} is full: {free // 2**20} MiB are free, {FREE_BYTES_MIN // 2**20} are needed"
            )

    def sockets(self) -> Path:
        """A folder for unix sockets that only we may enter: inside the data folder, or a short one where that is long.

        Raises:
            FolderUnusable: no such folder can be had.
        """
        if len(os.fsencode(self.run)) + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX:
            return self.run
        short = self._short()
        try:
            short.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise FolderUnusable(f"{short} cannot be made for the sockets: {exc.strerror}") from exc
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise FolderUnusable(f"{short} should be a folder of ours alone and is not; remove it")
        return short

    def remove_short_sockets(self) -> None:
        """Remove the short folder, if there is one and it is empty."""
        with contextlib.suppress(OSError):
            self._short().rmdir()

    def _short(self) -> Path:
        digest = hashlib.blake2b(os.fsencode(self.path), digest_size=6).hexdigest()
        parent = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        if len(os.fsencode(parent)) > SHORT_PARENT_BYTES_MAX or not os.access(parent, os.W_OK | os.X_OK):
            parent = Path("/tmp")  # noqa: S108 - what is made there is its owner's alone, and looked at again
        return parent / f"giftwire-{os.geteuid()}-{digest}"


class ServeLock:
    """The right to be the one `serve` of a folder; the kernel takes it back when we die, however we die."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._handle = -1

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            FolderTaken: somebody has it.
        """
        path = self._folder.path / "serve.lock"
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise FolderUnusable(f"{path} cannot be opened: {exc.strerror}") from exc
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(self._handle, 32).decode(errors="replace").strip()
            os.close(self._handle)
            raise FolderTaken(self._folder.path, int(written) if written.isdecimal() else 0) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: removing it would let two take a lock on two files of one name.
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


class WorkerLock:
    """The right to be the one worker of a folder, whose files tell of it; it ends with its holder."""

    def __init__(self, folder: DataFolder) -> None:
        self._path = folder.run / "worker.lock"
        self._handle = -1

    def __enter__(self) -> Self:
        """Open it, without taking it.

        Raises:
            FolderUnusable: it cannot be opened.
        """
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise FolderUnusable(f"{self._path} cannot be opened: {exc.strerror}") from exc
        return self

    def take(self) -> bool:
        """Take it; False while another process has it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)


def worker_id(folder: DataFolder) -> bytes:
    """The name of the folder's worker, 16 bytes, made when there is none. Only the holder of the worker's lock may ask.

    One that died and was started again is the same worker, and goes on with what it had.

    Raises:
        FolderUnusable: it cannot be read or made.
    """
    path = folder.run / "worker.id"
    try:
        if not path.exists():
            put_in_place(path, secrets.token_bytes(WORKER_ID_BYTES).hex().encode() + b"\n")
        name = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as exc:
        raise FolderUnusable(f"the worker's name {path} cannot be used: {exc}") from exc
    if len(name) != WORKER_ID_BYTES:
        raise FolderUnusable(f"the worker's name {path} is damaged: remove it")
    return name


def signing_key(data_dir: Path) -> str:
    """The key of all tokens that this folder keeps; made when there is none.

    Raises:
        FolderUnusable: it cannot be read or made.
    """
    path = data_dir / "secret.key"
    try:
        _made(data_dir)
        fresh = data_dir / f".secret.key.{os.getpid()}"
        if not path.exists():
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(KEY_BYTES) + "\n")
                file.flush()
                os.fsync(handle)
            try:
                os.link(fresh, path)  # fails when another process was first: then its key counts
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise FolderUnusable(f"the signing key {path} cannot be used: {exc}") from exc
    if len(key) < 32:
        raise FolderUnusable(f"the signing key {path} is too short: 32 characters are the least")
    return key


def put_in_place(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """What we may still write on the disk of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _made(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        resolved = path.resolve(strict=True)
    except FileExistsError:
        raise FolderUnusable(f"{path} is not a folder") from None
    except OSError as exc:
        hint = "; choose another with --data-dir" if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else ""
        raise FolderUnusable(f"{path} cannot be made: {exc.strerror}{hint}") from exc
    if not os.access(resolved, os.R_OK | os.W_OK | os.X_OK):
        raise FolderUnusable(f"{path} belongs to somebody else: we may not write to it; choose another with --data-dir")
    return resolved

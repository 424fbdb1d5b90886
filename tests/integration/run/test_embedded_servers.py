"""Both embedded servers keep what they stored, whatever dies, and leave the machine as it was."""

import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.run.keeping.folder import DataFolder, FolderTaken, ServeLock
from gateway.run.keeping.processes import send_signal
from gateway.run.servers.postgres import chosen_identity
from tests.integration.run.running import REPOSITORY, OnlyServers, until

MakeServers = Callable[..., OnlyServers]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


async def test_servers_started_again(servers: OnlyServers) -> None:
    """What was stored before an orderly stop is there after the next start."""
    servers.start()
    servers.put("kept")
    await servers.put_row("kept too")
    assert servers.stop() == 0
    assert servers.server_pids() == []
    servers.start()
    assert servers.stored() == "kept"
    assert await servers.stored_row() == "kept too"


async def test_servers_whose_keeper_was_killed(servers: OnlyServers) -> None:
    """They end by themselves, and a start right after finds everything and no stale lock in its way."""
    servers.start()
    servers.put("kept")
    await servers.put_row("kept too")
    servers.kill()
    servers.start()
    assert servers.stored() == "kept"
    assert await servers.stored_row() == "kept too"
    servers.kill()
    until(lambda: servers.server_pids() == [], "both servers end by themselves")


def test_servers_left_over_that_do_not_end(data_dir: Path, servers_in: MakeServers) -> None:
    """A server of an earlier run that hangs is ended by the next start, and its data is read after its end."""
    servers = servers_in(data_dir, {"stop_ms_max": 300})
    servers.start()
    servers.put("kept")
    left_over = servers.pid_of("valkey")
    send_signal(left_over, signal.SIGSTOP)
    servers.kill()
    servers.start()
    assert servers.pid_of("valkey") != left_over
    assert servers.stored() == "kept"


def test_valkey_killed(servers: OnlyServers) -> None:
    """It is started again, and everything that it had answered is there."""
    servers.start()
    servers.put("kept")
    send_signal(servers.pid_of("valkey"), signal.SIGKILL)
    until(lambda: servers.restarts_of("valkey") == 1, "Valkey is started again")
    assert servers.stored() == "kept"


async def test_postgres_killed(servers: OnlyServers) -> None:
    """It is started again, and everything that it had committed is there."""
    servers.start()
    await servers.put_row("kept")
    send_signal(servers.pid_of("postgres"), signal.SIGKILL)
    until(lambda: servers.restarts_of("postgres") == 1, "PostgreSQL is started again")
    assert await servers.stored_row() == "kept"


def test_server_that_dies_again_and_again(data_dir: Path, servers_in: MakeServers) -> None:
    """It is given up after a bounded number of deaths, with its own last words, and the other one is stopped."""
    servers = servers_in(data_dir, {"quick_deaths_max": 2, "quick_death_ms": 600_000, "restart_pause_ms_max": 1})
    servers.start()
    for log in (data_dir / "valkey" / "appendonlydir").glob("*.aof"):
        log.write_bytes(b"no commands at all" * 100)
    send_signal(servers.pid_of("valkey"), signal.SIGKILL)
    message = servers.end_message()
    assert "valkey died 2 times in a row" in message
    assert "Bad file format" in message
    assert servers.server_pids() == []


def test_servers_in_a_folder_with_a_long_path(data_dir: Path, servers_in: MakeServers) -> None:
    """Sockets stand in a short folder of ours alone where the data folder's path is over the kernel's bound."""
    servers = servers_in(data_dir / ("long" * 30))
    servers.start()
    servers.put("reached")
    assert servers.stored() == "reached"
    sockets = Path(servers.redis_url.removeprefix("unix://")).parent
    assert not sockets.is_relative_to(data_dir)
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    servers.stop()
    DataFolder(servers.folder).remove_short_sockets()
    assert not sockets.exists()


def test_second_start_on_a_folder_in_use(servers: OnlyServers) -> None:
    """It is refused with the process that has it, and the first one goes on."""
    servers.start()
    with pytest.raises(FolderTaken) as caught, ServeLock(DataFolder(servers.folder)):
        pass
    assert caught.value.pid == int((servers.folder / "serve.lock").read_text())
    servers.put("still here")
    assert servers.stored() == "still here"


def test_machine_after_a_run(servers: OnlyServers) -> None:
    """No user was added, no folder above ours was opened, and the data folder is its owner's alone."""
    users = pwd.getpwall()
    above = {folder: folder.stat().st_mode for folder in servers.folder.parents}
    servers.start()
    servers.stop()
    assert pwd.getpwall() == users
    assert {folder: folder.stat().st_mode for folder in above} == above
    made = [servers.folder, *(folder for folder in servers.folder.rglob("*") if folder.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in made} == {0o700}
    assert {path.lstat().st_uid for path in servers.folder.rglob("*")} == {os.geteuid()}


@only_root
async def test_root_on_a_folder_of_somebody_else(servers: OnlyServers) -> None:
    """PostgreSQL runs as the folder's owner, and its files stay the owner's."""
    servers.folder.mkdir(mode=0o700)
    os.chown(servers.folder, 65_534, 65_534)
    assert chosen_identity(DataFolder(servers.folder)) == "id:65534"
    servers.start()
    await servers.put_row("kept")
    servers.stop()
    servers.start()
    assert await servers.stored_row() == "kept"
    assert {path.lstat().st_uid for path in (servers.folder / "postgres").rglob("*")} == {65_534}


@only_root
def test_start_on_a_small_disk(data_dir: Path) -> None:
    """It is refused before anything is written that would not fit, with what is free and what is needed."""
    data_dir.mkdir()
    start = f"exec {sys.executable} -m tests.integration.run.only_servers {data_dir}/var"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=32m none {data_dir} && {start}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("this root may not mount, as in most containers")
    assert done.returncode == 1
    assert "is full: 31 MiB are free, 256 are needed" in done.stderr or "is full: 32 MiB" in done.stderr, done.stderr

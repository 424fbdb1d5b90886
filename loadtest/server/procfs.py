"""CPU time and memory of processes, as the kernel counts them. Linux only."""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_STATE, _PARENT, _UTIME, _STIME, _WAITED_UTIME, _WAITED_STIME, _RSS = 0, 1, 11, 12, 13, 14, 21
"""Fields of /proc/PID/stat, counted after the command name, which may itself hold blanks and brackets."""


class ServerProcess(Struct, frozen=True):
    """A process below `giftwire serve`.

    Attributes:
        part: gateway, worker, valkey, postgres, serve, or other.
    """

    pid: int
    part: str


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process so far; 0 when it has gone."""
    fields = _stat(pid)
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S if fields else 0.0


def waited_s(pid: int) -> float:
    """The same of its children that have ended; 0 when it has gone."""
    fields = _stat(pid)
    return (int(fields[_WAITED_UTIME]) + int(fields[_WAITED_STIME])) / _TICKS_PER_S if fields else 0.0


def machine_s() -> float:
    """CPU seconds of this machine so far that were not idle, those that its host took from it included."""
    user, nice, system, _idle, _waiting, irq, softirq, stolen = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + stolen) / _TICKS_PER_S


def pss_kb(pid: int) -> int:
    """Memory of a process with shared pages divided among those who share them.

    Raises:
        OSError: the process has gone, or is not ours to look at.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise OSError(f"no Pss of process {pid}")


def rss_kb(pid: int) -> int:
    """Resident memory of a process with all shared pages; 0 when it has gone. Costs hardly anything."""
    fields = _stat(pid)
    return int(fields[_RSS]) * _PAGE_KB if fields else 0


def state(pid: int) -> str:
    """The letter that the kernel has for what a process does, such as `S`, `R`, or `T` when stopped; "" when gone."""
    fields = _stat(pid)
    return fields[_STATE] if fields else ""


def family(root_pid: int) -> list[ServerProcess]:
    """A `serve` process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry))
    found, waiting = [ServerProcess(root_pid, "serve")], list(children.get(root_pid, ()))
    while waiting:
        pid = waiting.pop()
        found.append(ServerProcess(pid, _part(pid)))
        waiting += children.get(pid, ())
    return found


def cpu_by_part(processes: list[ServerProcess]) -> dict[str, float]:
    """CPU seconds so far, summed over the processes of each part."""
    parts: dict[str, float] = {}
    for process in processes:
        parts[process.part] = parts.get(process.part, 0.0) + cpu_s(process.pid)
    return parts


def _part(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        return "other"
    program = Path(words[0]).name if words else ""
    for part in ("valkey", "postgres"):
        # First: PostgreSQL names its processes after what they do, one of them "postgres: io worker".
        if program.startswith(part):
            return part
    for part in ("gateway", "worker"):
        if part in words[:8]:
            return part
    return "other"


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []

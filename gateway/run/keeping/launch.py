"""Become another program, so that it ends with us: run as a script between `serve` and each of its processes.

It stands on the standard library alone and is started with `python -I -S`, since it runs before every process. The
last thing it does is exec: the process keeps its id, and its command line is the program's own.

PostgreSQL refuses to run as root. Two ways around it loosen no permission and add no user:

- `namespace`: a user namespace in which our own id has another number. Files still belong to whom they belonged to.
- `id:N`: the unprivileged id N, with the one capability to pass folders that only root may enter.
"""

import ctypes
import os
import pwd
import signal
import struct
import sys

CLONE_NEWUSER = 0x1000_0000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x2008_0522
FAILED = 126
"""Exit status when the program could not be started, as in a shell."""

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """`PARENT_PID DEATH_SIGNAL IDENTITY PROGRAM ARGUMENT…`; returns only when it failed."""
    parent_pid, death_signal, identity, *command = arguments
    try:
        take_identity(identity)
        end_with_parent(int(parent_pid), int(death_signal))
        os.execv(command[0], command)  # noqa: S606 - the program is chosen by serve
    except OSError as exc:
        print(f"cannot start {command[0]}: {exc}", file=sys.stderr)  # noqa: T201 - there is no log yet
    return FAILED


def take_identity(identity: str) -> None:
    """Be `self`, `namespace` or `id:N` from now on.

    Raises:
        OSError: the kernel does not allow it.
    """
    if identity == "namespace":
        _enter_namespace(os.geteuid(), os.getegid())
    elif identity.startswith("id:"):
        _become(int(identity[3:]))


def end_with_parent(parent_pid: int, death_signal: int) -> None:
    """Ask for `death_signal` when the parent dies. Last before exec: a change of identity takes the request back."""
    _call("prctl", PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def launcher(death_signal: int, identity: str) -> list[str]:
    """The words to put before a command, so that it runs as a child of this process under that identity."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), str(int(death_signal)), identity]


def _enter_namespace(uid: int, gid: int) -> None:
    # Any number but 0 does, if it has a name: initdb looks its own up.
    inside = min((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), default=1)
    _call("unshare", CLONE_NEWUSER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {uid} 1"),
        ("gid_map", f"{inside} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)


def _become(uid: int) -> None:
    _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    bit = 1 << CAP_DAC_OVERRIDE
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable: for the lower 32 capabilities, then for the upper ones
    _call("capset", header, struct.pack("6I", bit, bit, bit, 0, 0, 0))
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _call(name: str, *arguments: int | bytes) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A program that is to run in a terminal: where it is found, and in a sentence why it cannot be started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class LaunchError(Exception):
    """The program could not be started: a sentence about why, and a hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Program(NamedTuple):
    """What is to run: the arguments, the whole environment, the directory, and the limits of open files."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    nofile: tuple[int, int] | None


def start_of(pid: int) -> str | None:
    """Return when a process began: clock ticks since boot on Linux, the words of ``ps`` elsewhere.

    With the pid and the boot it is the identity of a process, so it is written down while it surely lives.
    """
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        stat = os.read(file, 4096)
        os.close(file)
    except OSError:
        return _start_by_ps(pid) if sys.platform == "darwin" else None
    # The name in the second field may hold spaces and parentheses, so fields are counted after the last ")".
    return stat[stat.rindex(b")") + 1 :].split()[19].decode("ascii")


def _start_by_ps(pid: int) -> str | None:
    reader, writer = os.pipe()
    asker = os.fork()
    if asker == 0:
        try:
            os.dup2(writer, 1)
            os.execve("/bin/ps", ["ps", "-o", "lstart=", "-p", str(pid)], {"LC_ALL": "C"})  # noqa: S606
        finally:
            os._exit(127)
    os.close(writer)
    answer = os.read(reader, 256).decode("ascii", "replace").strip()
    os.close(reader)
    os.waitpid(asker, 0)
    return answer or None


def find(program: Program) -> str:
    """Return the path of the program, looked up on the PATH of its own environment.

    Raises:
        LaunchError: There is none, or its directory is missing.
    """
    cwd = program.cwd
    if not os.path.isdir(cwd):  # noqa: PTH112
        raise LaunchError(f"The directory {cwd} does not exist.", "Create it, or choose another one.")
    if not program.argv or not program.argv[0]:
        raise LaunchError("There is no program to start: the command is empty.")
    name = program.argv[0]
    if "/" in name:
        candidates = [os.path.join(cwd, name)]  # noqa: PTH118
    else:
        path = program.env.get("PATH", _DEFAULT_PATH)
        candidates = [os.path.join(cwd, place, name) for place in path.split(":")]  # noqa: PTH118
    files = [file for file in candidates if os.path.isfile(file)]  # noqa: PTH113
    for file in files:
        if os.access(file, os.X_OK):
            return file
    if files:
        raise LaunchError(f"{files[0]} is not executable.", "Check its permissions (chmod +x).")
    if "/" in name:
        raise LaunchError(f"There is no program {candidates[0]}.", "Check the path.")
    raise LaunchError(f"There is no program {name!r} on the PATH.", "Install it, or correct PATH.")

"""What the machine must be like for agents to live on it: programs, limits, space, clock.

Each ``judge_...`` is a pure function from facts to findings; beside it stands what gathers the facts.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from afx.api.doctor import DoctorContext, Finding

OLDEST_GIT = (2, 36)
_WHY_GIT = "Workspaces are git repositories, and builders work in git worktrees."
_MB = 10**6
_LITTLE_SPACE = 100 * _MB
_SOME_SPACE = 1000 * _MB
_FEW_FILES = 4096
_TOO_FEW_FILES = 64
_FEW_PROCESSES = 200
_TOO_FEW_PROCESSES = 10
_INOTIFY = Path("/proc/sys/fs/inotify")
_FEW_WATCHES: Mapping[str, int] = {"max_user_instances": 128, "max_user_watches": 16384}
_PROC = Path("/proc/self")
_PATIENCE = 5.0
# Nobody had this code before then, so no clock that is right says so.
_RELEASED = 1_760_000_000.0


def check_python(_: DoctorContext) -> Iterator[Finding]:
    """Say which Python runs afx."""
    yield Finding.ok(f"Python {platform.python_version()} at {sys.executable}.")


def check_git(context: DoctorContext) -> Iterator[Finding]:
    """Look for git, in which builders' worktrees are made."""
    program = shutil.which("git", path=context.env.get("PATH"))
    said = None if program is None else said_by(program, "--version")
    if program is not None and said is None:
        yield Finding.error(f"{program} cannot be run.", _WHY_GIT)
    else:
        yield judge_git(said)


def judge_git(said: str | None) -> Finding:
    """Say whether a git that answers `said` to ``--version`` will do; None where there is none."""
    if said is None:
        return Finding.error("There is no program `git` on the PATH.", _WHY_GIT)
    version = re.search(r"(\d+)\.(\d+)[.\d]*", said)
    if version is None:
        return Finding.warning(f"git says {said!r} of itself, which is no version.", _WHY_GIT)
    if (int(version[1]), int(version[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        return Finding.warning(
            f"git {version[0]} is older than {oldest}, the oldest that was tried.", _WHY_GIT
        )
    return Finding.ok(f"git {version[0]}.")


def check_limits(_: DoctorContext) -> Iterator[Finding]:
    """Look at how many files, processes and watches this user may have."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield judge_files(None if files == resource.RLIM_INFINITY else files)
    yield judge_processes(_processes_left())
    if _INOTIFY.is_dir():
        yield from judge_inotify({name: _number(_INOTIFY / name) for name in _FEW_WATCHES})


def judge_files(most: int | None) -> Finding:
    """Say whether `most` open files are enough; None: no limit."""
    if most is not None and most < _FEW_FILES:
        judged = Finding.error if most < _TOO_FEW_FILES else Finding.warning
        return judged(
            f"A process may have {most} open files at most.",
            "The Tower needs some for each terminal and each window on one. It has what its shell has.",
            f"sudo prlimit --pid $$ --nofile={_FEW_FILES} && afx tower restart",
        )
    return Finding.ok("Open files: no limit." if most is None else f"Open files: up to {most}.")


def judge_processes(left: int | None) -> Finding:
    """Say whether `left` more processes are enough; None: no limit."""
    if left is not None and left < _FEW_PROCESSES:
        judged = Finding.error if left < _TOO_FEW_PROCESSES else Finding.warning
        return judged(
            f"Only {max(0, left)} more processes can be started here.",
            "Every agent is at least two, and what it runs comes on top; the rest fails to start.",
        )
    return Finding.ok("Processes: no limit." if left is None else f"Processes: {left} more.")


def judge_inotify(limits: Mapping[str, int | None]) -> Iterator[Finding]:
    """Say whether programs that watch files, as many agents and their tools do, can have enough watches."""
    low = False
    for name, number in limits.items():
        if number is not None and number < _FEW_WATCHES[name]:
            low = True
            yield Finding.warning(
                f"fs.inotify.{name} is {number}.",
                "Agent programs and the tools they run watch files; several agents use this up.",
                f"sudo sysctl fs.inotify.{name}={_FEW_WATCHES[name] * 4}",
            )
    if not low:
        yield Finding.ok("inotify limits are high enough.")


def check_space(context: DoctorContext) -> Iterator[Finding]:
    """Look at the disk under the state directory."""
    place = nearest(context.home)
    facts = os.statvfs(place)
    yield judge_space(place, facts.f_bavail * facts.f_frsize, facts.f_favail if facts.f_files else None)


def judge_space(place: Path, free: int, inodes: int | None) -> Finding:
    """Say whether so many free bytes and files are enough."""
    why = "What happens to agents is stored here at once; on a full disk the Tower starts nothing."
    if free < _LITTLE_SPACE or (inodes is not None and inodes < 100):
        return Finding.error(
            f"{place} has {free // _MB} MB left{'' if inodes is None else f', and room for {inodes} files'}.",
            why,
            shell("df", "-h", place),
        )
    if free < _SOME_SPACE:
        return Finding.warning(f"{place} has {free // _MB} MB left.", why, shell("df", "-h", place))
    return Finding.ok(f"{place} has {free // _MB} MB left.")


def check_clock(context: DoctorContext) -> Iterator[Finding]:
    """Compare the clock with what was written before now."""
    written = []
    for name in ("tower.json", "tower.lock", "tower.log", "key"):
        with suppress(OSError):
            written.append((context.home / name).stat().st_mtime)
    yield judge_clock(time.time(), max(written, default=None))


def judge_clock(now: float, written: float | None) -> Finding:
    """Say whether the clock can be right, where something was last written at `written`."""
    why = "Ages, the order of conversations and the page's sign-in are told by it."
    if now < _RELEASED:
        return Finding.warning("The clock is years behind.", why, "timedatectl set-ntp true")
    if written is not None and written > now + 60:
        return Finding.warning(
            f"The clock is {written - now:.0f} s behind what was written to the state directory.",
            why,
            "timedatectl set-ntp true",
        )
    return Finding.ok("The clock is not behind.")


def nearest(path: Path) -> Path:
    """Return a path, or the nearest one above it that is there and can be looked at."""
    for one in (path, *path.parents):
        with suppress(OSError):
            one.stat()
            return one
    return Path("/")


def shell(*words: str | Path) -> str:
    """Return a command as a shell reads it."""
    return shlex.join(map(str, words))


def said_by(*command: str) -> str | None:
    """Return the first line that a program prints within a moment; None where it fails or prints none."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _processes_left() -> int | None:
    """Return how many more processes the control group and ``ulimit -u`` allow; None: neither limits it."""
    left: list[int] = []
    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    # The system holds root to no such limit.
    if most != resource.RLIM_INFINITY and os.geteuid() != 0 and _PROC.exists():
        left.append(most - _threads_of(os.geteuid()))
    with suppress(OSError):
        left += _left_in_groups(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    return min(left, default=None)


def _left_in_groups(cgroup: str) -> Iterator[int]:
    """Yield how many more processes each control group around a process allows, of those that limit them.

    Args:
        cgroup: The text of its ``/proc/PID/cgroup``.
    """
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "pids"}:
            continue
        root = Path("/sys/fs/cgroup", controllers)
        group = root / path.lstrip("/")
        for place in (group, *group.parents):
            if not place.is_relative_to(root):
                break
            allowed, now = _number(place / "pids.max"), _number(place / "pids.current")
            if allowed is not None and now is not None:
                yield allowed - now


def _threads_of(user: int) -> int:
    """Return how many threads of a user there are, which is what the system counts."""
    threads = 0
    for tasks in _PROC.parent.glob("[0-9]*/task"):
        with suppress(OSError):
            facts = tasks.stat()
            # Of the links of the directory two are its own.
            threads += facts.st_nlink - 2 if facts.st_uid == user else 0
    return threads

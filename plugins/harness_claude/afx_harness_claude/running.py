"""Which Claude Code processes run, which conversation each has open, and whether it takes a message.

A running program keeps a record of itself in ``sessions/PID.json`` of its configuration directory. The
program removes it at its end, but not when it is killed, so a record counts only while the very process
that wrote it lives. Records were seen of 2.1.329 and 2.1.197.
"""

from __future__ import annotations

import calendar
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from afx.plugin import ConversationId, ProcessIdentity, identify

from .transcripts import config_directory

_LONGEST_RECORD = 1 << 20
# In seconds. Should a version never tell its status, it still gets its messages.
_COMES_UP_WITHIN = 30
_LSTART = "%a %b %d %H:%M:%S %Y"


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """What a running program says of itself.

    Attributes:
        proc_start: When its process began: on Linux in clock ticks since boot, elsewhere what ``ps -o
            lstart=`` prints in UTC. Empty where it does not say.
        status: ``idle``, ``busy``, ``waiting`` where a dialog is open, and others; empty while it comes up.
        started_at: In milliseconds.
    """

    pid: int
    session_id: str = ""
    proc_start: str = ""
    status: str = ""
    started_at: float = 0


_decoder = msgspec.json.Decoder(Record)


def holder(session_id: ConversationId, directory: Path) -> ProcessIdentity | None:
    """Return the live process that has a conversation open, of those that use a configuration directory."""
    for path in _record_files(directory):
        with suppress(OSError, msgspec.DecodeError):
            record = _read(path)
            if record.session_id == session_id and (process := _writer(record)) is not None:
                return process
    return None


def open_in(process: ProcessIdentity, directory: Path) -> ConversationId | None:
    """Return the conversation that the program has open that runs in a terminal, or None where it is unknown.

    Args:
        process: The terminal's process. The program may be a descendant of it, as under a wrapper.
        directory: The program's configuration directory.
    """
    for pid in _nearest_first(process.pid):
        with suppress(OSError, msgspec.DecodeError):
            record = _read(directory / "sessions" / f"{pid}.json")
            if record.pid == pid and _writer(record) is not None:
                return record.session_id or None
    return None


def takes_messages(process: ProcessIdentity, commands: tuple[str, ...]) -> bool | None:
    """Tell whether the program that runs in a terminal takes what is typed as a message.

    Args:
        process: The terminal's process. The program may be a descendant of it, as under a wrapper.
        commands: The names that the program's process may have.

    A program that shows a dialog says that it waits. One that came up so far as to ask whether the directory
    is trusted has no record yet: where others have one, a program without one takes no messages. That is
    said on Linux only, since elsewhere it is not known for certain where its record would be. Where nothing
    is known, the answer is None.
    """
    family = _family(process.pid)
    for pid, name in family:
        directory = _directory_of(pid)
        if directory is None:
            continue
        try:
            record = _read(directory / "sessions" / f"{pid}.json")
        except FileNotFoundError:
            record = None
        except (OSError, msgspec.DecodeError):
            # Perhaps it is just being written. What is held back now is asked about again.
            return False
        if record is not None and _writer(record) is not None:
            is_up = bool(record.status) or time.time() > record.started_at / 1000 + _COMES_UP_WITHIN
            return is_up and record.status != "waiting"
        if sys.platform == "linux" and name in commands and any(_record_files(directory)):
            return False
    return None


def _record_files(directory: Path) -> Iterator[Path]:
    """Yield the files of records, and their keys, which the program writes a moment before."""
    with suppress(OSError):
        yield from (path for path in (directory / "sessions").iterdir() if path.suffix in (".json", ".key"))


def _read(path: Path) -> Record:
    with path.open("rb") as file:
        return _decoder.decode(file.read(_LONGEST_RECORD))


def _writer(record: Record) -> ProcessIdentity | None:
    """Return the process that wrote a record, if it lives."""
    process = identify(record.pid)
    if process is None or not record.proc_start:
        return None
    if process.start == record.proc_start:
        return process
    with suppress(ValueError, OverflowError):
        began = time.mktime(time.strptime(process.start, _LSTART))
        if began == calendar.timegm(time.strptime(record.proc_start, _LSTART)):
            return process
    return None


def _directory_of(pid: int) -> Path | None:
    """Return the configuration directory that a process uses, or None where it cannot be told.

    An agent's own CLAUDE_CONFIG_DIR need not be the Tower's.
    """
    if sys.platform != "linux":
        return config_directory(os.environ, Path.cwd())
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        cwd = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    env = dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs)
    return config_directory(env, cwd)


def _nearest_first(pid: int) -> Iterator[int]:
    """Yield a process and then its descendants, which are looked for only where they are asked for."""
    yield pid
    yield from (one for one, _ in _family(pid)[1:])


def _family(pid: int) -> list[tuple[int, str]]:
    """Return a process and its descendants with their names, the nearest ones first."""
    processes = _processes_of_linux() if sys.platform == "linux" else _processes_of_ps()
    children: dict[int, list[int]] = {}
    for child, (parent, _) in processes.items():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found.extend(sorted(set(children.get(one, ())) - set(found)))
    return [(one, processes[one][1]) for one in found if one in processes]


def _processes_of_linux() -> Mapping[int, tuple[int, str]]:
    """Return the parent and the name of every process."""
    processes = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times as fast as paths, and only names are wanted
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - likewise
                stat = file.read()
        except OSError:
            continue
        # The name stands in parentheses and may hold some itself.
        before, _, after = stat.rpartition(b")")
        processes[int(name)] = (int(after.split()[1]), os.fsdecode(before.partition(b"(")[2]))
    return processes


def _processes_of_ps() -> Mapping[int, tuple[int, str]]:
    """Return the parent and the name of every process, where there is no /proc."""
    done = subprocess.run(
        ("ps", "-axo", "pid=,ppid=,comm="), capture_output=True, text=True, check=False, timeout=5
    )
    rows = (line.split(None, 2) for line in done.stdout.splitlines())
    return {int(row[0]): (int(row[1]), row[2].rpartition("/")[2]) for row in rows if len(row) == 3}

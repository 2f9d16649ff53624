"""Which rollouts a running Codex has open, as far as the system shows open files.

The program that is started is a small one that starts the real one, so children count. Linux shows open
files under /proc; elsewhere nothing is known, and `session` falls back on the rollouts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from afx.plugin import ProcessIdentity, identify, is_alive

from .rollouts import id_of

_PROC = Path("/proc")
# The kernel cuts a process's name after 15 bytes.
_NAME = "codex"


def can_tell() -> bool:
    """Tell whether this system shows the open files of a process."""
    return (_PROC / "self" / "fd").is_dir()


def open_in(process: ProcessIdentity) -> list[Path]:
    """Return the rollouts that a process, or what it started, has open."""
    if not is_alive(process):
        return []
    family = [process.pid]
    for pid in family:
        family.extend(_children(pid))
    found = [path for pid in family for path in _rollouts_of(pid)]
    # The pid may have been given to another meanwhile.
    return list(dict.fromkeys(found)) if is_alive(process) else []


def holder_of(session_id: str) -> ProcessIdentity | None:
    """Return a live process that has the rollout of a conversation open."""
    if not can_tell():
        return None
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if not (entry / "comm").read_text(encoding="utf-8", errors="replace").startswith(_NAME):
                continue
            identity = identify(int(entry.name))
            if any(id_of(path) == session_id.lower() for path in _rollouts_of(int(entry.name))):
                return identity
    return None


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            yield from map(int, (task / "children").read_text(encoding="ascii").split())


def _rollouts_of(pid: int) -> Iterator[Path]:
    with suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                path = descriptor.readlink()
                if id_of(path) is not None:
                    yield path

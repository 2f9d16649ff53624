"""The port the Tower listens on: taken early, opened late, and whose it is when it is taken already."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from afx.api.errors import BadInputError, ConflictError

_LISTENING = "0A"


def bind(port: int, last: int = 0) -> socket.socket:
    """Return a socket bound to `port` of the loopback interface (0: any free one) that does not listen yet.

    Until it listens, a connection to it is refused: nobody reads a state that is not complete. Where any will
    do it is the one that the Tower had `last`, if that is free: pages that are open know no other.

    Raises:
        BadInputError: There is no such port, or it is not ours to take.
        ConflictError: It is taken; the sentence says by whom, where that can be known.
    """
    if not 0 <= port <= 65535:
        raise BadInputError(f"{port} is no port.", hint="Ports go from 1 to 65535; 0 takes any free one.")
    if port == 0 and 0 < last <= 65535:
        with suppress(BadInputError, ConflictError):
            return _bind(last)
    return _bind(port)


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except PermissionError:
        listener.close()
        raise BadInputError(
            f"Port {port} needs more rights than you have.", hint="Choose one over 1023."
        ) from None
    except OSError:
        listener.close()
        raise taken(port) from None
    return listener


def last_port(home: Path) -> int:
    """Return the port that the last Tower of a state directory had; 0 where that is not known."""
    try:
        text = (home / "port").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() and len(text) < 6 else 0


def taken(port: int) -> ConflictError:
    """Return the error that says whose `port` is."""
    return ConflictError(
        f"Port {port} is taken by {_owner(port)}.",
        hint="Choose another with --port N or AFX_PORT, or 0 for any free one.",
        code="port-taken",
    )


def _owner(port: int) -> str:
    pid = _listener_pid(port)
    if pid is None:
        return "a process that cannot be seen from here"
    with suppress(OSError):
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
        return f"pid {pid} ({program})"
    done = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f"pid {pid} ({done.stdout.strip() or 'unknown'})"


def _listener_pid(port: int) -> int | None:
    inodes = _listening_inodes(port)
    if inodes is None:
        with suppress(OSError):
            done = subprocess.run(
                ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"],
                capture_output=True,
                text=True,
                check=False,
            )
            return int(done.stdout.split()[0]) if done.stdout.split() else None
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if str(entry.readlink()) in wanted:
                return int(entry.parts[2])
    return None


def _listening_inodes(port: int) -> set[str] | None:
    """Return the socket inodes that listen on `port`; None where the system has no /proc/net."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes if Path("/proc/net/tcp").exists() else None

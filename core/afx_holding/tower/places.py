"""The Tower's side of a holder's address: how its socket is connected to, and when its files may go."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import socket
import stat
import sys
import time
from pathlib import Path

import msgspec

from afx.plugin import Exit, UnreachableError
from afx_holding.peer import is_same_user

LONGEST_PATH = 103
"""The longest path of a Unix socket, in bytes, that every system takes."""
_TERMINAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHORT_HOME = "/tmp"  # noqa: S108 - a private directory in it is made, and checked
_SURELY_LISTENING_AFTER = 60.0


def is_terminal_id(text: str) -> bool:
    """Tell whether this can be the id of a terminal, and so be part of a file's name."""
    return _TERMINAL_ID.fullmatch(text) is not None


def socket_name(terminal_id: str) -> str:
    """Return the file name of a terminal's socket."""
    return f"{terminal_id}.sock"


class Place:
    """The directory with the sockets of a strategy's holders."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def connect(self, terminal_id: str) -> socket.socket:
        """Return a non-blocking connection to a terminal's holder. Never waits.

        Raises:
            FileNotFoundError: There is no socket.
            ConnectionRefusedError: Nobody listens (on macOS also: too many wait to be let in).
            OSError: It cannot be connected to for another reason.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(short_path(self.directory, socket_name(terminal_id)))
            _check_user(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def refuses(self, terminal_id: str) -> bool:
        """Tell whether nobody can be listening at the socket: it is missing, or it refuses."""
        try:
            self.connect(terminal_id).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return True
        except OSError:
            return False
        return False

    def terminal_ids(self) -> list[str]:
        """Return the ids of all terminals that have a socket here."""
        try:
            with os.scandir(self.directory) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
                ]
        except OSError:
            return []
        ids = [name.removesuffix(".sock") for name in names if name.endswith(".sock")]
        return [one for one in ids if is_terminal_id(one)]

    def note_of_end(self, terminal_id: str) -> Exit | None:
        """Return how a terminal's program ended, where its holder left a note of it."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._note(terminal_id).read_bytes(), type=Exit)
        return None

    def check_alias(self) -> None:
        """Make the short way to this directory, where paths in it are too long for sockets.

        Raises:
            UnreachableError: What leads there is not private.
            OSError: It cannot be made.
        """
        _alias(self.directory)

    def remove(self, terminal_id: str) -> None:
        """Remove the files of a holder that is proven dead, but no symlink, and nothing that answers."""
        path = self.directory / socket_name(terminal_id)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                if not self.refuses(terminal_id):
                    return
                path.unlink()
        note = self._note(terminal_id)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISREG(note.lstat().st_mode):
                note.unlink()

    def remove_stale(self, terminal_id: str) -> None:
        """Remove a socket that no record names, if nobody can be listening there any more.

        One that was made just now is spared: its holder may be about to listen. On macOS so is every one,
        since there a holder that is merely stopped refuses too.
        """
        path = self.directory / socket_name(terminal_id)
        with contextlib.suppress(OSError):
            old = time.time() - path.lstat().st_mtime > _SURELY_LISTENING_AFTER
            if old and sys.platform == "linux":
                self.remove(terminal_id)

    def _note(self, terminal_id: str) -> Path:
        return self.directory / f"{terminal_id}.exit"


def short_path(directory: Path, name: str) -> str:
    """Return a path of a file in `directory` that is short enough for a socket.

    Raises:
        UnreachableError: What leads there is not private.
    """
    path = directory / name
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return str(path)
    return str(_alias(directory) / name)


def _check_user(connection: socket.socket) -> None:
    if not is_same_user(connection):
        raise PermissionError(errno.EPERM, "it belongs to another user")


def _alias(directory: Path) -> Path:
    """Return a short symlink to `directory`, in a private directory of ours.

    The sockets themselves stay in the state directory, which outlives a logout; the alias is only a way to
    say their path in few bytes, works on every system, and is made anew whenever it was wiped. A path through
    ``/proc/self/fd`` would be shorter still, but macOS has none.
    """
    home = Path(_SHORT_HOME) / f"afx-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnreachableError(
            f"{home} is not a private directory of this user, so terminals cannot be reached by way of it.",
            hint="Remove it, or set AFX_HOME to a shorter path.",
        )
    alias = home / hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    if not alias.is_symlink():
        with contextlib.suppress(FileExistsError):
            alias.symlink_to(directory)
    return alias

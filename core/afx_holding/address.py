"""Where a holder is found: its socket in the directory of the strategy, and the note it may leave there.

The directory is part of the state directory, which no logout wipes. The socket is bound by a relative name
from inside the directory: a socket's path may have at most 103 bytes, and home directories may be longer.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from typing import Any, Final

from .program import LaunchError

_BACKLOG: Final = 128


class Address:
    """The socket file of one holder, mode 0600, and beside it the note of an end that nobody heard of."""

    def __init__(self, directory: bytes, terminal_id: bytes) -> None:
        self.directory = directory
        self.terminal_id = terminal_id
        self.device = -1
        self.inode = -1
        """The file that was bound is this one of that device."""

    def bind(self, listener: socket.socket) -> None:
        """Make `listener` listen there.

        Raises:
            LaunchError: Another process answers there.
            OSError: The directory cannot be used.
        """
        umask = os.umask(0o177)
        try:
            os.chdir(self.directory)
            self._clear()
            listener.bind(self._name)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            found = os.lstat(self._name)
            self.device, self.inode = found.st_dev, found.st_ino
        finally:
            os.umask(umask)
            os.chdir("/")

    def connect(self, connection: socket.socket) -> None:
        """Connect to whoever listens there.

        Raises:
            OSError: Nobody does.
        """
        try:
            os.chdir(self.directory)
            connection.connect(self._name)
        finally:
            os.chdir("/")

    @property
    def _name(self) -> bytes:
        return self.terminal_id + b".sock"

    @property
    def _path(self) -> str:
        return os.fsdecode(self.directory + b"/" + self._name)

    def _clear(self) -> None:
        """Remove a socket that nobody listens to any more; refuse to touch anything else."""
        try:
            if not stat.S_ISSOCK(os.lstat(self._name).st_mode):
                raise LaunchError(f"{self._path} is not a socket, and is in the way.")
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            answer = probe.connect_ex(self._name)
        if answer != errno.ECONNREFUSED:
            raise LaunchError(f"{self._path} belongs to a terminal that is alive.")
        os.unlink(self._name)  # noqa: PTH108

    def is_ours(self) -> bool:
        """Tell whether the socket file is still the one that was bound."""
        try:
            found = os.lstat(b"%b/%b.sock" % (self.directory, self.terminal_id))
        except OSError:
            return False
        return found.st_ino == self.inode and found.st_dev == self.device

    def remove(self) -> None:
        """Remove the socket file, if it is still ours."""
        if self.is_ours():
            os.unlink(self._path)  # noqa: PTH108

    def leave_note(self, end: dict[str, Any]) -> None:
        """Write down how the program ended, for a Tower that comes after this process is gone."""
        path = b"%b/%b.exit" % (self.directory, self.terminal_id)
        try:
            note = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return  # A full disk, or no directory: there is nobody to tell.
        with os.fdopen(note, "w", encoding="ascii") as file:
            json.dump(end, file)

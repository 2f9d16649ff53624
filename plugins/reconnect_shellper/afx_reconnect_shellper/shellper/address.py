"""Where a shellper is found: its socket in the directory of the strategy, and the note it may leave there.

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

from .child import LaunchError

_BACKLOG: Final = 128


class Address:
    """The socket file of one shellper, mode 0600, and beside it the note of an end that nobody heard of."""

    def __init__(self, directory: str, terminal_id: str, file: tuple[int, int] | None = None) -> None:
        self._directory = directory
        self._name = f"{terminal_id}.sock"
        self._note = f"{terminal_id}.exit"
        self.file = file
        """The device and number of the file that was bound."""

    def bind(self) -> socket.socket:
        """Return the listening socket, bound anew.

        Raises:
            LaunchError: Another process answers there.
            OSError: The directory cannot be used.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o177)
        try:
            os.chdir(self._directory)
            self._clear()
            listener.bind(self._name)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            self.file = self._identity()
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(umask)
            os.chdir("/")
        return listener

    def _clear(self) -> None:
        """Remove a socket that nobody listens to any more; refuse to touch anything else."""
        try:
            if not stat.S_ISSOCK(os.lstat(self._name).st_mode):
                raise LaunchError(f"{self._name} in {self._directory} is not a socket, and is in the way.")
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            answer = probe.connect_ex(self._name)
        if answer != errno.ECONNREFUSED:
            raise LaunchError(f"{self._name} in {self._directory} belongs to a terminal that is alive.")
        os.unlink(self._name)  # noqa: PTH108

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(f"{self._directory}/{self._name}")
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def is_ours(self) -> bool:
        """Tell whether the socket file is still the one that was bound."""
        return self.file is not None and self._identity() == self.file

    def remove(self) -> None:
        """Remove the socket file, if it is still ours."""
        if self.is_ours():
            os.unlink(f"{self._directory}/{self._name}")  # noqa: PTH108

    def leave_note(self, end: dict[str, Any]) -> None:
        """Write down how the program ended, for a Tower that comes after this process is gone."""
        path = f"{self._directory}/{self._note}"
        try:
            note = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return  # A full disk, or no directory: there is nobody to tell.
        with os.fdopen(note, "w", encoding="ascii") as file:
            json.dump(end, file)

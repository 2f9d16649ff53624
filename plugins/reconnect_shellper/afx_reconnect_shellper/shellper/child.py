"""A PTY, and the program that runs in it. Knows nothing of clients or of what the program writes."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import termios
from functools import partial
from typing import Any, Final

from afx_holding.children import start
from afx_holding.program import Program

_IUTF8: Final = 0x4000
"""The same on Linux and macOS; the `termios` module has no name for it before Python 3.14."""
_TIOCSIG: Final = 0x40045436
"""Linux: signal the foreground group, which the kernel knows better than any number does."""


class Pty:
    """A pseudo-terminal. Its slave side is kept open, so that it outlives each program in it."""

    def __init__(self, master: int, slave: int) -> None:
        self.master, self.slave = master, slave

    def prepare(self, cols: int, rows: int) -> None:
        """Give a terminal that was just opened its settings and its size."""
        os.set_blocking(self.master, False)
        termios.tcsetattr(self.slave, termios.TCSANOW, _fresh_settings(self.slave))
        self.show_size(cols, rows)

    def show_size(self, cols: int, rows: int) -> None:
        """Let programs see a size; the kernel tells the foreground group (SIGWINCH)."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def launch(self, path: str, program: Program) -> tuple[int, str | None]:
        """Start the program, which was found at `path`, as leader of a new session with this terminal.

        Returns:
            Its pid, and when it began in the system's own notation (see `start_of`).

        Raises:
            LaunchError: It could not be started.
        """
        self._refresh()
        return start(path, program, partial(take, self.slave))

    def _refresh(self) -> None:
        """Undo what the last program did to the terminal's settings."""
        if sys.platform == "darwin":
            # Where the session that owned the terminal has ended, BSD revokes every descriptor of its slave.
            name = os.ttyname(self.slave)
            os.close(self.slave)
            self.slave = os.open(name, os.O_RDWR | os.O_NOCTTY)
        # What a terminal's settings are before anybody changed them, a new one tells.
        master, slave = os.openpty()
        settings = _fresh_settings(slave)
        os.close(master)
        os.close(slave)
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)

    def signal_foreground(self, number: int, session: int) -> bool:
        """Signal the group in the foreground, if it belongs to `session`; return whether that was done."""
        if sys.platform == "linux" and number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            fcntl.ioctl(self.master, _TIOCSIG, number)
            return True
        try:
            group = os.tcgetpgrp(self.master)
            if group > 0 and os.getsid(group) == session:
                os.killpg(group, number)
                return True
        except OSError:
            pass
        return False


def take(slave: int) -> None:
    """In a forked child that leads a session: take the terminal."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def _fresh_settings(slave: int) -> list[Any]:
    """Return the settings of a new terminal, made fit for UTF-8."""
    settings = termios.tcgetattr(slave)
    settings[0] |= _IUTF8
    return settings

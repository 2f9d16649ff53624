"""A PTY, and the program that runs in it.

Says in a sentence why a program could not be started. Knows nothing of clients or of what the program writes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
import sys
import termios
from typing import Any, Final, NoReturn

from afx_holding import frames
from afx_holding.program import LaunchError, Program, start_of

_IUTF8: Final = 0x4000
"""The same on Linux and macOS; the `termios` module has no name for it before Python 3.14."""
_TIOCSIG: Final = 0x40045436
"""Linux: signal the foreground group, which the kernel knows better than any number does."""


class Pty:
    """A pseudo-terminal. Its slave side is kept open, so that it outlives each program in it."""

    def __init__(self, master: int, slave: int, cols: int, rows: int) -> None:
        self.master, self.slave = master, slave
        self.cols, self.rows = cols, rows

    def prepare(self) -> None:
        """Give a terminal that was just opened its settings and its size."""
        os.set_blocking(self.master, False)
        termios.tcsetattr(self.slave, termios.TCSANOW, _fresh_settings(self.slave))
        self.show_size(self.cols, self.rows)

    def resize(self, cols: int, rows: int) -> None:
        """Give the terminal a size; the kernel tells the foreground group (SIGWINCH)."""
        self.cols, self.rows = cols, rows
        self.show_size(cols, rows)

    def show_size(self, cols: int, rows: int) -> None:
        """Let programs see a size for a moment, without it being the size of this terminal."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def launch(self, path: str, program: Program) -> tuple[int, str | None]:
        """Start the program, which was found at `path`, as leader of a new session with this terminal.

        Returns:
            Its pid, and when it began in the system's own notation (see `start_of`).

        Raises:
            LaunchError: It could not be started.
        """
        self._refresh()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                become(path, program, self.slave)
            except LaunchError as error:
                os.write(writer, error.message.encode("utf-8", "surrogatepass"))
            finally:
                os._exit(127)
        os.close(writer)
        failure = os.read(reader, frames.PIECE)
        os.close(reader)
        if failure:
            os.waitpid(pid, 0)
            raise LaunchError(failure.decode("utf-8", "surrogatepass"))
        return pid, start_of(pid)

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


def become(path: str, program: Program, slave: int) -> NoReturn:
    """In a forked child: take the terminal, forget what a holder is, and turn into the program.

    Raises:
        LaunchError: It could not be started.
    """
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(slave, descriptor)
        _reset_signals()
        if program.nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, program.nofile)
        try:
            os.chdir(program.cwd)
        except OSError as error:
            raise LaunchError(f"The directory {program.cwd} cannot be entered: {error.strerror}.") from error
        os.execve(path, list(program.argv), dict(program.env))  # noqa: S606 - to run it without a shell is the point
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument, a limit that is none.
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        raise LaunchError(f"{path} cannot be started: {os.strerror(number)}.") from error


def _fresh_settings(slave: int) -> list[Any]:
    """Return the settings of a new terminal, made fit for UTF-8."""
    settings = termios.tcgetattr(slave)
    settings[0] |= _IUTF8
    return settings


def _reset_signals() -> None:
    """Give every signal its default meaning back, and let all of them through."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except OSError:
                continue  # The C library keeps a few for itself.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())

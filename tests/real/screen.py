"""A terminal of the test's own: a program in a PTY, what it wrote, and keys typed into it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

from afx.plugin import Command, Size
from afx.tower.screen import shown as rows_of

# Full-screen programs place words one by one, so text is compared without the blanks between them.
_CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|\s")
# More than any program writes between two looks.
_OF_LATE = 128 * 1024


class Screen:
    """A running program and all that it wrote so far."""

    def __init__(self, command: Command) -> None:
        self._master, slave = pty.openpty()
        self.rows, self.cols = 40, 120
        self.repaint()
        self.process = subprocess.Popen(
            command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # Without a controlling terminal the program would not hear of a new size.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call, no locks
        )
        os.close(slave)
        self.output = b""

    @property
    def text(self) -> str:
        """What was written of late, without control sequences and blanks."""
        return _CONTROL.sub("", self.output[-_OF_LATE:].decode("utf-8", "replace"))

    @property
    def shown(self) -> str:
        """What the terminal shows now, as the Tower sees it."""
        return rows_of(self.output[-32 * 1024 :], Size(self.cols, self.rows))

    def type(self, *keys: bytes) -> None:
        """Type into the program, and read what it says meanwhile: neither side waits for the other."""
        pending = b"".join(keys)
        while pending:
            readable, writable, _ = select.select([self._master], [self._master], [], 10)
            assert readable or writable, "The program takes no input."
            if readable:
                self._read()
            if writable:
                pending = pending[os.write(self._master, pending[:1024]) :]

    def repaint(self) -> None:
        """Give the terminal another width, upon which a full-screen program draws all of it anew."""
        self.cols ^= 1
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.cols, 0, 0))

    def until(self, wanted: str | bytes, *, seconds: float = 30) -> None:
        """Read until `wanted` was written: as bytes, or as text in which blanks do not count.

        A program that changes its screen writes only what differs, so a letter that was there before may
        be missing in the text. Each second without it all is painted anew.
        """
        deadline = time.monotonic() + seconds
        painted = time.monotonic()
        while not self._shows(wanted):
            now = time.monotonic()
            assert now < deadline, f"{wanted!r} did not come; the screen was {self.text[-1000:]}"
            if now - painted > 1:
                self.repaint()
                painted = now
            if select.select([self._master], [], [], 0.1)[0]:
                self._read()

    def drain(self) -> int:
        """Read until the program has ended; return its exit code."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._read()
        return self.process.wait(10)

    def kill(self) -> None:
        """Kill the program and what it started, as far as it shares its process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Kill the program and forget its terminal."""
        self.kill()
        os.close(self._master)

    def _shows(self, wanted: str | bytes) -> bool:
        if isinstance(wanted, bytes):
            return wanted in self.output
        return re.sub(r"\s", "", wanted) in self.text

    def _read(self) -> None:
        found = os.read(self._master, 65536)
        if not found:
            raise EOFError
        self.output += found


@contextlib.contextmanager
def shown(command: Command) -> Iterator[Screen]:
    """Run a command in a terminal of its own for as long as the block lasts."""
    screen = Screen(command)
    try:
        yield screen
    finally:
        screen.close()

"""One terminal: what its program runs in, the output so far and the input that waits.

It reads, writes, signals and reaps when it is told to. When that is, and who is told of it, is the holder's
business. A subclass says what the terminal is: `Terminal.launch` starts a program in it, `descriptor` is
where its output comes from and its input goes, and `KeptTerminal.show_size` lets programs see its size.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Any, Final

from afx_holding import frames
from afx_holding.kept import KeptTerminal
from afx_holding.program import LaunchError, Program
from afx_holding.ring import Ring
from afx_holding.screen_modes import MODES_OFF

_AT_ONCE: Final = 4096
"""No PTY gives more at once, and for no more does the ring make room ahead."""
_ECHO: Final = 64
"""So few bytes are the echo of a key, or as good as one."""
_FLOOD: Final = 2048
"""From so many bytes at once it is a flood, and output is gathered for a moment."""
_GATHER: Final = 0.002


class Terminal(KeptTerminal):
    """A terminal that outlives each program in it. It is made before it is known what is to run."""

    def __init__(self, ring: Ring) -> None:
        super().__init__(ring)
        self.place = ""
        """A path beside its holder's socket to which a suffix may be put, for files of its own."""
        self.input = bytearray()
        """What was typed and the program has not read."""
        self.hung_up = False
        """Whether no output can come any more until another program is launched."""
        self.pid = 0
        self.start: str | None = None
        """When it began, as `start_of` tells it."""

    # What a subclass says

    descriptor = -1
    """Output is read from here and input written to it, neither ever waiting; -1 while there is none."""

    def launch(self, program: Program) -> None:
        """Start a program, which may be the first or a later one, and set `pid` and `start`.

        Raises:
            LaunchError: It could not be started; the terminal is as before.
            OSError: The same, for a reason that the system gives.
        """
        raise NotImplementedError

    def signal_foreground(self, number: int) -> bool:
        """Signal the process group in the foreground, and return whether that was done."""
        raise NotImplementedError

    def encode(self, data: bytes) -> bytes:
        """Return what is written to `descriptor` where `data` is typed."""
        return data

    def facts(self) -> dict[str, Any]:
        """Return what WELCOME says of the terminal."""
        return super().facts() | {"child": {"pid": self.pid, "start": self.start}}

    def relaunch(self, program: Program) -> bytes:
        """Start a new program after the last one ended; return output that undoes what that one left on.

        Raises:
            LaunchError: It could not be started; the terminal is as before.
        """
        try:
            self.launch(program)
            self.exit, self.hung_up = None, False
            self.resize(self.cols, self.rows)
        except OSError as error:
            raise LaunchError(f"The terminal cannot be used any more: {error.strerror}.") from error
        return b"" if self.ring.modes().plain else MODES_OFF

    # Output and input

    def take_output(self, others: list[Any]) -> None:
        """Keep what the program writes: a keystroke's echo at once, of a flood as much as comes in a moment.

        A PTY gives a few KiB at a time. Everything that is done once for each piece, here and in all who
        read, is done more seldom this way. The moment ends when any of `others` can be read from.
        """
        taken = 0
        until: float | None = None
        while taken < frames.PIECE:
            piece = self._take()
            if piece:
                taken += piece
                if taken <= _ECHO:
                    break  # To ask a PTY whether there is more takes longer than to read this.
                continue
            if self.hung_up or taken < _FLOOD:
                break
            now = time.monotonic()
            until = until or now + _GATHER
            readers = [self.descriptor, *others]
            readable, _, _ = select.select(readers, [], [], max(0.0, until - now))
            if readable != [self.descriptor]:
                break

    def take_last_output(self) -> None:
        """Keep what an ended program wrote before its end; not without limit, as others may write on."""
        left = self.ring.limit // 4
        while left > 0 and (piece := self._take()):
            left -= piece

    def _take(self) -> int:
        """Keep what comes now; return how much: nothing where nothing does, or never will again."""
        try:
            piece = self.ring.take(self.descriptor, _AT_ONCE)
        except BlockingIOError:
            return 0
        except OSError:
            piece = 0
        # BSD says so once no process has the terminal open any more.
        self.hung_up = not piece
        if piece:
            self.last_output_at = time.time()
        return piece

    def type(self, data: bytes) -> None:
        """Give input to the program, as soon as it takes it."""
        if self.exit is None:
            self.input += self.encode(data)
            self.write_input()

    def write_input(self) -> None:
        """Give the program what it takes now of the input that waits."""
        try:
            written = os.write(self.descriptor, self.input[: frames.PIECE])
        except BlockingIOError:
            return
        except OSError:
            written = len(self.input)  # The terminal is gone, and with it whoever would have read this.
        del self.input[:written]

    # The size

    def resize(self, cols: int, rows: int) -> None:
        """Give the terminal a size."""
        self.cols, self.rows = cols, rows
        self.show_size(cols, rows)

    # The program

    def signal(self, number: int) -> None:
        """Signal the process group in the foreground, or else the program's own."""
        if self.exit is None and not self.signal_foreground(number):
            self.signal_program(number)

    def hang_up(self) -> None:
        """Ask the program, and what it runs, to end."""
        self._signal_both(signal.SIGHUP)
        self._signal_both(signal.SIGCONT)

    def kill(self) -> None:
        """End the program, and what it runs in the foreground."""
        self._signal_both(signal.SIGKILL)

    def _signal_both(self, number: int) -> None:
        if self.exit is None:
            self.signal_foreground(number)
            self.signal_program(number)

    def signal_program(self, number: int) -> None:
        """Signal the program's group. Until it was waited for, its number can be nobody else's."""
        try:
            os.killpg(self.pid, number)
        except OSError:
            return  # It has just ended; or it runs as somebody else now, whom we may not signal.

    def wait(self) -> int | None:
        """Return the program's wait status, None where it still runs. Never waits.

        Raises:
            ChildProcessError: It has ended, and nobody can say how.
        """
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None

    def has_ended(self) -> bool:
        """Find out whether the program ended since it was last asked for; from then on `exit` says how."""
        if self.exit is not None:
            return False
        code: int | None = None
        try:
            status = self.wait()
            if status is None:
                return False
            code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            code = None
        self.exit = {
            "code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "at": time.time(),
        }
        self.input.clear()
        return True

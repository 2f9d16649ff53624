"""A pane as its recorder knows it: the output so far, and the size of its terminal device."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from contextlib import suppress

from afx_holding.kept import KeptTerminal
from afx_holding.ring import Ring


class RecordedPane(KeptTerminal):
    """A pane whose program is tmux's to start and to end.

    Args:
        ring: Keeps the output.
        tty: The terminal device.
    """

    def __init__(self, ring: Ring, tty: str) -> None:
        super().__init__(ring)
        self.tty = tty

    def ask_size(self) -> tuple[int, int] | None:
        """Return columns and rows; None where the device is gone, or has no size yet."""
        with suppress(OSError):
            device = os.open(self.tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                answer = fcntl.ioctl(device, termios.TIOCGWINSZ, bytes(8))
            finally:
                os.close(device)
            rows, cols, _, _ = struct.unpack("HHHH", answer)
            if rows and cols:
                return cols, rows
        return None

    def show_size(self, cols: int, rows: int) -> None:
        """Let the program see this size, whatever size tmux gave the pane."""
        with suppress(OSError):
            device = os.open(self.tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
            finally:
                os.close(device)

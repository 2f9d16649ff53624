"""The size of a pane's terminal device, as its program sees it."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from contextlib import suppress


def ask_size(tty: str) -> tuple[int, int] | None:
    """Return columns and rows; None where the device is gone, or has no size yet."""
    with suppress(OSError):
        device = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            answer = fcntl.ioctl(device, termios.TIOCGWINSZ, bytes(8))
        finally:
            os.close(device)
        rows, cols, _, _ = struct.unpack("HHHH", answer)
        if rows and cols:
            return cols, rows
    return None


def show_size(tty: str, cols: int, rows: int) -> None:
    """Let the program see this size, whatever size tmux gave the pane."""
    with suppress(OSError):
        device = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        finally:
            os.close(device)

"""How a recorder begins: what it is started with, and what it must not be disturbed by."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from afx_holding.address import Address
from afx_holding.program import LaunchError
from afx_holding.ring import Ring

from .pane import RecordedPane
from .pipe import hand_over
from .recorder import Recorder


def main(directory: str, terminal_id: str, scrollback: str, tty: str, seed: str) -> None:
    """Record what comes on descriptor 0.

    Args:
        directory: Where the socket lies.
        terminal_id: Whose output it is.
        scrollback: How many of the last bytes are kept.
        tty: The pane's terminal device.
        seed: ``seed`` where the Tower will say what the pane showed before; ``again`` where the recorder of
            this terminal is there and lacks a pipe; else ``fresh``.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.setsid()
    address = Address(os.fsencode(directory), os.fsencode(terminal_id))
    if seed == "again" and hand_over(address):
        return
    try:
        Recorder(address, RecordedPane(Ring(int(scrollback)), tty), waits_for_seed=seed == "seed").serve()
    except LaunchError:
        sys.exit(1)  # Another one records this terminal. The Tower, which sees to that, will ask again.

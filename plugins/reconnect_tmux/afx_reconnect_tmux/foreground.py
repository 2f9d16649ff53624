"""Signals what runs in the foreground of a pane, which tmux has no command for."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from afx.plugin import ProcessIdentity, is_alive


def signal_foreground(process: ProcessIdentity, number: int) -> None:
    """Signal the process group in the foreground of the terminal whose session `process` leads.

    Nothing is done where that process has ended, or the group is of another session.
    """
    if not is_alive(process):
        return
    group = _foreground_group(process.pid)
    with suppress(OSError):
        # A number that the kernel just named, and whose session's leader is the program itself.
        if group > 0 and os.getsid(group) == process.pid:
            os.killpg(group, signal.Signals(number))


def _foreground_group(pid: int) -> int:
    """Return the process group in the foreground of a process's terminal, 0 where that cannot be told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat[stat.rindex(b")") + 1 :].split()[5])
    except OSError:
        asked = subprocess.run(
            ["ps", "-o", "tpgid=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return int(asked.stdout.strip()) if asked.stdout.strip().isdigit() else 0

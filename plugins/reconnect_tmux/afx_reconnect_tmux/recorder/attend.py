"""Turns into a tmux control client that ends with the Tower, however that ends.

A server that wants to tell something to a control client whose reader is gone waits for ever, and does not
even end when asked to. It lets go of a client that is killed; Linux kills this one when the Tower is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(tower: str, *argv: str) -> None:
    """Become the client `argv`, unless the process `tower` that asked for it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(tower):
            sys.exit(1)
    os.execvp(argv[0], argv)  # noqa: S606 - to run it without a shell is the point

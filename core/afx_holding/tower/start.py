"""Starts holders as processes of their own, for strategies that bring a class of terminals.

What they are started from lies on the disk, where it may be upgraded or removed under the Tower.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import anyio

from afx.plugin import PluginError, UninstalledError
from afx_holding import __file__ as _holding

_NEEDED_TO_START_PYTHON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def check_installed() -> None:
    """Look whether what holders are started from still lies where it lay when the Tower started.

    Raises:
        UninstalledError: It does not.
    """
    for path in (_holding, sys.executable):
        if not Path(path).exists():
            raise UninstalledError(
                f"afx is gone from where the Tower runs: there is no {path} any more.",
                hint="If it lies elsewhere now, `afx tower restart`. Else install it again.",
            )


async def start_holder(terminal: str) -> socket.socket:
    """Return a non-blocking socket to a holder that waits to be told what it holds.

    Args:
        terminal: The import path of the class of its terminal. It is not imported here.

    Raises:
        PluginError: There is no such module.
        OSError: No process can be started.
    """
    module, _, name = terminal.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise PluginError(f"There is no module {module!r}, which is to hold terminals.")
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # No environment: what a terminal's program gets comes in a frame, and `ps` shows nothing of it.
            # The process that is started here ends at once; the holder is its child, and nobody's soon.
            await anyio.run_process(
                [sys.executable, "-I", "-S", str(Path(_holding).parent), spec.origin, name],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                cwd="/",
                env={name: os.environ[name] for name in _NEEDED_TO_START_PYTHON if name in os.environ},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    ours.setblocking(False)
    return ours

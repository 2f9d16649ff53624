"""Learns of the end of a pane's program, which is a child of tmux and not of the Tower."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from afx.plugin import ProcessIdentity, is_alive

_LOOK_EVERY = 0.5


class EndWatch:
    """Has `on_ended` called once, from the loop, when a process ends, or at once where it has.

    Args:
        process: Whom to watch; None for one that was not there any more.
        on_ended: What is called.
    """

    def __init__(self, process: ProcessIdentity | None, on_ended: Callable[[], None]) -> None:
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        """Can be read from when the process ends, on Linux."""
        self._call: asyncio.Handle | None = None
        if process is None:
            self._call = self._loop.call_soon(self._tell)
        elif hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._descriptor = os.pidfd_open(process.pid)
            if self._descriptor is None or not is_alive(process):
                self._call = self._loop.call_soon(self._tell)
            else:
                self._loop.add_reader(self._descriptor, self._tell)
        else:
            self._look_later(process)

    def _look_later(self, process: ProcessIdentity) -> None:
        self._call = self._loop.call_later(_LOOK_EVERY, self._look, process)

    def _look(self, process: ProcessIdentity) -> None:
        if is_alive(process):
            self._look_later(process)
        else:
            self._tell()

    def _tell(self) -> None:
        self.close()
        self._on_ended()

    def close(self) -> None:
        """Watch no longer, and call nobody."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

"""The Tower's side of the zygote: starts it when it is needed, and asks it for newborn holders."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio.to_thread

from afx_holding import __file__ as _holding

from .shellper import __file__ as _shellper

_MAIN = str(Path(_shellper).with_name("__main__.py"))
_LIBRARY = str(Path(_holding).parent.parent)
_WAITS = 3.0
"""A holder waits a little longer than this to be told what it holds."""
_MOST_UNBORN = 4
_NEEDED_TO_START_PYTHON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Zygote:
    """The parent process of this Tower's holders. It lives from the first spawn to `aclose`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._unborn: list[tuple[float, socket.socket]] = []
        """Those asked for ahead, each with the time until which it surely waits."""

    def expect(self) -> None:
        """Ask for a holder that `newborn` will return. If none is wanted soon, it gives up by itself."""
        with contextlib.suppress(OSError):  # That is said where one is wanted.
            self._unborn.append((time.monotonic() + _WAITS, self._new()))
        while len(self._unborn) > _MOST_UNBORN:
            self._unborn.pop(0)[1].close()

    def newborn(self) -> socket.socket:
        """Return a socket to a holder that is being forked and waits to be told what it holds.

        Raises:
            OSError: No process can be started.
        """
        while self._unborn:
            until, expected = self._unborn.pop()
            if time.monotonic() < until:
                return expected
            expected.close()
        return self._new()

    def _new(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._ask_for_one(theirs)
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def _ask_for_one(self, theirs: socket.socket) -> None:
        if self._socket is not None:
            # It may have been killed. Nothing depended on it; another one is started.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._socket, [b"+"], [theirs.fileno()])
                return
            self._socket.close()
        if self._process is not None:
            self._process.wait()
        self._socket, self._process = _start()
        socket.send_fds(self._socket, [b"+"], [theirs.fileno()])

    async def aclose(self) -> None:
        """End the zygote. No holder depends on it, but those that hold nothing yet end as well."""
        while self._unborn:
            self._unborn.pop()[1].close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            process, self._process = self._process, None
            await anyio.to_thread.run_sync(process.wait)


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    with theirs:
        # No environment: what a terminal's program gets comes in a frame, and `ps` shows nothing of it.
        environment = {name: os.environ[name] for name in _NEEDED_TO_START_PYTHON if name in os.environ}
        # Linux: functions are looked up at once, and not by each holder anew, which would write to memory.
        environment["LD_BIND_NOW"] = "1"
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", _MAIN, _LIBRARY],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return ours, process

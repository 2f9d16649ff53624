"""A client that waits on the tmux server while terminals of ours live there, and so learns how it ends.

It asks tmux to load a buffer from a pipe on which nothing is ever written, which leaves no trace. While it
waits, a server whose last session was ended goes on answering; so the Tower can see that it was a session
that a person ended, and not the server. A server that is asked to end itself lets the client go with exit
status 0, and one that dies does not.
"""

from __future__ import annotations

import subprocess

import anyio

from afx.plugin import Cause, ProcessIdentity, identify

from .tmux import Tmux

_WAIT = ("load-buffer", "-")
_FINDS_OUT_WITHIN = 1.0
_PAUSE = 0.01


class Vigil:
    """At most one such client, on the server that was last named."""

    def __init__(self, tmux: Tmux) -> None:
        self._tmux = tmux
        self._process: subprocess.Popen[bytes] | None = None
        self._server: ProcessIdentity | None = None

    def keep(self, pid: int) -> None:
        """Wait on the server that answers now, which is the process `pid`, unless that is being done."""
        waits = self._process is not None and self._process.poll() is None
        if waits and self._server is not None and self._server.pid == pid:
            return
        self.end()
        server = identify(pid)
        if server is None:
            return
        try:
            self._process = subprocess.Popen(
                [*self._tmux.argv, *_WAIT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._tmux.env,
                cwd="/",
            )
        except OSError:
            return  # What cannot be learned is not known; nothing else depends on it.
        self._server = server

    def end(self) -> None:
        """Let the server go, which may end now. A client that reads nothing any more leaves by itself."""
        process, self._process, self._server = self._process, None, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.kill()
            process.wait()

    async def verdict(self, server: ProcessIdentity) -> Cause | None:
        """Say why this server, which is gone, is; None where that is not known."""
        process = self._process
        if process is None or self._server != server:
            return None
        with anyio.move_on_after(_FINDS_OUT_WITHIN):
            while process.poll() is None:  # noqa: ASYNC110 - the end of a process sends no event
                await anyio.sleep(_PAUSE)
        if process.returncode == 0:
            return Cause.SHUT_DOWN
        return None if process.returncode is None or process.returncode < 0 else Cause.FAILURE

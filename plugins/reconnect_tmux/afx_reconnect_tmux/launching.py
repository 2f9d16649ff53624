"""The Tower's side of a launch: the file that says what is to run, and the pipe that tells of its success."""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from afx.plugin import Command, SpawnError
from afx_holding import __file__ as _holding
from afx_holding.program import LaunchError, Program, find
from afx_holding.tower.start import check_installed

from .names import shell_words
from .recorder import __file__ as _recorder

PYTHON = (sys.executable, "-I", "-S", str(Path(_recorder).parent), str(Path(_holding).parent.parent))
"""How the processes inside tmux are started."""
_LARGEST = 1 << 20


class Launching:
    """One launch, from before tmux is asked until the program runs; a context that leaves nothing behind."""

    def __init__(self, directory: Path, terminal_id: str, command: Command) -> None:
        self._path = directory / f"{terminal_id}.launch"
        self._report = directory / f"{terminal_id}.launch.report"
        self._command = command
        self._reading = -1

    @property
    def command_line(self) -> str:
        """What tmux is to run in the pane. It names the file, and nothing that is in it."""
        return "exec " + shell_words(*PYTHON, "launch", str(self._path))

    def __enter__(self) -> Self:
        """Write the file and open the pipe.

        Raises:
            UninstalledError: What is to start it is gone. In the pane that would look like the program's end.
            SpawnError: The command cannot be run.
        """
        check_installed()
        try:
            find(Program(self._command.argv, self._command.env, self._command.cwd, None))
        except LaunchError as error:
            raise SpawnError(error.message, hint=error.hint) from error
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        content = json.dumps(
            {
                "argv": self._command.argv,
                "env": self._command.env,
                "cwd": self._command.cwd,
                "nofile": soft,
            }
        )
        if len(content) > _LARGEST:
            raise SpawnError(
                "The command and its environment are over 1 MiB.", hint="Put long texts into files."
            )
        try:
            self._remove()
            os.mkfifo(self._report, 0o600)
            self._reading = os.open(self._report, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as writing:
                writing.write(content)
        except OSError as error:
            self._close()
            raise SpawnError(
                f"The launch cannot be prepared: {error.strerror}.",
                hint="`afx doctor` looks at the state directory.",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was made."""
        self._close()

    async def until_running(self, deadline: float) -> None:
        """Return when the program runs.

        Raises:
            SpawnError: It does not, and why.
        """
        said = b""
        with anyio.move_on_after(deadline):
            while True:
                try:
                    piece = os.read(self._reading, 65536)
                except BlockingIOError:
                    await anyio.wait_readable(self._reading)
                    continue
                said += piece
                if not piece and said:
                    break
                if not piece:
                    await anyio.sleep(0.005)  # Nobody has opened the other end yet.
        if said == b"+":
            return
        with suppress(ValueError):
            message, hint = json.loads(said[1:])
            raise SpawnError(message, hint=hint)
        raise SpawnError(
            "The program was not started: the pane did not come up.", hint="`afx doctor` looks at tmux."
        )

    def _close(self) -> None:
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1
        # What cannot be removed now, the next launch in this terminal removes.
        with suppress(OSError):
            self._remove()

    def _remove(self) -> None:
        for path in (self._path, self._report):
            path.unlink(missing_ok=True)

"""Asking tmux: one short-lived client a question, each with a deadline, and every way to fail told apart.

That tmux is not installed, that no server runs, that a server does not answer, and that it answers "no" are
four different things. None of them means that there are no sessions.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from afx.plugin import AfxError, BadInputError
from afx_holding.tower.places import LONGEST_PATH

OLDEST = (3, 2)
"""The oldest tmux that has what this needs: options of panes, and exact targets everywhere."""
_MISSING = re.compile(r"no server running|error connecting to|lost server|server exited")
_EMPTY = re.compile(r"no current target|no sessions")
_VERSION = re.compile(r"tmux (?:next-)?(\d+)\.(\d+)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NOT_FOR_TMUX = ("AFX_", "TMUX")


class TmuxError(AfxError):
    """tmux answered that it cannot do what it was asked."""

    code = "tmux"


class TmuxAbsentError(TmuxError):
    """tmux is not installed, or too old."""


class NoServerError(TmuxError):
    """No tmux server listens at the socket. Whether one lives there nevertheless, its identity tells."""


class NoSessionsError(TmuxError):
    """A tmux server answers, and has no session."""


class TmuxSilentError(TmuxError):
    """The tmux server did not answer in time."""


@dataclass(frozen=True)
class Tmux:
    """How a tmux server is reached.

    Attributes:
        program: The executable, by name or path.
        socket: The name of the server's socket (``-L``), or its path; empty for the user's own server.
    """

    program: str = "tmux"
    socket: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any], directory: Path) -> Tmux:
        """Read the settings ``program`` and ``socket``.

        In a throwaway Tower, whose holders are going to be killed, the server is one of its own, found in
        `directory` or named after it: never the person's.

        Raises:
            BadInputError: One of them is no program or no name of a socket.
        """
        program, socket = settings.get("program", "tmux"), settings.get("socket", "")
        if not isinstance(program, str) or not program:
            raise BadInputError(f"strategy.tmux.program is {program!r}.", hint="Give a name or a path.")
        if not isinstance(socket, str) or (socket and not _NAME.fullmatch(socket)):
            raise BadInputError(
                f"strategy.tmux.socket is {socket!r}.", hint="Give a plain name, as after `tmux -L`."
            )
        if os.environ.get("AFX_THROWAWAY"):
            socket = str(directory / "server")
            if len(os.fsencode(socket)) > LONGEST_PATH:
                socket = f"afx-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
        return cls(program, socket)

    @property
    def argv(self) -> list[str]:
        """How every command line begins."""
        if not self.socket:
            return [self.program]
        return [self.program, "-S" if "/" in self.socket else "-L", self.socket]

    @property
    def called(self) -> str:
        """How a person calls it."""
        return " ".join(self.argv)

    @property
    def env(self) -> dict[str, str]:
        """The environment of a client. A server that it starts keeps it, and gives it to what it starts."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_NOT_FOR_TMUX) or name == "TMUX_TMPDIR"
        }

    async def check(self) -> None:
        """See that tmux is installed, and new enough.

        Raises:
            TmuxAbsentError: It is not.
        """
        try:
            done = await anyio.run_process([self.program, "-V"], check=False)
        except OSError as error:
            raise self._cannot_start(error) from error
        wrong = check_version(done.stdout.decode("utf-8", "replace"))
        if wrong is not None:
            raise TmuxAbsentError(wrong, hint="Install a newer tmux, or choose another reconnect strategy.")

    def _cannot_start(self, error: OSError) -> TmuxAbsentError:
        return TmuxAbsentError(
            f"tmux cannot be started: {error.strerror} ({self.program}).",
            hint="Install tmux, or choose another reconnect strategy.",
        )

    async def ask(self, *commands: Sequence[str], deadline: float) -> str:
        """Give tmux these commands, all or up to the first that fails, and return what it prints.

        Raises:
            TmuxAbsentError: tmux is not installed.
            NoServerError: There is no server.
            TmuxSilentError: It did not answer within `deadline` seconds.
            NoSessionsError: It has no session, and was asked about one.
            TmuxError: It refused.
        """
        argv = self.argv
        for number, command in enumerate(commands):
            argv = [*argv, *([";"] if number else []), *map(_word, command)]
        try:
            with anyio.fail_after(deadline):
                done = await anyio.run_process(argv, check=False, env=self.env, cwd="/")
        except TimeoutError:
            raise TmuxSilentError(f"The tmux server does not answer ({self.called}).") from None
        except OSError as error:
            raise self._cannot_start(error) from error
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace")
        said = done.stderr.decode("utf-8", "replace").strip()
        if _MISSING.search(said):
            raise NoServerError(f"No tmux server answers ({self.called}): {said}.")
        if _EMPTY.search(said):
            raise NoSessionsError(f"The tmux server has no session ({self.called}).")
        raise TmuxError(f"tmux refuses: {said or 'it says nothing'}.")


def check_version(said: str) -> str | None:
    """Say in a sentence what is wrong with the tmux that calls itself this; None where it will do.

    Args:
        said: What ``tmux -V`` prints. A version without a number, as of a development build, will do.
    """
    found = _VERSION.search(said)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return None
    least = ".".join(str(part) for part in OLDEST)
    return f"{said.strip()} is too old: the reconnect strategy tmux needs {least} or newer."


def _word(word: str) -> str:
    """Return a word of a command as tmux takes it: a semicolon at its end would end the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word

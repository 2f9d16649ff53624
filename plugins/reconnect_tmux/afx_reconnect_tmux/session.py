"""The commands by which a session is made, recorded anew, and ended."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

import anyio

from afx.plugin import TerminalSpec, UnreachableError, identify, is_alive, send_signal

from . import panes
from .launching import PYTHON
from .names import exact, literal, session_name, shell_words
from .paint import paint, questions
from .panes import Pane
from .tmux import NoServerError, Tmux, TmuxError

_FOLLOW_CLIENT = "set-option -w window-size latest"
_SCROLLBACK = 4 * 1024 * 1024
"""How much of an adopted session's output is kept."""
_PAUSE = 0.02
_MOST_NAMES = 100
_MOST_TRIES = 5


class SessionMaker:
    """Makes sessions on one tmux server, for one strategy's directory."""

    def __init__(self, tmux: Tmux, directory: Path) -> None:
        self._tmux = tmux
        self._directory = directory

    async def make(self, spec: TerminalSpec, command_line: str, deadline: float) -> Pane:
        """Make a session with one pane, which is recorded from its first byte on.

        Raises:
            TmuxError: It could not be made, and nothing is left of it.
        """
        number = tries = 1
        while number < _MOST_NAMES:
            try:
                return await self._make(session_name(spec.label, number), spec, command_line, deadline)
            except NoServerError:
                # It was about to end, for want of sessions. The next question starts another one.
                if tries == _MOST_TRIES:
                    raise
                tries += 1
                await anyio.sleep(_PAUSE)
            except TmuxError as error:
                # The name may be a stranger's, or that of a session that has outlived its record.
                if "duplicate session" not in error.message:
                    raise
                number += 1
        raise TmuxError(f"There are too many tmux sessions called {session_name(spec.label)}.")

    async def _make(self, name: str, spec: TerminalSpec, command_line: str, deadline: float) -> Pane:
        """Ask for a session, in one question: tmux reads nothing from the pane before it has done it all."""
        target = exact(name)
        answer = await self._tmux.ask(
            ["new-session", "-d", "-s", name, "-x", str(spec.size.cols), "-y", str(spec.size.rows),
             "-c", literal(spec.command.cwd), command_line],
            # tmux 3.2 counts the status line in, though nobody is attached.
            ["resize-window", "-t", target, "-x", str(spec.size.cols), "-y", str(spec.size.rows)],
            *self._notes(target, spec.id, spec.agent_id, spec.scrollback),
            *_policy(target),
            self.pipe(target, spec.id, "fresh"),
            ["display-message", "-p", "-t", target, panes.FORMAT],
            deadline=deadline,
        )  # fmt: skip
        found = panes.read(answer)
        if len(found) != 1:
            raise TmuxError("tmux says of the new session what nobody understands.")
        return found[0]

    async def claim(self, pane: Pane, terminal_id: str, agent_id: str, deadline: float) -> None:
        """Note on a pane that it is a terminal of ours from now on, and give it what that needs.

        Raises:
            TmuxError: tmux refuses, or does not answer.
        """
        await self._tmux.ask(
            *self._notes(pane.pane, terminal_id, agent_id, _SCROLLBACK),
            *_policy(pane.pane),
            deadline=deadline,
        )

    def _notes(self, target: str, terminal_id: str, agent_id: str, scrollback: int) -> list[list[str]]:
        notes = {
            "@afx_terminal": terminal_id,
            "@afx_agent": agent_id,
            "@afx_home": str(self._directory),
            "@afx_scrollback": str(scrollback),
        }
        return [["set-option", "-p", "-t", target, option, value] for option, value in notes.items()]

    async def record_again(self, pane: Pane, deadline: float) -> bytes:
        """Lay a new pipe from a pane to a new recorder, and return what the pane showed at that moment.

        Raises:
            TmuxError: tmux refuses, or does not answer.
        """
        mark = f"afx-{secrets.token_hex(8)}"
        answer = await self._tmux.ask(
            *questions(pane.pane, mark),
            self.pipe(pane.pane, pane.terminal, "seed"),
            deadline=deadline,
        )
        return paint(answer, mark)

    async def respawn(self, pane: Pane, command_line: str, deadline: float, *, piped: bool) -> Pane:
        """Run another program in a pane, whose last one has ended, and see that its output is recorded.

        Raises:
            TmuxError: tmux refuses, or does not answer.
        """
        answer = await self._tmux.ask(
            ["respawn-pane", "-t", pane.pane, command_line],
            *([] if piped else [self.pipe(pane.pane, pane.terminal, "again")]),
            ["display-message", "-p", "-t", pane.pane, panes.FORMAT],
            deadline=deadline,
        )
        return next(iter(panes.read(answer)), pane)

    def pipe(self, target: str, terminal_id: str, seed: str) -> list[str]:
        """Return the command that lays a pipe from a pane to a recorder; `seed` as the recorder takes it."""
        words = literal(shell_words(*PYTHON, "record", str(self._directory), terminal_id))
        return [
            "pipe-pane",
            "-O",
            "-t",
            target,
            f"exec {words} '#{{@afx_scrollback}}' '#{{pane_tty}}' {seed}",
        ]

    async def end(self, pane: Pane, grace: float) -> None:
        """End a pane's program, politely first, and the pane with it.

        Raises:
            UnreachableError: tmux does not answer, or the program cannot be ended.
        """
        program = None if pane.dead else identify(pane.pid)
        if program is not None:
            for number in (signal.SIGHUP, signal.SIGCONT):
                send_signal(program, number)
            with anyio.move_on_after(grace):
                while is_alive(program):  # noqa: ASYNC110 - a process that is not ours sends no event
                    await anyio.sleep(_PAUSE)
            send_signal(program, signal.SIGKILL)
        try:
            await self._tmux.ask(["kill-pane", "-t", pane.pane], deadline=grace)
        except TmuxError as error:
            raise UnreachableError(error.message, hint="Try again when it answers.") from error
        with anyio.move_on_after(grace):
            while program is not None and is_alive(program):  # noqa: ASYNC110 - as above
                await anyio.sleep(_PAUSE)


def _policy(target: str) -> list[list[str]]:
    """Return the commands that give a session of ours what it needs, whatever its person's settings are.

    A program that ended stays to be read; the session stays when nobody is attached; and whoever attaches in
    tmux, or resizes the window there, sets the size until somebody types by way of afx.
    """
    return [
        ["set-option", "-p", "-t", target, "remain-on-exit", "on"],
        ["set-option", "-t", target, "destroy-unattached", "off"],
        ["set-hook", "-t", target, "client-attached", _FOLLOW_CLIENT],
        ["set-hook", "-t", target, "client-resized", _FOLLOW_CLIENT],
    ]

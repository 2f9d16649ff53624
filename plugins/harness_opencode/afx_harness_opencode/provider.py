"""The adapter for OpenCode: how it is launched, told its role, and what its screen and its end mean.

Conversations are the business of `session`, the database that keeps them that of `database`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afx.plugin import (
    Command,
    Doing,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    LaunchRequest,
    ProcessIdentity,
    SpawnError,
)

from .session import OpenCodeSession

_CONFIG = "OPENCODE_CONFIG_CONTENT"
_REFUSAL = re.compile(r"Session\s*not\s*found")
_ASKS = re.compile(r"Permission required|Allow once|Reject")
# The last row tells it all; beside a long path its words are broken up, but the bar of progress is not.
_WORKS = re.compile("esc (?:again to )?interrupt|[\N{BLACK SQUARE}\N{BLACK VERY SMALL SQUARE}]{4}")
_IDLE = re.compile(r"ctrl\+p")


class OpenCodeHarness(HarnessProvider):
    """OpenCode, the program `opencode` of the npm package opencode-ai."""

    name = "opencode"
    commands = ("opencode",)
    install = "npm install -g opencode-ai"
    nesting_marks = ("OPENCODE", "OPENCODE_PID")
    # The last is how an agent of ours is told its role.
    set_when_nested = ("AGENT", _CONFIG)
    home_env = ("OPENCODE_DB", "XDG_DATA_HOME")
    lasting_env = ("OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "XDG_CONFIG_HOME")
    unattended_args = ("--auto",)
    checked_versions = ("1.18.33",)
    session = OpenCodeSession()

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program, with its role among the instructions of its settings.

        Raises:
            SpawnError: The program is not installed, or settings in the environment cannot be read.
        """
        program = self.require(request.env)
        files: dict[str, str] = {}
        env = dict(request.env)
        if request.role:
            path = str(Path(request.directory, "role.md"))
            files[path] = request.role
            env[_CONFIG] = _with_instructions(env, path)
        argv = [program, *request.session_args, *request.args]
        if request.task:
            # In one word, since a task may begin with a dash.
            task = f"--prompt={_no_command(request.task_argument(files))}"
            argv = [program, *request.session_args, task, *request.args]
        return Command(argv=tuple(argv), env=env, cwd=request.cwd, files=files)

    async def takes_messages(self, process: ProcessIdentity | None, screen: str | None) -> bool | None:
        """Tell whether what is typed now reaches the program: not in a dialog, nor before it is up."""
        del process
        if screen is None:
            return None
        return not _ASKS.search(screen) and _IDLE.search(screen) is not None

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: a paste and Enter.

        A message that begins with a slash would be a command such as ``/new``; it is said after the word
        "Message:". At the end a word with "@" opens a list, from which Enter would choose; a space closes
        it, and is no part of the message. Whoever wants a command types it.
        """
        return super().keystrokes(f"{_no_command(text)} ")

    def doing(self, screen: str) -> Doing:
        """Say what the agent does: questions come first, since work may still be shown beside them."""
        if _ASKS.search(screen):
            return Doing.WAITING
        if _WORKS.search(screen):
            return Doing.WORKING
        return Doing.WAITING if _IDLE.search(screen) else Doing.UNKNOWN

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended; a refused id is known by what the program says."""
        if info.exit.code == 1 and _REFUSAL.search(info.tail):
            return ExitKind.UNRESUMABLE
        return super().classify_exit(info)


def _no_command(text: str) -> str:
    """Return a text that the program takes for words."""
    return f"Message: {text}" if text.startswith("/") else text


def _with_instructions(env: Mapping[str, str], path: str) -> str:
    """Return the settings in the environment, the person's own too, with one more file of instructions."""
    try:
        settings: Any = json.loads(env.get(_CONFIG) or "{}")
    except ValueError as error:
        raise SpawnError(f"{_CONFIG} is no JSON: {error}.", hint="Mend it where it is set.") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("instructions", []), list):
        raise SpawnError(f"{_CONFIG} is no settings of OpenCode.", hint="Mend it where it is set.")
    return json.dumps({**settings, "instructions": [*settings.get("instructions", []), path]})

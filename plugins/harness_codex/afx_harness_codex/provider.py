"""The adapter for Codex: how it is launched, told its role, and what its screen and its end mean.

Conversations are the business of `session`, transcripts on disk that of `rollouts`.

The program takes additional instructions as a value on its command line or in a person's own configuration,
and from no file: `model_instructions_file` replaces what the program itself tells the model, an AGENTS.md
would lie in the worktree, a profile in the person's CODEX_HOME. So the role goes into a file of the agent's
own, and the instructions on the command line say to read it. They stay the same at every launch, as the
program wants it, while the file may change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from afx.plugin import (
    Command,
    Doing,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    LaunchRequest,
    ProcessIdentity,
)

from .screen import doing, takes_messages
from .session import RESUME, CodexSession

# What the program says about an id that it does not know.
_REFUSALS = ("No saved session found with ID", "no rollout found for thread id")
_SIGN_IN = re.compile(r"not logged in|sign in again|log in again|401 Unauthorized", re.IGNORECASE)

_UNATTENDED_SETTINGS = (
    "approval_policy=never",
    'approval_policy="never"',
    "sandbox_mode=danger-full-access",
    'sandbox_mode="danger-full-access"',
)


class CodexHarness(HarnessProvider):
    """OpenAI's Codex, the program `codex` of the npm package @openai/codex."""

    name = "codex"
    commands = ("codex",)
    install = "npm install -g @openai/codex"
    nesting_marks = (
        "CODEX_APPLY_PATCH_PRESERVE_LINE_ENDINGS",
        "CODEX_CI",
        "CODEX_MANAGED_BY_NPM",
        "CODEX_MANAGED_PACKAGE_ROOT",
        "CODEX_SANDBOX",
        "CODEX_SANDBOX_NETWORK_DISABLED",
        "CODEX_SESSION_ID",
        "CODEX_THREAD_ID",
        "CODEX_TOOL_CALL_ID",
        "CODEX_VERSION",
    )
    set_when_nested = ("GH_PAGER", "GIT_PAGER", "NO_COLOR", "PAGER")
    home_env = ("CODEX_HOME", "CODEX_SQLITE_HOME")
    # The same may also be said by the person's own configuration. That is theirs.
    unattended_args = (
        "--approve-for-me",
        "--dangerously-bypass-approvals-and-sandbox",
        "--dangerously-bypass-hook-trust",
        "--full-auto",
        "--yolo",
        *(f"{flag} never" for flag in ("--ask-for-approval", "-a")),
        *(f"{flag} danger-full-access" for flag in ("--sandbox", "-s")),
        *(f"{flag} {setting}" for flag in ("--config", "-c") for setting in _UNATTENDED_SETTINGS),
    )
    checked_versions = ("0.169.0", "0.142.0")
    session = CodexSession()

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program for this agent alone.

        A resumed conversation works in the agent's directory, wherever it was begun; without that being
        said the program would ask. The person's own arguments come after ours, so that theirs win.

        Raises:
            SpawnError: The program is not installed.
        """
        program = self.require(request.env)
        files: dict[str, str] = {}
        argv = [program, *request.session_args]
        # Otherwise all agents share a background process, whose tools run in the environment of whoever
        # started it first, and which outlives them and keeps their conversations locked.
        argv += ["-c", "features.daemon_auto_start=false"]
        if request.session_args[:1] == (RESUME,):
            argv += ["-C", str(Path(request.cwd).resolve())]
        if request.role:
            path = str(Path(request.directory, "role.md"))
            files[path] = request.role
            argv += ["-c", f"developer_instructions={_toml(_role(path))}"]
        argv += request.args
        if request.task:
            # Without the dashes a task that begins with a dash, or with a command's name, would be taken
            # for one.
            argv += [*(() if "--" in request.args else ("--",)), _no_command(request.task_argument(files))]
        return Command(argv=tuple(argv), env=dict(request.env), cwd=request.cwd, files=files)

    def doing(self, screen: str) -> Doing:
        """Say what the agent does, from the text that its terminal shows."""
        return doing(screen)

    async def takes_messages(self, process: ProcessIdentity | None, screen: str | None) -> bool | None:
        """Tell whether what is typed now reaches the program as a message."""
        del process
        return None if screen is None else takes_messages(screen)

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: all in one piece, so that no key of a person's comes between.

        At the beginning "!" would run the rest in a shell, and "/" be a command or, where it is none, lost;
        after the word "Message:" the latter is said. Whoever wants a command types it. At the end a word
        with "@" or "$" opens a list of names, from which Enter would choose; a space closes it, and is no
        part of the message.
        """
        return (b"\x1b[200~" + f"{_no_command(text.lstrip())} ".encode() + b"\x1b[201~\r",)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended; a refused id, and a missing login, by what the program says of it."""
        if info.exit.code == 1:
            if any(refusal in info.tail for refusal in _REFUSALS):
                return ExitKind.UNRESUMABLE
            if _SIGN_IN.search(info.tail):
                return ExitKind.AUTH
        return super().classify_exit(info)


def _role(path: str) -> str:
    return (
        f"Who you are here, and how this workspace works, is written in the file {path}. Before anything "
        "else, read all of it; it is as binding as these instructions."
    )


def _no_command(text: str) -> str:
    """Return a text that the program takes for words."""
    return {"!": " ", "/": "Message: "}.get(text[:1], "") + text


def _toml(text: str) -> str:
    """Return `text` as a basic string of TOML, whose escapes are JSON's."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007F")

"""The adapter for Claude Code: how it is launched, told its role, and what its end means.

Conversations are the business of `session`, transcripts on disk that of `transcripts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from afx.plugin import Command, ExitInfo, ExitKind, HarnessProvider, LaunchRequest, SpawnError

from .session import ClaudeSession

# Linux refuses a single argument of 128 KiB.
_LONGEST_ARGUMENT = 100_000

_BACKSLASH = "\\"

# What the program says, with exit code 1, about an id it does not know, or is told to begin anew.
_REFUSALS = ("No conversation found with session ID", "is already in use")


class ClaudeHarness(HarnessProvider):
    """Claude Code, the program `claude` of the npm package @anthropic-ai/claude-code."""

    name = "claude"
    commands = ("claude",)
    # An inherited CLAUDE_CODE_CHILD_SESSION makes the program keep no transcript: nothing could be resumed.
    nesting_marks = (
        "CLAUDECODE",
        "CLAUDE_CODE_CHILD_NOTES_DIR",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_EXECPATH",
        "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_PROJECT_DIR_NAME",
        "CLAUDE_CODE_SESSION_ATTENDED",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_EFFORT",
        "CLAUDE_ENV_FILE",
        "CLAUDE_PID",
        "CLAUDE_PROJECT_DIR",
    )
    set_when_nested = ("AI_AGENT", "GIT_EDITOR")
    session = ClaudeSession()

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program, with its role in a file.

        The person's own arguments come after ours, so that theirs win; the task comes last.

        Raises:
            SpawnError: The program is not installed.
        """
        program = self.find(request.env)
        if program is None:
            raise SpawnError(
                "The program `claude` is not on the PATH.",
                hint="Install it with `npm install -g @anthropic-ai/claude-code`.",
            )
        files: dict[str, str] = {}
        argv = [program, *request.session_args]
        if request.role:
            path = str(Path(request.directory, "role.md"))
            files[path] = request.role
            argv += ["--append-system-prompt-file", path]
        argv += request.args
        if request.task:
            # Without the dashes an option that takes many values, or a task that begins with a dash, would
            # turn the task into something else.
            argv += [*(() if "--" in request.args else ("--",)), _prompt(request, files)]
        return Command(argv=tuple(argv), env=dict(request.env), cwd=request.cwd, files=files)

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: all in one piece, so that no key of a person's comes between.

        Ctrl-S puts aside what a person has begun to type; the program brings it back after the message.
        """
        # At the beginning "!" would run the rest in a shell; at the end a backslash would make a new line.
        message = f"{' ' if text.startswith('!') else ''}{text}{' ' if text.endswith(_BACKSLASH) else ''}"
        return (b"\x13\x1b[200~" + message.encode() + b"\x1b[201~\r",)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended; a refused conversation id is known by what the program says of it."""
        if info.exit.code == 1 and any(refusal in info.tail for refusal in _REFUSALS):
            return ExitKind.UNRESUMABLE
        return super().classify_exit(info)


def _prompt(request: LaunchRequest, files: dict[str, str]) -> str:
    """Return the task as one argument; what is too long for one goes into a file that the argument names."""
    task = request.task or ""
    if len(task.encode()) <= _LONGEST_ARGUMENT:
        return task
    path = str(Path(request.directory, "task.md"))
    files[path] = task
    return f"Your task is in the file {path}. Read all of it, then do it."

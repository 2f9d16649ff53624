"""The adapter for Claude Code: how it is launched, told its role, and what its end means.

Conversations are the business of `session`, what a running program says of itself that of `running`, its
screen that of `screen`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from afx.plugin import (
    Command,
    Doing,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    LaunchRequest,
    ProcessIdentity,
)

from .running import takes_messages
from .screen import doing, has_dialog
from .session import ClaudeSession

_BACKSLASH = "\\"

# What the program says, with exit code 1, about an id it does not know, or is told to begin anew.
_REFUSALS = ("No conversation found with session ID", "is already in use")

# What it says where it is not signed in, or no longer. On its screen words are placed one by one, so blanks
# and control sequences do not count.
_NOT_SIGNED_IN = tuple(
    text.replace(" ", "")
    for text in (
        "Please run /login",
        "Not logged in \N{MIDDLE DOT} Run /login",
        "Login expired \N{MIDDLE DOT} ",
        "Failed to authenticate: OAuth token revoked",
        "Invalid API key \N{MIDDLE DOT} Fix external API key",
    )
)
_CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|\s")


class ClaudeHarness(HarnessProvider):
    """Claude Code, the program `claude` of the npm package @anthropic-ai/claude-code."""

    name = "claude"
    commands = ("claude",)
    install = "npm install -g @anthropic-ai/claude-code"
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
    home_env = ("CLAUDE_CONFIG_DIR",)
    lasting_env = (
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_BEDROCK_BASE_URL",
        "ANTHROPIC_DEFAULT_*_MODEL",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "ANTHROPIC_VERTEX_BASE_URL",
        "ANTHROPIC_VERTEX_PROJECT_ID",
        "AWS_PROFILE",
        "AWS_REGION",
        "CLAUDE_CODE_SUBAGENT_MODEL",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_VERTEX",
        "CLOUD_ML_REGION",
    )
    # The mode may also come from settings files of the person or the project. Those are theirs.
    unattended_args = (
        "--dangerously-skip-permissions",
        "--allow-dangerously-skip-permissions",
        "--permission-mode bypassPermissions",
    )
    # 2.1.197 begins and resumes in the same way, but now and then passes over the Enter after a message.
    checked_versions = ("2.1.329",)
    session = ClaudeSession()

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program, with its role in a file.

        The person's own arguments come after ours, so that theirs win; the task comes last.

        Raises:
            SpawnError: The program is not installed.
        """
        program = self.require(request.env)
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
            argv += [*(() if "--" in request.args else ("--",)), _no_command(request.task_argument(files))]
        return Command(argv=tuple(argv), env=dict(request.env), cwd=request.cwd, files=files)

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: all in one piece, so that no key of a person's comes between.

        Ctrl-S puts aside what a person has begun to type; the program brings it back after the message.

        A message is always said, and never acts on the program: one that begins with a slash, which would
        be a command such as ``/clear`` or, where it is none, be lost, is said after the word "Message:".
        Whoever wants a command types it in the terminal.
        """
        # At the beginning "!" would run the rest in a shell; at the end a backslash would make a new line.
        words = _no_command(text)
        message = f"{' ' if words.startswith('!') else ''}{words}{' ' if words.endswith(_BACKSLASH) else ''}"
        return (b"\x13\x1b[200~" + message.encode() + b"\x1b[201~\r",)

    async def takes_messages(self, process: ProcessIdentity | None, screen: str | None) -> bool | None:
        """Tell whether what is typed now reaches the program as a message, by its record and its screen.

        In a dialog the message would go nowhere and its Enter would confirm, say, a tool call that nobody
        has read.
        """
        if screen is not None and has_dialog(screen):
            return False
        if process is None:
            return None
        return await anyio.to_thread.run_sync(takes_messages, process, self.commands, abandon_on_cancel=True)

    def doing(self, screen: str) -> Doing:
        """Say what the agent does, from the text that its terminal shows."""
        return doing(screen)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended; a refused id and a missing login are known by what the program says.

        At its prompt the program stays when it is not signed in, and says so on its screen only.
        """
        if info.exit.code == 1:
            if any(refusal in info.tail for refusal in _REFUSALS):
                return ExitKind.UNRESUMABLE
            said = _CONTROL.sub("", info.tail)
            if any(text in said for text in _NOT_SIGNED_IN):
                return ExitKind.AUTH
        return super().classify_exit(info)


def _no_command(text: str) -> str:
    """Return a text that the program takes for words. It passes over blanks before a slash."""
    return f"Message: {text}" if text.lstrip().startswith("/") else text

"""The adapter for Gemini CLI: how it is launched, told its role, and what its screen and its end mean.

Conversations are the business of `session`, transcripts on disk and what keeps them that of `chats`, and how
the program is told its role that of `prompt`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from afx.plugin import (
    Command,
    Doing,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    LaunchRequest,
    ProcessIdentity,
    age,
)

from . import chats, prompt
from .screen import doing, shows_draft, takes_messages
from .session import RESUME, GeminiSession

# The program's own exit codes, of which the first also stands for an id that it does not know or has already.
_BAD_INPUT = 42
_NO_AUTH = 41

_END_KEY = b"\x1b[F"

# In seconds: after so long an unknown screen is none of a program that comes up.
_COMES_UP_WITHIN = 60

_OF_NO_TERMINAL = frozenset({"CI", "GITHUB_ACTIONS"})


class GeminiHarness(HarnessProvider):
    """Google's Gemini CLI, the program `gemini` of the npm package @google/gemini-cli, 0.47 or later.

    Earlier ones do not take the id of a new conversation.
    """

    name = "gemini"
    commands = ("gemini",)
    install = "npm install -g @google/gemini-cli"
    nesting_marks = (
        "GEMINI_CLI",
        "GEMINI_CLI_NO_RELAUNCH",
        "GEMINI_CWD",
        "GEMINI_PLANS_DIR",
        "GEMINI_PROJECT_DIR",
        "GEMINI_SESSION_ID",
    )
    # Its shell hides the person's git configuration from what runs in it.
    set_when_nested = (
        "CLAUDE_PROJECT_DIR",
        "DISPLAY",
        "GIT_ASKPASS",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_KEY_*",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_VALUE_*",
    )
    home_env = ("GEMINI_CLI_HOME",)
    lasting_env = (
        "GEMINI_CLI_SYSTEM_DEFAULTS_PATH",
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
        "GEMINI_MODEL",
        "GEMINI_SANDBOX",
        "GEMINI_SYSTEM_MD",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_GENAI_USE_GCA",
        "GOOGLE_GENAI_USE_VERTEXAI",
    )
    unattended_args = (
        "--approval-mode auto_edit",
        "--approval-mode yolo",
        "--skip-trust",
        "--yolo",
        "-y",
    )
    checked_versions = ("0.61.0", "0.47.0")
    session = GeminiSession()

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program, after a second name was given to what it resumes.

        The task comes before the person's arguments, since those may end the options.

        Raises:
            SpawnError: The program is not installed, or a system prompt that a person wrote cannot be read.
        """
        program = self.require(request.env)
        if request.session_args[:1] == (RESUME,):
            chats.keep(request.session_args[-1], Path(request.cwd), request.env)
            chats.set_apart(request.session_args[-1], Path(request.cwd), request.env, time.time())
        files: dict[str, str] = {}
        # With one of these set the program talks to nobody in a terminal, and ends.
        env = {name: value for name, value in request.env.items() if name not in _OF_NO_TERMINAL}
        if request.role:
            path = str(Path(request.directory, prompt.FILE_NAME))
            files[path] = prompt.system_prompt(env, Path(request.cwd), request.role)
            env[prompt.VARIABLE] = path
        # In one word, since a task may begin with a dash.
        task = (f"--prompt-interactive={_no_command(request.task_argument(files))}",) if request.task else ()
        argv = (program, *request.session_args, *task, *request.args)
        return Command(argv=argv, env=env, cwd=request.cwd, files=files)

    def doing(self, screen: str) -> Doing:
        """Say what the agent does, from the text that its terminal shows."""
        return doing(screen)

    async def takes_messages(self, process: ProcessIdentity | None, screen: str | None) -> bool | None:
        """Tell whether what is typed now reaches the program as a message.

        It may take many seconds to come up, and what is typed meanwhile is lost.
        """
        answer = None if screen is None else takes_messages(screen)
        if answer is None and process is not None:
            lived_for = age(process)
            return False if lived_for is not None and lived_for < _COMES_UP_WITHIN else None
        return answer

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: a paste, and well after it Enter.

        An Enter that the program reads within 40 ms of its work on the paste makes a new line, as pasted
        text might. The keys between do nothing at the end of the text, and make time. There a word with "@"
        opens a list of files, from which Enter would choose, and a backslash would make a new line; a
        space prevents both, and is no part of the message. At the beginning "/" would be a command; after
        the word "Message:" it is said. Whoever wants a command types it.
        """
        words = _no_command(text.lstrip())
        return (b"\x1b[200~" + words.encode() + b" \x1b[201~", _END_KEY, _END_KEY, _END_KEY, b"\r")

    def shows_draft(self, screen: str) -> bool:
        """Tell whether the program's input field holds text, from what its terminal shows."""
        return shows_draft(screen)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended, by the exit codes that the program has for it."""
        if info.exit.code == _BAD_INPUT:
            return ExitKind.UNRESUMABLE
        if info.exit.code == _NO_AUTH:
            return ExitKind.AUTH
        return super().classify_exit(info)


def _no_command(text: str) -> str:
    """Return a text that the program takes for words. It passes over blanks before a slash."""
    return f"Message: {text}" if text.lstrip().startswith("/") else text

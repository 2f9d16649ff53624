"""A scripted agent program, for tests that need an agent and no model.

It takes the flags of Claude Code that matter for conversations and keeps transcripts where that program
does, so the `claude` harness can drive it unchanged. It needs the standard library only and runs as
``python -m afx.testing.fake_agent``, or by its path under another name on the PATH.

What it answers to a line, or to a bracketed paste, that is ended by Enter:

===========  ==================================================================
``/quit``    exits with 0, as Ctrl-D and the end of the input do
``/crash N`` exits with N
``/die``     kills itself with SIGKILL
``/flood N`` writes N numbered lines
``/count X`` counts aloud every X milliseconds from now on
else         ``heard N: TEXT``, where N counts the turns of the conversation
===========  ==================================================================
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_WITH_VALUE = ("--session-id", "--resume", "--append-system-prompt-file")
_MESSAGE = re.compile(rb"(?:\x1b\[200~.*?\x1b\[201~|[^\r\n\x1b]|\x1b(?!\[200~))*[\r\n]", re.DOTALL)


def transcript_path(session_id: str, cwd: str) -> Path:
    """Return where Claude Code keeps the transcript of a conversation. Paths must be short and plain."""
    config = os.environ.get("CLAUDE_CONFIG_DIR") or str(Path.home() / ".claude")
    return Path(
        config, "projects", re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(cwd)), f"{session_id}.jsonl"
    )


class Conversation:
    """What was said, kept in a transcript where there is an id. The file is made by the first turn."""

    def __init__(self, session_id: str | None) -> None:
        self.id = session_id
        self.path = None if session_id is None else transcript_path(session_id, str(Path.cwd()))
        self.turns = 0
        if self.path is not None and self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            self.turns = sum(json.loads(line)["type"] == "user" for line in lines)

    def answer(self, text: str) -> str:
        """Take in one turn and return what is answered."""
        self.turns += 1
        answer = f"heard {self.turns}: {text}"
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                for role, content in (("user", text), ("assistant", answer)):
                    line = {
                        "type": role,
                        "sessionId": self.id,
                        "cwd": str(Path.cwd()),
                        "message": {"role": role, "content": content},
                    }
                    file.write(json.dumps(line) + "\n")
        return answer


class Terminal:
    """Standard input and output, read key by key as full-screen programs do."""

    def __init__(self) -> None:
        self._pending = b""
        if sys.stdin.isatty():
            # As such programs have it: no echo, no limit to a line's length, Ctrl-S is a key like others.
            mode = termios.tcgetattr(0)
            mode[0] &= ~(termios.IXON | termios.ICRNL)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(0, termios.TCSADRAIN, mode)

    def say(self, text: str) -> None:
        """Write a line."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def messages(self, seconds: float | None) -> Iterator[str]:
        """Yield the messages that came within so many seconds (None: wait for as long as it takes).

        Raises:
            EOFError: The input ended.
        """
        if not select.select([0], [], [], seconds)[0]:
            return
        read = os.read(0, 65536)
        self._pending += read
        while found := _MESSAGE.match(self._pending):
            self._pending = self._pending[found.end() :]
            plain = found[0][:-1].replace(_PASTE_BEGIN, b"").replace(_PASTE_END, b"").replace(b"\x13", b"")
            yield plain.decode("utf-8", "replace").replace("\r", "\n")
        if not read or self._pending.endswith(b"\x04"):
            raise EOFError


def converse(conversation: Conversation, terminal: Terminal, first: str | None) -> int:
    """Answer until told to end; return the exit code."""
    counted, every, due = 0, None, 0.0
    waiting = [] if first is None else [first]
    while True:
        for text in waiting:
            word, _, argument = text.partition(" ")
            match word:
                case "/quit":
                    return 0
                case "/crash":
                    return int(argument or 1)
                case "/die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "/flood":
                    terminal.say("\n".join(f"line {number}" for number in range(1, int(argument) + 1)))
                case "/count":
                    every, due = float(argument or 100) / 1000, time.monotonic()
                case _:
                    terminal.say(conversation.answer(text))
        if every is not None and time.monotonic() >= due:
            counted += 1
            due += every
            terminal.say(f"count {counted}")
        patience = None if every is None else max(0.0, due - time.monotonic())
        try:
            waiting = list(terminal.messages(patience))
        except (EOFError, OSError):
            return 0


def refuse(sentence: str) -> NoReturn:
    """Say on standard error what is wrong and exit with 1."""
    sys.stderr.write(sentence + "\n")
    raise SystemExit(1)


def main(arguments: list[str]) -> int:
    """Run the program with these command line arguments; return the exit code."""
    options: dict[str, str] = {}
    first = None
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            first = next(rest, None)
        elif argument in _WITH_VALUE:
            options[argument] = next(rest, "")
    conversation = Conversation(options.get("--resume") or options.get("--session-id"))
    if "--resume" in options and not conversation.turns:
        refuse(f"No conversation found with session ID: {conversation.id}")
    if "--resume" not in options and conversation.turns:
        refuse(f"Error: Session ID {conversation.id} is already in use.")
    role = options.get("--append-system-prompt-file")
    terminal = Terminal()
    terminal.say(
        f"\x1b[?2004hfake agent: pid={os.getpid()} session={conversation.id} turns={conversation.turns} "
        f"role={len(Path(role).read_text(encoding='utf-8')) if role else 0}"
    )
    return converse(conversation, terminal, first)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

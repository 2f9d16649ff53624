"""A scripted agent program, for tests that need an agent and no model.

It needs the standard library only and runs as ``python -m afx.testing.fake_agent``, or by its path under
another name on the PATH. ``--like PROGRAM``, as the first argument, says whose flags it takes and how it
keeps its conversations, so that the harness of that program can drive it unchanged:

==========  ===================================================================
``claude``  takes the id of a new conversation (the default)
``codex``   chooses the id itself, with the first turn
``plain``   keeps no conversation
==========  ===================================================================

What it answers to a line, or to a bracketed paste, that is ended by Enter:

===========  ==================================================================
``/quit``    exits with 0, as Ctrl-D and the end of the input do
``/crash N`` exits with N
``/die``     kills itself with SIGKILL
``/clear``   begins another conversation, as does ``/new``
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
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_WITH_VALUE = ("--session-id", "--resume", "resume", "--append-system-prompt-file", "-c", "-C", "--role")
_ROLES = ("--append-system-prompt-file", "--role")
_MESSAGE = re.compile(rb"(?:\x1b\[200~.*?\x1b\[201~|[^\r\n\x1b]|\x1b(?!\[200~))*[\r\n]", re.DOTALL)


def transcript_path(session_id: str, cwd: str) -> Path:
    """Return where Claude Code keeps the transcript of a conversation. Paths must be short and plain."""
    return _claude_directory().joinpath(
        "projects", re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(cwd)), f"{session_id}.jsonl"
    )


class Conversation:
    """What was said. This one is kept nowhere.

    Attributes:
        id: What the conversation is resumed by; None where it has no id, or none yet.
        turns: How many there were.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        del options
        self.id: str | None = None
        self.turns = 0

    def answer(self, text: str) -> str:
        """Take in one turn and return what is answered."""
        self.turns += 1
        answer = f"heard {self.turns}: {text}"
        self.keep(text, answer)
        return answer

    def keep(self, text: str, answer: str) -> None:
        """Keep a turn."""

    def renew(self) -> None:
        """Begin another conversation."""
        self.turns = 0

    def close(self) -> None:
        """Clean up, as a program does that ends by itself."""


class ClaudeConversation(Conversation):
    """As Claude Code has it: the first turn makes the transcript; a record says what the process has open."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options)
        self.id = options.get("--resume") or options.get("--session-id")
        self._record = _claude_directory() / "sessions" / f"{os.getpid()}.json"
        if self.id is None:
            return
        path = transcript_path(self.id, str(Path.cwd()))
        self.turns = _count(path, "user") if path.exists() else 0
        if "--resume" in options and not self.turns:
            refuse(f"No conversation found with session ID: {self.id}")
        if "--resume" not in options and self.turns:
            refuse(f"Error: Session ID {self.id} is already in use.")
        self._write_record()

    def keep(self, text: str, answer: str) -> None:
        """Add a turn to the transcript, where there is an id."""
        if self.id is None:
            return
        path = transcript_path(self.id, str(Path.cwd()))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for role, content in (("user", text), ("assistant", answer)):
                message = {"role": role, "content": content}
                line = {"type": role, "sessionId": self.id, "cwd": str(Path.cwd()), "message": message}
                file.write(json.dumps(line) + "\n")

    def renew(self) -> None:
        """Go on under an id that nobody chose."""
        super().renew()
        self.id = str(uuid.uuid4())
        self._write_record()

    def close(self) -> None:
        """Remove the record."""
        self._record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        with suppress(OSError):
            stat = Path("/proc/self/stat").read_text(encoding="utf-8")
            record = {
                "pid": os.getpid(),
                "sessionId": self.id,
                "cwd": str(Path.cwd()),
                "procStart": stat.rpartition(")")[2].split()[19],
                "status": "idle",
                "startedAt": time.time() * 1000,
            }
            self._record.parent.mkdir(parents=True, exist_ok=True)
            new = self._record.with_suffix(".new")
            new.write_text(json.dumps(record), encoding="utf-8")
            new.replace(self._record)


class CodexConversation(Conversation):
    """As Codex has it: the first turn chooses the id and makes the rollout, which stays open."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options)
        self._sessions = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex", "sessions")
        self._rollouts: list[TextIOWrapper] = []
        with suppress(OSError):
            # By its name the process is known for one that may have a rollout open.
            Path("/proc/self/comm").write_text("codex", encoding="ascii")
        wanted = options.get("resume")
        if wanted is None:
            return
        path = next(self._sessions.rglob(f"rollout-*-{wanted}.jsonl"), None)
        if path is None:
            refuse(f"ERROR: No saved session found with ID {wanted}.")
        self.id = wanted
        self.turns = path.read_text(encoding="utf-8").count('"role": "user"')
        self._rollouts.append(path.open("a", encoding="utf-8"))

    def keep(self, text: str, answer: str) -> None:
        """Add a turn to the rollout; the first one makes it."""
        if self.id is None:
            self.id = str(uuid.uuid4())
            now = time.localtime()
            path = self._sessions.joinpath(
                time.strftime("%Y/%m/%d", now),
                f"rollout-{time.strftime('%Y-%m-%dT%H-%M-%S', now)}-{self.id}.jsonl",
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._rollouts.append(path.open("a", encoding="utf-8"))
            self._write("session_meta", {"id": self.id, "cwd": str(Path.cwd()), "source": "cli"})
        for role, content in (("user", text), ("assistant", answer)):
            message = {"type": "message", "role": role, "content": [{"type": "text", "text": content}]}
            self._write("response_item", message)

    def renew(self) -> None:
        """Have the next turn choose another id; the rollouts so far stay open."""
        super().renew()
        self.id = None

    def _write(self, kind: str, payload: Mapping[str, object]) -> None:
        seconds = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"
        line = {"timestamp": stamp, "type": kind, "payload": {"timestamp": stamp, **payload}}
        self._rollouts[-1].write(json.dumps(line) + "\n")
        self._rollouts[-1].flush()


_LIKE: Mapping[str, type[Conversation]] = {
    "claude": ClaudeConversation,
    "codex": CodexConversation,
    "plain": Conversation,
}


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
                case "/quit" | "/crash":
                    return 0 if word == "/quit" else int(argument or 1)
                case "/die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "/clear" | "/new":
                    conversation.renew()
                    terminal.say(f"cleared: session={conversation.id}")
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
    like, first = "claude", None
    rest = iter(arguments)
    for argument in rest:
        if argument == "--like":
            like = next(rest)
        elif argument == "--":
            first = next(rest, None)
        elif argument in _WITH_VALUE:
            options[argument] = next(rest, "")
    conversation = _LIKE[like](options)
    role = next((options[option] for option in _ROLES if option in options), None)
    terminal = Terminal()
    terminal.say(
        f"\x1b[?2004hfake agent: pid={os.getpid()} session={conversation.id} turns={conversation.turns} "
        f"role={len(Path(role).read_text(encoding='utf-8')) if role else 0}"
    )
    code = converse(conversation, terminal, first)
    conversation.close()
    return code


def _claude_directory() -> Path:
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


def _count(transcript: Path, kind: str) -> int:
    """Count the lines of a kind. A line that cannot be read, as after a crash, is passed over."""
    count = 0
    for line in transcript.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            count += json.loads(line).get("type") == kind
    return count


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""What is seen of a Tower from outside, by the system and not by what the Tower says of itself."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from afx.api.process import ProcessIdentity, identify
from afx.testing.tower_process import processes_of

_FLAGS_OF_IDS = ("--session-id", "--resume")


class Program(NamedTuple):
    """A process that runs in a terminal of an agent.

    Attributes:
        agent: The agent's id, as its environment has it.
        parent: The process that started it: on every strategy there is, its holder.
        session: The conversation that its command line names; empty where it names none.
    """

    process: ProcessIdentity
    agent: str
    parent: int
    session: str


def programs(home: Path) -> list[Program]:
    """Return every live program of an agent of a state directory, without what it started itself."""
    found: dict[int, Program] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            variables = _environment(directory)
            agent = variables.get("AFX_AGENT", "")
            if variables.get("AFX_HOME") != str(home) or not agent:
                continue
            process = identify(int(directory.name))
            if process is not None:
                words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
                found[process.pid] = Program(process, agent, parent_of(process.pid), _session(words))
    return [one for one in found.values() if one.parent not in found]


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text[text.rindex(")") + 1 :].split()[1])


def children_of(pid: int) -> list[ProcessIdentity]:
    """Return the direct children of a process."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        if parent_of(int(directory.name)) == pid:
            process = identify(int(directory.name))
            found += [] if process is None else [process]
    return found


def recorder_of(home: Path, terminal_id: str) -> ProcessIdentity | None:
    """Return the process that records a terminal; None where there is none apart from its holder."""
    for process in processes_of(home):
        with suppress(OSError):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if b"record" in words and terminal_id.encode() in words:
                return process
    return None


def command_line(process: ProcessIdentity) -> str:
    """Return what a process was started with, and its name."""
    directory = Path(f"/proc/{process.pid}")
    try:
        words = (directory / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        return f"{process.pid} ({(directory / 'comm').read_text().strip()}) {words}".strip()
    except OSError:
        return f"{process.pid}, which is gone by now"


def doubled(found: list[Program]) -> Mapping[str, list[Program]]:
    """Return the conversations that more than one process has."""
    by_session: dict[str, list[Program]] = defaultdict(list)
    for program in found:
        if program.session:
            by_session[program.session].append(program)
    return {session: those for session, those in by_session.items() if len(those) > 1}


def stored_ids(path: Path) -> dict[str, set[str]] | None:
    """Return the conversations of each agent that a database has; None where SQLite cannot read it."""
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    try:
        found: dict[str, set[str]] = {agent: set() for (agent,) in database.execute("SELECT id FROM agents")}
        for agent, conversation in database.execute("SELECT agent_id, id FROM conversations"):
            found.setdefault(agent, set()).add(conversation)
    except sqlite3.Error:
        return None
    finally:
        database.close()
    return found


class Guard:
    """A process that is none of afx's, and writes down every signal that it is sent."""

    def __init__(self, directory: Path) -> None:
        self._record = directory / "signals"
        self._record.touch()
        code = (
            "import os, signal, sys, time\n"
            "def note(number, _):\n"
            "    os.write(record, f'{number} '.encode())\n"
            f"record = os.open({str(self._record)!r}, os.O_WRONLY | os.O_APPEND)\n"
            "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:\n"
            "    signal.signal(number, note)\n"
            "print('up', flush=True)\n"
            "while True:\n"
            "    time.sleep(1000)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def signals(self) -> str:
        """Return what it was sent, or how it ended."""
        if self._process.poll() is not None:
            return f"it was ended: {self._process.returncode}"
        return " ".join(signal.Signals(int(text)).name for text in self._record.read_text().split())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _environment(directory: Path) -> dict[str, str]:
    pairs = (directory / "environ").read_bytes().decode(errors="replace").split("\0")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _session(words: list[str]) -> str:
    return next((words[place + 1] for place, word in enumerate(words[:-1]) if word in _FLAGS_OF_IDS), "")

"""The fake agent does what tests rely on."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.plugin import Evidence, Place
from afx.testing import fake_agent
from afx_harness_claude.session import ClaudeSession
from afx_harness_claude.transcripts import transcript

ID = "2647dc37-f7cf-4647-9e62-e47afe148df3"


class Agent:
    """A fake agent in a terminal of the test's own."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.master, slave = pty.openpty()
        argv = [sys.executable, "-I", "-S", str(fake_agent.__file__), *arguments]
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, cwd=cwd)
        os.close(slave)
        self.output = b""

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def until(self, wanted: str) -> str:
        """Read until `wanted` was written; return all output."""
        deadline = time.monotonic() + 20
        while wanted.encode() not in self.output:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} did not come; the output was {self.output!r}"
            self.output += os.read(self.master, 65536)
        return self.output.decode()

    def end(self) -> int:
        return self.process.wait(20)


class Agents:
    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._started: list[Agent] = []

    def start(self, *arguments: str) -> Agent:
        agent = Agent(*arguments, cwd=self._cwd)
        self._started.append(agent)
        return agent

    def end(self) -> None:
        for agent in self._started:
            agent.process.kill()
            agent.process.wait()
            os.close(agent.master)


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    started = Agents(tmp_path)
    yield started
    started.end()


def test_it_greets_with_pid_and_id_and_answers(agents: Agents) -> None:
    agent = agents.start("--session-id", ID, "--verbose")
    agent.until(f"pid={agent.process.pid} session={ID} turns=0 role=0")
    agent.type(b"hello\r")
    agent.until("heard 1: hello")
    agent.type(b"\x13\x1b[200~one\rtwo\x1b[201~\r")
    agent.until("heard 2: one\r\ntwo")
    agent.type(b"x" * 10_000 + b"\r")
    agent.until("heard 3: " + "x" * 10_000)


async def test_its_transcript_is_where_the_claude_harness_looks(agents: Agents, tmp_path: Path) -> None:
    session = ClaudeSession()
    place = Place(cwd=tmp_path, env=os.environ)
    agent = agents.start(*session.new_session_args(ID))
    agent.until("turns=0")
    assert await session.verify(ID, place) is Evidence.MISSING
    agent.type(b"hello\r")
    agent.until("heard 1")
    assert await session.verify(ID, place) is Evidence.FOUND
    assert fake_agent.transcript_path(ID, str(tmp_path)) == transcript(ID, tmp_path, dict(os.environ))
    agent.type(b"/die\r")
    assert agent.end() == -signal.SIGKILL
    agent = agents.start(*session.resume_args(ID))
    agent.until("turns=1")
    agent.type(b"again\r")
    agent.until("heard 2: again")


def test_ids_are_refused_as_the_real_program_does(agents: Agents) -> None:
    agent = agents.start("--resume", ID)
    agent.until("No conversation found with session ID")
    assert agent.end() == 1
    agent = agents.start("--session-id", ID, "--", "--first task")
    agent.until("heard 1: --first task")
    agent = agents.start("--session-id", ID)
    agent.until("is already in use")
    assert agent.end() == 1


def test_a_role_file_is_read(agents: Agents, tmp_path: Path) -> None:
    (tmp_path / "role").write_text("é" * 1000, encoding="utf-8")
    agents.start("--append-system-prompt-file", "role").until("session=None turns=0 role=1000")


@pytest.mark.parametrize(
    ("typed", "code"), [(b"/quit\r", 0), (b"\x04", 0), (b"/crash 7\r", 7), (b"/die\r", -signal.SIGKILL)]
)
def test_it_ends_as_told(agents: Agents, typed: bytes, code: int) -> None:
    agent = agents.start()
    agent.until("fake agent")
    agent.type(typed)
    assert agent.end() == code


def test_it_floods_and_counts(agents: Agents) -> None:
    agent = agents.start()
    agent.type(b"/flood 5000\r")
    lines = agent.until("line 5000\r\n").splitlines()
    assert lines[-5000:] == [f"line {number}" for number in range(1, 5001)]
    agent.type(b"/count 1\r")
    agent.until("count 20\r\n")
    agent.type(b"still there?\r")
    agent.until("heard 1: still there?")

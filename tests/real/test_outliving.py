"""The real programs under afx: they outlive the Tower, and after the loss of everything they remember."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import is_alive, send_signal
from afx.testing.follower import type_into
from afx.testing.tower_process import TowerProcess, processes_of
from e2e.rows import rows

from .conftest import Home
from .model_server import QUESTION, ModelServer
from .programs import CLAUDE, CODEX, GEMINI, Program

pytestmark = pytest.mark.real

# What speaks of another agent, or of the person's own account, is not for these.
OF_PROGRAMS = ("AFX_", "ANTHROPIC", "CLAUDE", "CODEX", "GEMINI", "GOOGLE", "OPENAI")


class Afx:
    """The command line, as a person uses it, on a state directory of the test's own."""

    def __init__(self, directory: Path, repository: Path, env: dict[str, str]) -> None:
        self.repository = repository
        self.tower = TowerProcess(directory / "s", {**env, "XDG_CONFIG_HOME": str(directory / "config")})

    def __call__(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afx.cli", *argv],
            cwd=self.repository,
            env=self.tower.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"afx {' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout

    def agent(self, name: str) -> Any:
        self.tower.port = json.loads((self.tower.home / "tower.json").read_text(encoding="utf-8"))["port"]
        return self.tower.agents()[name]

    def last_words(self, name: str) -> str:
        """Return the last words in the transcript of an agent's conversation, as far as it is written."""
        agent = self.agent(name)
        listed = self.tower.request("GET", f"/api/agents/{agent['id']}/conversations")["conversations"]
        return next((one["transcript"]["last"] for one in listed if one["transcript"]), "")

    def kill_everything(self) -> None:
        """SIGKILL the Tower, all holders and all agents."""
        deadline = time.monotonic() + 20
        while found := processes_of(self.tower.home):
            for process in found:
                send_signal(process, signal.SIGKILL)
            while any(is_alive(process) for process in found):
                assert time.monotonic() < deadline, f"{found} do not end"
                time.sleep(0.01)


@pytest.fixture
def afx(home: Home) -> Iterator[Afx]:
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    repository = directory / "repo"
    repository.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(repository)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(OF_PROGRAMS)}
    run = Afx(directory, repository, {**env, **home(repository)})
    yield run
    run.tower.end_everything()
    shutil.rmtree(directory, ignore_errors=True)


def say(afx: Afx, server: ModelServer, agent: str, text: str) -> Any:
    """Send a message, and return the turn in which the model saw it."""
    since = len(server.turns)
    afx("send", agent, text)
    try:
        return server.wait_for(lambda turn: text in turn.prompt, since=since, seconds=60)
    except AssertionError as missed:
        raise AssertionError(f"{missed}\n{afx('status')}\n{afx('logs', agent)}") from None


@pytest.mark.parametrize("program", [CLAUDE], ids=lambda one: one.name, indirect=True)
def test_architect_and_builder_talk_on_after_the_tower_was_killed(afx: Afx, server: ModelServer) -> None:
    printed = afx("up", "--no-open")
    assert "architect/main" in printed
    afx("spawn", "fix", "--task", "Say the word pumpernickel")
    server.wait_for(lambda turn: "pumpernickel" in turn.prompt, seconds=60)
    say(afx, server, "architect/main", "Remember: the code word is marzipan")
    before = {name: afx.agent(name) for name in ("architect/main", "builder/fix")}
    tower = next(one for one in processes_of(afx.tower.home) if one.pid == afx.tower.state()["tower"]["pid"])
    assert send_signal(tower, signal.SIGKILL)
    afx("tower", "start")
    for name, agent in before.items():
        now = afx.agent(name)
        assert now["state"] == "running"
        assert (now["terminal"]["id"], now["terminal"]["pid"]) == (
            agent["terminal"]["id"],
            agent["terminal"]["pid"],
        )
    turn = say(afx, server, "architect/main", QUESTION)
    assert any("marzipan" in text for _, text in turn.messages)
    turn = say(afx, server, "builder/fix", "And now say pretzel")
    assert any("pumpernickel" in text for _, text in turn.messages)


def begin_another_conversation(afx: Afx) -> None:
    """Do so in the builder's terminal, with the pauses that a person makes."""
    terminal = afx.agent("builder/fix")["terminal"]["id"]
    for keys in (b"/clear", b"\r"):
        type_into(afx.tower, terminal, keys)
        time.sleep(1)


def await_answer(afx: Afx, answer: str) -> None:
    """Wait until the builder's last words have this answer in them."""
    afx.tower.eventually(lambda: answer in afx.last_words("builder/fix"), timeout=30)


@pytest.mark.parametrize("program", [CLAUDE, CODEX, GEMINI], ids=lambda one: one.name, indirect=True)
def test_after_the_loss_of_everything_it_remembers(afx: Afx, server: ModelServer, program: Program) -> None:
    afx("tower", "start")
    afx("workspace", "start")
    afx("spawn", "fix", "--harness", program.name, "--task", "Say the word pumpernickel")
    server.wait_for(lambda turn: "pumpernickel" in turn.prompt, seconds=60)
    say(afx, server, "builder/fix", "Remember: the code word is marzipan")
    word, answer = "marzipan", "Noted napizram."
    for boot in ("the same", "another, lesson 01"):
        # Programs write a moment after they have spoken; what was never written nobody can bring back.
        await_answer(afx, answer)
        conversation = afx.agent("builder/fix")["conversation"]["id"]
        afx.kill_everything()
        if boot != "the same":
            forge_a_reboot(afx.tower.home)
        afx("tower", "start")
        assert afx.agent("builder/fix")["state"] == "lost"
        assert "builder/fix" in afx("workspace", "recover")
        assert afx.agent("builder/fix")["state"] == "lost", "a dry run changes nothing, lesson 30"
        afx("workspace", "recover", "--apply", "--yes")
        assert afx.agent("builder/fix")["conversation"]["id"] == conversation, afx("explain", "fix")
        turn = say(afx, server, "builder/fix", QUESTION)
        said = " ".join(text for _, text in turn.messages)
        assert word in said, "it has forgotten"
        assert ("pumpernickel" in said) is (word == "marzipan"), "the conversation is another one"
        answer = f"It was {word}."
        # Codex asks more than one question of whoever begins another one in a worktree.
        if word == "marzipan" and program is not CODEX:
            # A program may take no command while it answers.
            afx.tower.eventually(lambda: "It was marzipan." in afx.last_words("builder/fix"), timeout=30)
            word, answer = "nougat", "Noted taguon."
            begin_another_conversation(afx)
            say(afx, server, "builder/fix", f"Remember: the code word is {word}")
            followed = partial(is_another, afx, conversation)
            assert afx.tower.eventually(followed, timeout=30) == "captured"


def is_another(afx: Afx, conversation_id: str) -> str | None:
    """Return the source of the builder's conversation, if it is another one than this."""
    now = afx.agent("builder/fix")["conversation"]
    return None if now["id"] == conversation_id else str(now["source"])


def forge_a_reboot(home: Path) -> None:
    """Leave of a state directory what a reboot leaves: no sockets, and records of another boot."""
    for socket in home.glob("*/*.sock"):
        socket.unlink()
    with rows(home / "afx.db") as database:
        database.execute("UPDATE terminal_sessions SET boot_id = 'another-boot' WHERE boot_id IS NOT NULL")
        database.execute(
            "UPDATE terminal_sessions SET handle = json_set(handle, '$.holder.boot_id', 'another-boot')"
        )

"""The real Claude Code under afx: it outlives the Tower, and after the loss of everything it remembers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import is_alive, send_signal
from afx.testing.tower_process import TowerProcess, processes_of

from .model_server import QUESTION, ModelServer

pytestmark = pytest.mark.real

Home = Callable[[Path], dict[str, str]]


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

    def transcript(self, conversation_id: str) -> bytes:
        """Return the transcript of a conversation, as far as it is written."""
        home = Path(self.tower.env["HOME"])
        return b"".join(
            path.read_bytes() for path in home.glob(f".claude/projects/*/{conversation_id}.jsonl")
        )

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
def afx(claude_home: Home) -> Iterator[Afx]:
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    repository = directory / "repo"
    repository.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(repository)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE", "ANTHROPIC"))}
    run = Afx(directory, repository, {**env, **claude_home(repository)})
    yield run
    run.tower.end_everything()
    shutil.rmtree(directory, ignore_errors=True)


def say(afx: Afx, model_server: ModelServer, agent: str, text: str) -> Any:
    """Send a message, and return the turn in which the model saw it."""
    since = len(model_server.turns)
    afx("send", agent, text)
    return model_server.wait_for(lambda turn: text in turn.prompt, since=since, seconds=60)


def test_architect_and_builder_talk_on_after_the_tower_was_killed(
    afx: Afx, model_server: ModelServer
) -> None:
    printed = afx("up", "--no-open")
    assert "architect/main" in printed
    afx("spawn", "fix", "--task", "Say the word pumpernickel")
    model_server.wait_for(lambda turn: "pumpernickel" in turn.prompt, seconds=60)
    say(afx, model_server, "architect/main", "Remember: the code word is marzipan")
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
    turn = say(afx, model_server, "architect/main", QUESTION)
    assert any("marzipan" in text for _, text in turn.messages)
    turn = say(afx, model_server, "builder/fix", "And now say pretzel")
    assert any("pumpernickel" in text for _, text in turn.messages)


@pytest.mark.parametrize("boot", ["the same boot", "another boot, lesson 01"])
def test_after_the_loss_of_everything_it_remembers(afx: Afx, model_server: ModelServer, boot: str) -> None:
    afx("up", "--no-open")
    afx("spawn", "fix", "--task", "Say the word pumpernickel")
    model_server.wait_for(lambda turn: "pumpernickel" in turn.prompt, seconds=60)
    say(afx, model_server, "architect/main", "Remember: the code word is marzipan")
    ids = {name: afx.agent(name)["conversation"]["id"] for name in ("architect/main", "builder/fix")}
    for name in ids.values():
        # The program writes a moment after it has spoken; what it never wrote nobody can bring back.
        afx.tower.eventually(lambda name=name: b'"assistant"' in afx.transcript(name), timeout=30)
    afx.kill_everything()
    if boot.startswith("another"):
        forge_a_reboot(afx.tower.home)
    afx("tower", "start")
    assert afx.agent("architect/main")["state"] == "lost"
    dry = afx("workspace", "recover")
    assert afx.agent("architect/main")["state"] == "lost", "a dry run changes nothing, lesson 30"
    assert "architect/main" in dry
    afx("workspace", "recover", "--apply", "--yes")
    for name, word in (("architect/main", "marzipan"), ("builder/fix", "pumpernickel")):
        assert afx.agent(name)["conversation"]["id"] == ids[name], afx("explain", name)
        turn = say(afx, model_server, name, QUESTION)
        assert any(word in text for _, text in turn.messages), f"{name} has forgotten"


def forge_a_reboot(home: Path) -> None:
    """Leave of a state directory what a reboot leaves: no sockets, and records of another boot."""
    for socket in home.glob("*/*.sock"):
        socket.unlink()
    with sqlite3.connect(home / "afx.db") as database:
        database.execute("UPDATE terminal_sessions SET boot_id = 'another-boot' WHERE boot_id IS NOT NULL")
        database.execute(
            "UPDATE terminal_sessions SET handle = json_set(handle, '$.holder.boot_id', 'another-boot')"
        )

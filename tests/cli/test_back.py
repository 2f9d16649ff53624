"""Agents brought back by commands, with a real Tower and the scripted fake agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from afx.api.process import identify, is_alive, send_signal
from afx.cli import launcher
from afx.testing.tower_process import processes_of
from cli.conftest import Afx
from cli.test_attach import seat
from e2e.conftest import make_programs


@pytest.fixture
def home(afx: Afx, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state directory of a Tower whose agents are the scripted fake agent."""
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    home = directory / "s"
    programs = make_programs(directory / "bin")
    monkeypatch.setenv("AFX_HOME", str(home))
    monkeypatch.setenv("AFX_PORT", "0")
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert repository.is_dir()
    try:
        assert afx("tower", "start").status == 0
        yield home
    finally:
        launcher.stop(home)
        kill_everything(home)
        rmtree(directory)


def kill_everything(home: Path) -> None:
    """SIGKILL the Tower, every holder and every agent."""
    deadline = time.monotonic() + 10
    while found := processes_of(home):
        assert time.monotonic() < deadline
        for process in found:
            send_signal(process, signal.SIGKILL)
        while any(is_alive(process) for process in found):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


def spawn(afx: Afx, *names: str) -> None:
    """Make builders, each of which has had a word."""
    for name in names:
        done = afx("spawn", name, "--task", f"I am {name}", "--harness", "claude")
        assert (done.status, done.err) == (0, "")
    for name in names:
        await_words(afx, name, f"heard 1: I am {name}")


def await_words(afx: Afx, agent: str, words: str) -> None:
    """Wait until an agent's terminal shows these words."""
    eventually(lambda: words in afx("logs", agent).out)


def id_of(afx: Afx, name: str) -> str:
    (one,) = json.loads(afx("conversations", name, "--json").out)["conversations"]
    assert one["current"]
    return str(one["id"])


def test_all_is_killed_and_recovered_with_its_own_conversations(afx: Afx, home: Path) -> None:
    spawn(afx, "a", "b")
    ids = {name: id_of(afx, name) for name in ("a", "b")}
    assert afx("stop", "b").status == 0
    kill_everything(home)
    assert afx("tower", "start").status == 0
    assert "1 agent is down: `afx workspace recover` shows" in afx("status").out
    dry = afx("workspace", "recover")
    lines = [line.split() for line in dry.out.splitlines()]
    assert ["builder/a", "eligible", "stored", ids["a"], "found", "certain"] in [line[:6] for line in lines]
    assert ["builder/b", "stopped", "on", "purpose"] in [line[:4] for line in lines]
    assert "Brought back now: conversation" in afx("explain", "a").out
    done = afx("workspace", "recover", "--apply", "--yes")
    assert done.status == 0
    assert f"builder/a is back with its conversation {ids['a']} (stored)" in done.out
    assert done.out.endswith("1 brought back, 0 failed.\n")
    await_words(afx, "a", "heard 2: [afx] You were interrupted")
    assert f"conversation {ids['a']} is resumed (stored, certain)" in afx("explain", "a").out
    listed = afx("conversations", "a").out
    assert listed.startswith(f"* {ids['a']}  claude  minted")
    assert "    first  I am a" in listed
    assert afx("workspace", "recover", "--apply", "--yes").out.endswith("0 of 1 agent can be brought back.\n")
    started = afx("start", "b")
    assert f"builder/b is back with its conversation {ids['b']}" in started.out
    assert afx("start", "b").out.startswith("builder/b runs already; nothing was started.")


@pytest.mark.usefixtures("home")
def test_spawn_resume_attaches_resumes_begins_and_takes_in(afx: Afx, repository: Path) -> None:
    spawn(afx, "a")
    first = id_of(afx, "a")
    assert afx("spawn", "a", "--resume").out.startswith("builder/a runs already; nothing was started.")
    assert afx("stop", "a").status == 0
    assert first in afx("spawn", "a", "--resume").out
    assert afx("stop", "a").status == 0
    done = afx("spawn", "a", "--resume", "--fresh")
    assert "builder/a has begun a new conversation (fresh)." in done.out
    known = json.loads(afx("conversations", "a", "--json").out)["conversations"]
    assert [one["id"] for one in known][1:] == [first]
    assert afx("conversations", "use", "a", first[:8]).status == 0
    assert afx("stop", "a").status == 0
    assert f"its conversation {first}" in afx("spawn", "a", "--resume").out
    subprocess.run(
        ["git", "-C", str(repository), "worktree", "add", "-q", "-b", "mine", ".builders/old"], check=True
    )
    done = afx("spawn", "old", "--resume", "--task", "Go on", "--harness", "claude")
    assert "builder/old has begun a new conversation" in done.out
    await_words(afx, "old", "heard 1: Go on")
    done = afx("spawn", "nothing", "--resume")
    assert done.status == 2
    assert "nor a worktree" in done.err


@pytest.mark.usefixtures("home")
def test_siblings_come_back_with_what_is_stored_lesson_16(afx: Afx) -> None:
    assert afx("architect", "start", "--harness", "claude").status == 0
    assert afx("architect", "add", "review", "--harness", "claude").status == 0
    for name in ("main", "review"):
        assert afx("send", f"architect/{name}", f"I am {name}").status == 0
    ids = {}
    for name in ("main", "review"):
        await_words(afx, f"architect/{name}", f"heard 1: I am {name}")
        ids[name] = id_of(afx, f"architect/{name}")
        assert afx("architect", "stop", name).status == 0
    for name, id_ in ids.items():
        assert f"its conversation {id_} (stored" in afx("architect", "start", name).out
    assert afx("architect", "remove", "review").status == 0
    assert [line.split()[:2] for line in afx("architect", "list").out.splitlines()] == [["main", "running"]]


@pytest.mark.usefixtures("home")
def test_an_attached_person_stays_through_crash_quit_and_enter_lesson_25(afx: Afx) -> None:
    spawn(afx, "a")
    first = id_of(afx, "a")
    with seat("a") as person:
        person.until(b"heard 1: I am a")
        person.type(b"/die\r")
        person.until(b"turns=1")
        person.until(b"heard 2: [afx] You were interrupted")
        person.type(b"/quit\r")
        person.until(b"Enter begins a new conversation.")
        person.until(b"leaves this terminal.")
        person.seen = b""
        person.type(b"\r")
        person.until(b"heard 1: I am a")
        person.type(b"/quit\r")
        person.until(b"Enter begins a new conversation.")
        person.type(b"\x1c\x1c")
        assert person.status() == 0
        assert person.seen.endswith(b"[detached from builder/a, whose program exited with code 0]\r\n")
    ids = [one["id"] for one in json.loads(afx("conversations", "a", "--json").out)["conversations"]]
    assert ids[1:] == [first]


def test_an_attached_person_gets_the_terminal_that_follows_lesson_13(afx: Afx, home: Path) -> None:
    spawn(afx, "a")
    with seat("a") as person:
        person.until(b"heard 1: I am a")
        attached = person.process.pid
        for process in processes_of(home):
            if process.pid != attached:
                send_signal(process, signal.SIGKILL)
        assert afx("tower", "start").status == 0
        assert afx("workspace", "recover", "--apply", "--yes").status == 0
        person.until(b"heard 2: [afx] You were interrupted")
        person.type(b"\x1c\x1c")
        assert person.status() == 0


@pytest.mark.usefixtures("home")
def test_logs_follow_through_a_restart_and_a_crash(afx: Afx) -> None:
    spawn(afx, "a")
    with (
        subprocess.Popen(
            [sys.executable, "-m", "afx.cli", "logs", "-f", "-n", "1", "a"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "heard 1: I am a\n"
        assert afx("tower", "restart").status == 0
        assert afx("send", "a", "more").status == 0
        seen: list[str] = []
        while not seen or "heard 2: more" not in seen[-1]:
            seen.append(process.stdout.readline())
        assert len(seen) <= 2, "the echo of the message at most"
        (agent,) = json.loads(afx("status", "--json").out)["workspaces"][0]["agents"]
        program = identify(agent["terminal"]["pid"])
        assert program is not None
        send_signal(program, signal.SIGKILL)
        while "heard 3: [afx] You were interrupted" not in seen[-1]:
            seen.append(process.stdout.readline())
        assert not any("\x1b" in line for line in seen)
        process.send_signal(signal.SIGINT)
        process.wait(10)
        assert process.stderr.read().strip() == ""
        assert process.returncode == 130

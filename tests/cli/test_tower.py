"""The Tower's process, started and stopped for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.api.process import identify, is_alive
from afx.cli import launcher
from cli.conftest import Afx

REFUSE = """
import os
os.write(int(os.environ["AFX_READY_FD"]), b'{"ready": false, "message": "It is taken.", "hint": "Go."}')
"""


@pytest.fixture(autouse=True)
def any_port(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    monkeypatch.setenv("AFX_PORT", "0")
    yield
    launcher.stop(home)


def test_start_status_log_restart_stop(afx: Afx, home: Path) -> None:
    started = json.loads(afx("tower", "start", "--json").out)
    assert started["already"] is False
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "tower-start.log").stat().st_mode & 0o777 == 0o600
    identity = identify(started["pid"])
    assert identity is not None
    assert os.getsid(started["pid"]) == started["pid"]
    assert afx("tower", "start").out == f"The Tower runs already at {started['url']}\n"
    assert afx("tower", "status").status == 0
    assert started["url"] in afx("tower", "log").out
    restarted = json.loads(afx("tower", "restart", "--json").out)
    assert restarted["url"] == started["url"]
    assert restarted["pid"] != started["pid"]
    assert not is_alive(identity)
    assert json.loads(afx("tower", "stop", "--json").out) == {"stopped": True, "pid": restarted["pid"]}
    assert identify(restarted["pid"]) is None
    assert afx("tower", "stop").out == "The Tower is not running.\n"
    assert afx("tower", "status").status == 3


def test_a_taken_port_is_an_error_and_its_holder_is_left_alone_lesson_12(afx: Afx) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        done = afx("tower", "start", "--port", str(port))
        assert done.status != 0
        assert str(port) in done.err
        assert "Traceback" not in done.err
        assert afx("tower", "stop").out == "The Tower is not running.\n"


def test_stop_signals_nobody_but_the_holder_of_the_lock_lesson_01(afx: Afx, home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        identity = identify(stranger.pid)
        assert identity is not None
        forged = {"pid": identity.pid, "start": "1", "boot_id": identity.boot_id}
        home.mkdir(mode=0o700)
        (home / "tower.lock").write_text(json.dumps(forged))
        assert afx("tower", "stop").out == "The Tower is not running.\n"
        assert stranger.poll() is None
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_a_tower_that_was_killed_is_not_running(afx: Afx, home: Path) -> None:
    started = json.loads(afx("tower", "start", "--json").out)
    identity = identify(started["pid"])
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_alive(identity):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (home / "tower.json").exists()
    assert afx("tower", "status").status == 3
    again = json.loads(afx("tower", "start", "--json").out)
    assert again["pid"] != started["pid"]


def test_what_the_workspace_says_about_the_tower_goes_with_it(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AFX_PORT")
    (repository / "afx.toml").write_text(
        'tower.port = 4999\nplugins.disabled = ["a", "b"]\nagent.harness = "x"\n'
    )
    env = launcher.environment(home, None)
    assert env["AFX_PORT"] == "4999"
    assert env["AFX_DISABLED_PLUGINS"] == "a,b"
    assert "AFX_HARNESS" not in env
    assert launcher.environment(home, 5)["AFX_PORT"] == "5"
    assert env["AFX_HOME"] == str(home)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("raise SystemExit('the disk is full')", "The Tower ended before it served: the disk is full"),
        ("pass", "it said nothing"),
        (REFUSE, "It is taken."),
    ],
)
def test_a_tower_that_cannot_start_says_why(
    afx: Afx, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    monkeypatch.setattr(launcher, "COMMAND", (sys.executable, "-c", script))
    done = afx("tower", "start")
    assert done.status == 1
    assert says in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("Hint: ")


def test_a_state_directory_that_cannot_be_made_is_said(afx: Afx, home: Path) -> None:
    home.write_text("a file")
    done = afx("tower", "start")
    assert done.status == 1
    assert "cannot be made" in done.err


def test_nothing_of_the_current_directory_is_imported(
    afx: Afx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    assert afx("tower", "start").status == 0
    assert "-P" in launcher.COMMAND

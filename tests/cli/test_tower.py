"""The Tower's process, started and stopped for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from afx.api.process import identify, is_alive, send_signal
from afx.cli import launcher, process
from afx.client.presence import lock_holder
from afx.doctor import examination
from cli.conftest import Afx

REFUSE = """
import os, sys
refusal = b'{"ready": false, "message": "It is taken.", "hint": "Go."}'
rehearsed = b'{"ready": true}' if sys.argv[1:] == ["--rehearse"] else refusal
os.write(int(os.environ["AFX_READY_FD"]), rehearsed)
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
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", script))
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
    assert "-P" in process.COMMAND


def test_a_restart_that_cannot_succeed_stops_nothing(afx: Afx, home: Path, repository: Path) -> None:
    started = json.loads(afx("tower", "start", "--json").out)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        done = afx("tower", "restart", "--port", str(port))
    assert done.status == 2
    assert f"Port {port} is taken" in done.err
    (repository / "afx.toml").write_text("tower.port = [")
    done = afx("tower", "restart")
    assert done.status == 2
    assert "afx.toml" in done.err
    (repository / "afx.toml").unlink()
    holder = lock_holder(home)
    assert holder is not None
    assert holder.pid == started["pid"]
    assert afx("tower", "status").status == 0


def test_what_a_newer_afx_stored_or_what_is_half_installed_is_found_out_before_anything_is_stopped(
    afx: Afx, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = json.loads(afx("tower", "start", "--json").out)
    with closing(sqlite3.connect(home / "afx.db")) as database:
        (present,) = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA user_version = 99")
        done = afx("tower", "restart")
        database.execute(f"PRAGMA user_version = {present}")
    assert "The Tower is left running, since it could not be started again." in done.err
    assert "has format 99, and this afx knows formats up to" in done.err
    with monkeypatch.context() as patch:
        patch.setattr(process, "COMMAND", (sys.executable, "-c", "import half_of_it"))
        done = afx("tower", "restart")
    assert "The Tower is left running" in done.err
    assert "No module named 'half_of_it'" in done.err
    holder = lock_holder(home)
    assert holder is not None
    assert holder.pid == started["pid"]
    assert json.loads(afx("tower", "restart", "--json").out)["pid"] != started["pid"]


def test_a_restart_that_fails_says_that_the_tower_is_stopped(
    afx: Afx, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert afx("tower", "start").status == 0
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", REFUSE))
    done = afx("tower", "restart")
    assert done.status == 1
    assert done.err.splitlines() == [
        "Error: The Tower is stopped, and could not be started again. It is taken.",
        "Hint: Go.",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AFX_STORAGE", "nope", "There is no storage 'nope'"),
        ("AFX_DISABLED_PLUGINS", "sqlite", "There is no storage 'sqlite'"),
    ],
)
def test_a_setting_with_which_no_tower_starts_is_bad_input(
    afx: Afx, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = afx("tower", "start")
    assert (done.status, says in done.err, "Hint: " in done.err) == (2, True, True), done.err
    assert afx("tower", "status").status == 3


def test_of_several_starts_at_once_none_fails() -> None:
    command = [sys.executable, "-m", "afx.cli", "tower", "start", "--json"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outcomes = [racer.communicate(timeout=30) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], outcomes
    facts = [json.loads(out) for out, _ in outcomes]
    assert len({one["pid"] for one in facts}) == 1
    assert sorted(one["already"] for one in facts) == [False, True, True]


@pytest.mark.parametrize(("file", "says"), [("key", "is gone"), ("tower.json", "was deleted")])
def test_a_deleted_file_of_a_living_tower_is_said_and_a_restart_helps(
    afx: Afx, home: Path, monkeypatch: pytest.MonkeyPatch, file: str, says: str
) -> None:
    monkeypatch.setattr(launcher, "JOIN_DEADLINE", 0.2)
    pid = json.loads(afx("tower", "start", "--json").out)["pid"]
    (home / file).unlink()
    for command in (["status"], ["tower", "status"], ["tower", "start"]):
        done = afx(*command)
        assert done.status != 0
        said = done.out + done.err
        assert f"(pid {pid})" in said
        assert says in said
        assert "`afx tower restart`" in said
    assert not (home / file).exists()
    assert json.loads(afx("tower", "restart", "--json").out)["pid"] != pid
    assert afx("status").status == 0


@pytest.mark.parametrize(
    ("file", "level"), [("key", "error"), ("tower.json", "warning"), ("tower.lock", "warning")]
)
def test_the_doctor_names_a_deleted_file_of_a_living_tower_and_its_command_mends_it(
    afx: Afx, home: Path, file: str, level: str
) -> None:
    afx("tower", "start")
    (home / file).unlink()

    def told() -> dict[str, str]:
        findings = json.loads(afx("doctor", "--json").out)["findings"]
        return next(
            finding for finding in findings if finding["check"] == "tower" and finding["level"] != "ok"
        )

    assert file.removesuffix(".json") in told()["what"]
    assert told()["level"] == level
    assert told()["command"] == "afx tower restart"
    assert afx(*told()["command"].split()[1:]).status == 0
    with pytest.raises(StopIteration):
        told()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is stopped")
def test_the_doctor_names_a_stopped_tower_and_its_command_mends_it(
    afx: Afx, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_ANSWER_WITHIN", 0.2)
    afx("tower", "start")
    holder = lock_holder(home)
    assert holder is not None
    send_signal(holder, signal.SIGSTOP)
    told = json.loads(afx("doctor", "--json").out)["findings"]
    (stopped,) = [one for one in told if one["check"] == "tower"]
    assert stopped["level"] == "error"
    assert stopped["command"] == f"kill -CONT {holder.pid}"
    subprocess.run(["sh", "-c", stopped["command"]], check=True)
    assert afx("status").status == 0


def test_a_deleted_lock_lets_no_second_tower_in_and_stop_still_finds_the_first(
    afx: Afx, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "JOIN_DEADLINE", 0.2)
    pid = json.loads(afx("tower", "start", "--json").out)["pid"]
    (home / "tower.lock").unlink()
    published = (home / "tower.json").rename(home / "aside.json")
    second = afx("tower", "start")
    assert second.status == 2
    assert "A Tower already serves" in second.err
    published.rename(home / "tower.json")
    assert json.loads(afx("tower", "stop", "--json").out) == {"stopped": True, "pid": pid}

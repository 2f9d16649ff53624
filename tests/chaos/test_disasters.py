"""One disaster each: no space, no writing, no descriptors, a locked or old database, the clock."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import identify, send_signal
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerFailedError, TowerProcess
from afx_storage_sqlite.schema import APPLICATION_ID, MIGRATIONS
from chaos.seen import programs
from chaos.walk import COUNTER, PATIENCE, until
from e2e.conftest import make_repository

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture
def small_disk(short_directory: Path) -> Iterator[Path]:
    """A disk of a few megabytes, and afterwards nothing left on it that runs."""
    mounted = short_directory / "disk"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mounted)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


@pytest.fixture
def on_disk(small_disk: Path, short_directory: Path) -> Iterator[tuple[TowerProcess, str]]:
    """A Tower whose state directory is on the small disk, and a workspace that is not."""
    tower = TowerProcess(small_disk, {"SHELL": "/bin/sh"})
    try:
        tower.start()
        workspace = make_repository(short_directory / "repo")
        tower.request("POST", "/api/workspaces", {"path": workspace})
        yield tower, workspace
    finally:
        tower.end_everything()


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    return path


def numbers_grow(tower: TowerProcess, terminal: str) -> bool:
    before = len(tower.request("GET", f"/api/terminals/{terminal}/output"))
    until(
        lambda: len(tower.request("GET", f"/api/terminals/{terminal}/output")) > before, "the output goes on"
    )
    return True


@as_root
def test_a_full_disk_loses_nothing_and_is_said(on_disk: tuple[TowerProcess, str], small_disk: Path) -> None:
    tower, workspace = on_disk
    agent = tower.shell(workspace, COUNTER, "before")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"count 20\r\n")
    filler = fill(small_disk)

    def spawn_until_refused() -> None:
        for number in range(50):
            tower.shell(workspace, "sleep 1000", f"n{number}")

    with pytest.raises(RequestFailedError) as refused:
        spawn_until_refused()
    assert refused.value.error["code"] != "internal", refused.value
    assert "full" in refused.value.error["message"] or "space" in refused.value.error["message"].lower()
    assert numbers_grow(tower, agent["terminal"]["id"])
    tower.kill()
    with pytest.raises(TowerFailedError, match=r"(?i)full|space|written"):
        tower.start()
    assert tower.process is not None
    filler.unlink()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    last = follower.numbers()[-1]
    follower.wait_for(rb"count %d\r\n" % (last + 50))
    follower.close()
    assert follower.numbers() == list(range(len(follower.numbers())))
    assert tower.shell(workspace, "sleep 1000", "after")["state"] == "running"


@as_root
def test_a_read_only_disk_is_said_and_loses_nothing(
    on_disk: tuple[TowerProcess, str], small_disk: Path
) -> None:
    tower, workspace = on_disk
    agent = tower.shell(workspace, COUNTER, "before")
    tower.kill()
    remount(small_disk, "ro")
    try:
        with pytest.raises(TowerFailedError, match=r"(?i)read-only"):
            tower.start()
    finally:
        remount(small_disk, "rw")
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    assert numbers_grow(tower, agent["terminal"]["id"])


def remount(disk: Path, mode: str) -> None:
    """Change whether a disk may be written, as soon as nobody has a file open there for writing."""
    until(
        lambda: (
            subprocess.run(
                ["mount", "-o", f"remount,{mode}", str(disk)], capture_output=True, check=False
            ).returncode
            == 0
        ),
        f"the disk is {mode}",
    )


def test_a_tower_without_descriptors_says_so_and_recovers(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"count 10\r\n")
    assert tower.process is not None
    before = resource.prlimit(tower.process.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{tower.process.pid}/fd").iterdir()))
    # Room for the request itself, and none for a terminal.
    resource.prlimit(tower.process.pid, resource.RLIMIT_NOFILE, (used + 2, before[1]))
    refusals: list[RequestFailedError | OSError] = []
    for number in range(3):
        try:
            tower.shell(workspace, "sleep 1000", f"n{number}")
        except (RequestFailedError, OSError) as refused:
            refusals.append(refused)
    resource.prlimit(tower.process.pid, resource.RLIMIT_NOFILE, before)
    assert refusals, "it was meant to be too few"
    for refused in refusals:
        if isinstance(refused, RequestFailedError):
            assert refused.error["code"] != "internal", refused
    tower.eventually(lambda: tower.shell(workspace, "sleep 1000", "after")["state"] == "running", PATIENCE)
    last = follower.numbers()[-1]
    follower.wait_for(rb"count %d\r\n" % (last + 20))
    follower.close()
    assert follower.numbers() == list(range(len(follower.numbers())))


def test_a_locked_database_is_said_and_waited_for(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    database = sqlite3.connect(tower.home / "afx.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RequestFailedError, match="locked"):
        tower.shell(workspace, "sleep 1000", "meanwhile")
    tower.kill()
    with pytest.raises(TowerFailedError, match="locked"):
        tower.start()
    database.execute("ROLLBACK")
    database.close()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    assert "shell/meanwhile" not in tower.agents()


def test_nothing_is_served_before_every_holder_was_asked_lesson_10(
    tower: TowerProcess, workspace: str
) -> None:
    """One holder that does not answer holds the boot up, and whoever asks meanwhile is refused."""
    for name in ("silent", "fine"):
        tower.shell(workspace, COUNTER, name)
    by_agent = {program.agent: program for program in programs(tower.home)}
    holder = identify(by_agent[tower.agents()["shell/silent"]["id"]].parent)
    assert holder is not None
    tower.kill()
    send_signal(holder, signal.SIGSTOP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        tower.port = probe.getsockname()[1]
    tower.env["AFX_PORT"] = str(tower.port)
    began = time.monotonic()
    ready = tower.launch()
    seen: list[dict[str, Any]] = []

    def asked() -> bool:
        with suppress(ConnectionRefusedError):
            seen.append(tower.agents())
        return bool(seen)

    until(asked, "it serves")
    assert time.monotonic() - began > 0.8, "it did not wait for the one that is silent"
    assert {name: agent["state"] for name, agent in seen[0].items()} == {
        "shell/silent": "unreachable",
        "shell/fine": "running",
    }
    send_signal(holder, signal.SIGCONT)
    tower.await_ready(ready)
    tower.eventually(lambda: tower.agents()["shell/silent"]["state"] == "running")


def make_old(path: Path, number: int) -> None:
    """Bring a database back to an older format, with all of its rows that fit there."""
    old = path.with_name("old.db")
    with sqlite3.connect(old) as database:
        for migration in MIGRATIONS[:number]:
            database.executescript(migration.sql)
        database.execute("ATTACH ? AS present", [str(path)])
        for (table,) in database.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table'"
        ).fetchall():
            columns = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(columns)
            database.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM present.{table}")  # noqa: S608
        database.commit()
        database.execute("DETACH present")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {number}")
    database.close()
    old.chmod(0o600)
    old.replace(path)


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS)))
def test_a_database_of_an_older_release_is_taken_over_with_its_terminals(
    tower: TowerProcess, workspace: str, number: int
) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    tower.stop()
    make_old(tower.home / "afx.db", number)
    tower.start()
    found = tower.agents()["shell/before"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])
    assert (tower.home / f"afx.db.before-{number + 1}").exists()
    assert tower.shell(workspace, "sleep 1000", "after")["state"] == "running"


JUMPED = """\
import time
_real, _monotonic, _begin = time.time, time.monotonic, time.monotonic()
time.time = lambda: _real() + JUMP * (_monotonic() - _begin > AFTER)
"""


@pytest.mark.parametrize("jump", [-86400 * 400, 86400 * 400], ids=["back", "forward"])
def test_a_clock_that_jumps_loses_nothing(
    tower: TowerProcess, workspace: str, short_directory: Path, jump: int
) -> None:
    """The Tower's own clock is forged: by 400 days, a moment after it has started."""
    agent = tower.shell(workspace, COUNTER, "before")
    tower.stop()
    forged = short_directory / "clock"
    forged.mkdir()
    code = JUMPED.replace("JUMP", str(jump)).replace("AFTER", "1.0")
    (forged / "sitecustomize.py").write_text(code)
    tower.env["PYTHONPATH"] = str(forged)
    follower = Follower(tower, agent["terminal"]["id"])
    tower.start()
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.5, "the clock has jumped")
    found: Any = tower.agents()["shell/before"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])
    tower.request("POST", f"/api/agents/{found['id']}/stop")
    again = tower.request("POST", f"/api/agents/{found['id']}/resume", {})["agent"]
    assert abs(again["terminal"]["started_at"] - time.time() - jump) < 3600, "the clock was not forged"
    tower.kill()
    tower.start()
    found = tower.agents()["shell/before"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", again["terminal"]["pid"])
    tower.env.pop("PYTHONPATH")
    tower.stop()
    tower.start()
    found = tower.agents()["shell/before"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", again["terminal"]["pid"])
    follower.close()

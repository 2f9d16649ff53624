"""What the doctor says mends a thing does mend it: planted, found, mended by the very command, and gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from afx.api.doctor import DoctorContext, Finding, Level
from afx.api.process import send_signal
from afx.doctor.installation import check_home
from afx.testing.tower_process import TowerProcess
from afx_reconnect_shellper.check import ShellperCheck
from afx_storage_sqlite.check import SqliteCheck
from e2e.holding import holder_of


def errors(home: Path) -> list[Finding]:
    """Return what is wrong with a state directory, by every check that looks at one."""
    context = DoctorContext(home=home, env=os.environ)
    found = [*check_home(context), *SqliteCheck().examine(context), *ShellperCheck().examine(context)]
    return [finding for finding in found if finding.level is not Level.OK]


def run(finding: Finding, env: dict[str, str] | None = None) -> None:
    assert finding.why
    subprocess.run(["sh", "-c", finding.command], check=True, env=env, stdin=subprocess.DEVNULL)


def loosen(home: Path) -> None:
    home.chmod(0o755)


def be_a_file(home: Path) -> None:
    home.rmdir()
    home.touch()


def lead_nowhere(home: Path) -> None:
    home.rmdir()
    home.symlink_to("/nowhere/at/all")


def bar_its_owner(home: Path) -> None:
    home.chmod(0o500)


def loose_key(home: Path) -> None:
    (home / "key").write_text("k" * 43)
    (home / "key").chmod(0o644)


def no_key(home: Path) -> None:
    (home / "key").touch(0o600)


def key_directory(home: Path) -> None:
    (home / "key").mkdir(0o700)


def pipe_for_database(home: Path) -> None:
    os.mkfifo(home / "afx.db", 0o600)


def directory_for_database(home: Path) -> None:
    (home / "afx.db").mkdir(0o700)


def garbage_for_database(home: Path) -> None:
    (home / "afx.db").write_bytes(b"no database at all" * 100)
    (home / "afx.db").chmod(0o600)


def link_for_log(home: Path) -> None:
    (home / "tower.log").symlink_to("/etc/passwd")


def others_key(home: Path) -> None:
    (home / "key").write_text("k" * 43)
    os.chown(home / "key", 65534, 65534)


def loose_database(home: Path) -> None:
    (home / "afx.db").touch()
    (home / "afx.db").chmod(0o644)


def loose_sockets(home: Path) -> None:
    (home / "shellper").mkdir()
    (home / "shellper").chmod(0o755)


@pytest.mark.parametrize(
    "plant",
    [
        loosen,
        be_a_file,
        lead_nowhere,
        bar_its_owner,
        loose_key,
        no_key,
        key_directory,
        pipe_for_database,
        directory_for_database,
        garbage_for_database,
        link_for_log,
        pytest.param(
            others_key, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
        ),
        loose_database,
        loose_sockets,
    ],
)
def test_the_command_mends_it(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    home = tmp_path / "with a space; and 'more'"
    home.mkdir(mode=0o700)
    assert errors(home) == []
    plant(home)
    found = errors(home)
    assert any(finding.level is Level.ERROR for finding in found)
    run(found[0])
    assert errors(home) == []


def test_a_stopped_holder_and_a_corrupt_database_are_mended_by_the_command(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, "sleep 1000", "kept")
    path = f"{Path(sys.executable).parent}{os.pathsep}{tower.env['PATH']}"
    env = {**tower.env, "AFX_PORT": str(tower.port), "PATH": path}
    holder = holder_of(tower, agent["terminal"]["id"])
    send_signal(holder, signal.SIGSTOP)
    (stopped,) = errors(tower.home)
    assert str(holder.pid) in stopped.what
    run(stopped)
    assert errors(tower.home) == []
    tower.stop()
    with (tower.home / "afx.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"garbage " * 512)
    (corrupt,) = errors(tower.home)
    assert "damaged" in corrupt.what
    run(corrupt, env)
    (kept,) = errors(tower.home)
    assert kept.level is Level.WARNING, "the damaged file is kept, and named"
    found = tower.agents()["shell/kept"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])

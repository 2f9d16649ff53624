"""A real Tower, a git repository, and followers that read terminals as an attached client does."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.testing.tower_process import TowerProcess


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def repository(short_directory: Path) -> str:
    """A git repository with one commit."""
    path = short_directory / "repo"
    path.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    return str(path.resolve())


@pytest.fixture
def programs(short_directory: Path) -> Path:
    """A directory for PATH in which ``claude`` is the scripted fake agent."""
    directory = short_directory / "bin"
    directory.mkdir()
    program = directory / "claude"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m afx.testing.fake_agent "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return directory


@pytest.fixture
def tower(short_directory: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TowerProcess]:
    """A Tower that serves, whose agents are the scripted fake agent and /bin/sh."""
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    tower = TowerProcess(short_directory / "s")
    try:
        tower.start()
        yield tower
    finally:
        tower.end_everything()


@pytest.fixture
def workspace(tower: TowerProcess, repository: str) -> str:
    """The repository, known to the Tower."""
    path = tower.request("POST", "/api/workspaces", {"path": repository})["path"]
    assert path == repository
    return repository

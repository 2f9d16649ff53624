"""Fixtures for tests under a real Tower: ``pytest_plugins = ["afx.testing.fixtures"]`` in a conftest.

Nothing is imported for them until a test asks for one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .clock import FakeClock
    from .tower_process import TowerProcess


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """The clock that Python goes by during the test; see `afx.testing.clock`."""
    from .clock import FakeClock

    with FakeClock().running() as clock:
        yield clock


@pytest.fixture
def tower_directory() -> Iterator[Path]:
    """A directory of this test's own, with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    yield path.resolve()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def tower_programs(tower_directory: Path) -> Path:
    """A directory that is first on the PATH of the Tower; programs that are put there are found."""
    path = tower_directory / "programs"
    path.mkdir()
    return path


@pytest.fixture
def tower(tower_directory: Path, tower_programs: Path) -> Iterator[TowerProcess]:
    """A Tower in a process of its own, apart from the person's; all that it started ends with the test."""
    from .tower_process import TowerProcess

    home = tower_directory / "home"
    home.mkdir()
    running = TowerProcess(
        tower_directory / "s",
        {
            "SHELL": "/bin/sh",
            "PATH": f"{tower_programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
        },
    )
    try:
        running.start()
        yield running
    finally:
        running.end_everything()


@pytest.fixture
def tower_workspace(tower: TowerProcess, tower_directory: Path) -> str:
    """A git repository with one commit that the Tower knows; its real path."""
    path = tower_directory / "repository"
    path.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    workspace: str = tower.request("POST", "/api/workspaces", {"path": str(path)})["path"]
    return workspace

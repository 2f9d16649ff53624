"""A real Tower, a git repository, and followers that read terminals as an attached client does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from afx.testing.tower_process import TowerProcess
from distribution import write_distribution
from e2e.holding import DtachHolding, Holding, ShellperHolding, TmuxHolding
from e2e.tmux import Tmux, needs, needs_tmux
from scripts import write_script

DTACH = Path(__file__).parents[2] / "docs/plugin-authors/examples/afx-reconnect-dtach"


def short_path() -> Path:
    """Make a directory with a path short enough for sockets."""
    return Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))


def make_repository(path: Path) -> str:
    """Make a git repository with one commit, and return its real path."""
    path.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    return str(path.resolve())


def make_programs(directory: Path) -> Path:
    """Make a directory for PATH in which each program is the scripted fake agent, like that program."""
    for like in ("claude", "codex", "plain"):
        write_script(directory / like, f'exec {sys.executable} -m afx.testing.fake_agent --like {like} "$@"')
    return directory


def serve(
    directory: Path, strategy: str = "shellper", also: Mapping[str, str] | None = None
) -> Iterator[TowerProcess]:
    """Run a Tower whose agents are the scripted fake agent and /bin/sh, and end all of it."""
    home = directory / "home"
    home.mkdir()
    env = {
        "SHELL": "/bin/sh",
        "PATH": f"{make_programs(directory / 'bin')}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "AFX_STRATEGY": strategy,
        "TMUX_TMPDIR": str(directory),
        **(also or {}),
    }
    if strategy == "dtach":
        points = tomllib.loads((DTACH / "pyproject.toml").read_text())["project"]["entry-points"]["afx"]
        (point,) = (f"{name} = {module}" for name, module in points.items())
        write_distribution(directory / "site", DTACH.name, point)
        there = os.environ.get("PYTHONPATH", "")
        env["PYTHONPATH"] = f"{directory / 'site'}:{DTACH / 'src'}:{there}".rstrip(":")
    tower = TowerProcess(directory / "s", env)
    try:
        tower.start()
        yield tower
    finally:
        tower.end_everything()
        if strategy == "tmux":
            Tmux(tower).run("kill-server", check=False)


@pytest.fixture
def short_directory() -> Iterator[Path]:
    directory = short_path()
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def strategy() -> str:
    """The reconnect strategy of all terminals; a test that is parametrized with another gets that."""
    return "shellper"


@pytest.fixture
def tower(short_directory: Path, strategy: str) -> Iterator[TowerProcess]:
    """A Tower of this test's own."""
    if strategy == "tmux":
        needs_tmux()
    elif strategy == "dtach":
        needs("dtach")
    yield from serve(short_directory, strategy)


@pytest.fixture
def holding(tower: TowerProcess, strategy: str) -> Holding:
    """What holds the Tower's terminals."""
    kinds: dict[str, type[Holding]] = {"tmux": TmuxHolding, "dtach": DtachHolding}
    return kinds.get(strategy, ShellperHolding)(tower)


@pytest.fixture
def tmux(tower: TowerProcess) -> Tmux:
    """The tmux server that the Tower's tmux terminals live in."""
    return Tmux(tower)


@pytest.fixture
def workspace(tower: TowerProcess, short_directory: Path) -> str:
    """A repository that the Tower knows."""
    repository = make_repository(short_directory / "repo")
    assert tower.request("POST", "/api/workspaces", {"path": repository})["path"] == repository
    return repository


@pytest.fixture(scope="module")
def shared_tower() -> Iterator[TowerProcess]:
    """A Tower for tests that change nothing."""
    directory = short_path()
    yield from serve(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_workspace(shared_tower: TowerProcess) -> str:
    """A repository that the shared Tower knows."""
    repository = make_repository(shared_tower.home.parent / "repo")
    shared_tower.request("POST", "/api/workspaces", {"path": repository})
    return repository

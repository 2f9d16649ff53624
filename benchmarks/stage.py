"""A Tower of the benchmark's own, on a state directory of its own, with as many terminals as are wanted.

Everything on the stage is gone when the benchmark ends, however it ends. The person's own Tower is not
touched.
"""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from afx.api.process import ProcessIdentity, identify, send_signal
from afx.testing.tower_process import TowerProcess

from .measure import parent_of

QUIET = "exec cat"
"""A program that says nothing by itself."""

_OPEN_FILES = 16_384
_LINE = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WITH_SCROLLBACK = f"yes {_LINE} | head -c 1048576; exec cat"
"""The same after 1 MiB of output."""


class Stage:
    """A Tower, its workspace, and where things of the benchmark lie.

    Attributes:
        directory: A directory with a short path that lives as long as the stage.
        tower: The Tower; it runs from the start.
        workspace: The path of the one workspace.
    """

    def __init__(self, directory: Path, tower: TowerProcess, workspace: str) -> None:
        self.directory = directory
        self.tower = tower
        self.workspace = workspace

    @property
    def pid(self) -> int:
        """The Tower's pid."""
        if self.tower.process is None:
            raise RuntimeError("The Tower was not started.")
        return self.tower.process.pid

    def shell(self, script: str, name: str | None = None) -> Any:  # noqa: ANN401 - JSON of an agent
        """Start a shell agent that runs a script, and return the agent."""
        return self.tower.shell(self.workspace, script, name)

    def crowd(self, size: int, script: str = QUIET) -> None:
        """Start terminals until the Tower has `size`."""
        for _ in range(size - len(self.tower.agents())):
            self.shell(script)

    def holders(self) -> list[ProcessIdentity]:
        """Return the process that holds each terminal, in the order of the terminals' start."""
        agents = sorted(self.tower.agents().values(), key=lambda agent: agent["created_at"])
        found = [identify(parent_of(agent["terminal"]["pid"])) for agent in agents]
        return [holder for holder in found if holder is not None]

    def await_output(self, size: int, timeout: float = 120) -> None:
        """Wait until every terminal has written at least `size` bytes."""

        def all_have() -> bool:
            return all(_offset(agent) >= size for agent in self.tower.agents().values())

        self.tower.eventually(all_have, timeout)

    def boot(self) -> float:
        """Start the Tower that is stopped; return the seconds from its exec to its complete state."""
        began = time.perf_counter()
        self.tower.start()
        self.tower.state()
        return time.perf_counter() - began

    def reboot(self) -> float:
        """Stop the Tower and boot it."""
        self.tower.stop()
        return self.boot()


def _offset(agent: Any) -> int:  # noqa: ANN401 - JSON of an agent
    terminal = agent["terminal"]
    return int(terminal["position"].rpartition(":")[2]) if terminal and terminal["position"] else 0


@contextmanager
def stage() -> Iterator[Stage]:
    """Set the stage, and clear it at the end."""
    _allow_open_files()
    with short_directory() as directory:
        home = directory / "home"
        home.mkdir()
        env = {"SHELL": "/bin/sh", "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
        tower = TowerProcess(directory / "s", env)
        try:
            tower.start()
            repository = _repository(directory / "repo")
            tower.request("POST", "/api/workspaces", {"path": repository})
            yield Stage(directory, tower, repository)
        finally:
            tower.end_everything()


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a directory whose path is short enough for sockets in it, and remove it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _repository(path: Path) -> str:
    path.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    return str(path.resolve())


@contextmanager
def stopped(processes: list[ProcessIdentity]) -> Iterator[None]:
    """Stop processes with SIGSTOP, and let them go on at the end."""
    try:
        for process in processes:
            send_signal(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            send_signal(process, signal.SIGCONT)

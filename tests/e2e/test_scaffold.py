"""A stranger's plugin from nothing: written, installed, tested, typed, and run under a Tower that is killed.

For a harness that is the tutorial of the documentation, command by command. All of it happens in a fresh
virtual environment in which afx is installed from its wheel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import identify, is_alive, send_signal
from afx.testing.tower_process import processes_of
from e2e.conftest import make_repository, short_path

ROOT = Path(__file__).parents[2]

# Packages are built and installed, suites run and types checked; on a busy machine it takes its time.
pytestmark = pytest.mark.timeout(400)

TUTORIAL = (ROOT / "docs/plugin-authors/index.md").read_text().partition("\n## A harness in one file\n")[0]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate": "the environment is this test's",
    "pip install afx pytest hypothesis mypy": "afx is installed from the wheel that is tested",
    "pip install hatchling twine": "hatchling is there, twine is not needed",
    "twine check dist/*": "it needs twine",
    "twine upload dist/*": "nothing is published by a test",
}
"""Commands of the tutorial that are not run, and why."""


class Environment:
    """A virtual environment with afx from its wheel, and a state directory of its own."""

    def __init__(self, directory: Path, wheel: Path, shadows: Path | None) -> None:
        self.directory = directory
        self.bin = directory / "venv/bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "venv"], check=True)
        site = next((directory / "venv/lib").glob("python*/site-packages"))
        # What afx and the suites depend on, and pip, is taken from the environment of the tests; afx is not.
        before = "" if shadows is None else f"{shadows}\n"
        (site / "depends.pth").write_text(f"{before}{sysconfig.get_path('purelib')}\n")
        programs = directory / "programs"
        programs.mkdir()
        (foo,) = (text for language, text in BLOCK.findall(TUTORIAL) if language == "python")
        texts = {
            tool: f'#!/bin/sh\nexec {self.bin / "python"} -m {tool} "$@"\n'
            for tool in ("mypy", "pip", "pytest")
        }
        for name, text in {"foo": foo, **texts}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        home = directory / "home"
        home.mkdir()
        self.env = {
            "PATH": f"{self.bin}:{programs}:/usr/bin:/bin",
            "HOME": str(home),
            "AFX_HOME": str(directory / "s"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "AFX_PORT": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # What mypy found out about afx is the same for each plugin that is written here.
            "MYPY_CACHE_DIR": str(directory / "mypy"),
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        }
        self.install(wheel)
        self.here = directory
        self.said: dict[str, str] = {}

    def run(self, *argv: str | Path, cwd: Path | None = None, status: int = 0) -> str:
        """Run a command in the environment and return what it printed."""
        done = subprocess.run(
            argv,
            env=self.env,
            cwd=cwd or self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=110,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def afx(self, *arguments: str, cwd: Path | None = None, status: int = 0) -> str:
        """Run afx."""
        return self.run(self.bin / "afx", *arguments, cwd=cwd, status=status)

    def install(self, what: Path) -> None:
        """Install a wheel or a directory, without what it depends on and what builds it, which are there."""
        options = ("-q", "--no-deps", "--no-build-isolation", "--ignore-installed")
        self.run(self.bin / "python", "-m", "pip", "install", *options, str(what))

    def follow(self, commands: list[str]) -> None:
        """Run commands as a person types them into one shell."""
        places = self.directory / "places"
        for command in commands:
            if command not in NOT_RUN:
                script = f'{command} && printf "%s\\n" "$PWD" "$OLDPWD" >{places}'
                self.said[command] = self.run("/bin/sh", "-ec", script, cwd=self.here)
                here, self.env["OLDPWD"] = places.read_text().splitlines()
                self.here = Path(here)

    def scaffold(self, kind: str, name: str) -> Path:
        """Write a plugin, let it test and type-check itself, and install it."""
        path = self.directory / f"new-{kind}"
        self.afx("plugin", "new", kind, name, "--directory", str(path))
        self.install(path)
        pytest_says = self.run(self.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=path)
        assert "passed" in pytest_says
        assert "failed" not in pytest_says
        assert "Success" in self.run(self.bin / "python", "-m", "mypy", cwd=path)
        return path

    def agent(self, name: str) -> Any:
        state = json.loads(self.afx("status", "--json"))
        agents = [agent for workspace in state["workspaces"] for agent in workspace["agents"]]
        return next(agent for agent in agents if agent["name"] == name)

    def kill_the_tower(self) -> None:
        pid = json.loads(self.afx("tower", "status", "--json"))["pid"]
        tower = identify(pid)
        assert tower is not None
        send_signal(tower, signal.SIGKILL)
        self.eventually(lambda: not is_alive(tower))

    def eventually(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 20
        while not (seen := look()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return seen

    def end_everything(self) -> None:
        while found := processes_of(self.directory / "s"):
            for one in found:
                send_signal(one, signal.SIGKILL)
            time.sleep(0.05)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of afx, without the page in the browser, which is not what is tested here."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            directory,
            ROOT,
        ],
        env={**os.environ, "AFX_WEB_BUILD": "skip"},
        check=True,
        timeout=110,
    )
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, shadows: Path | None) -> Iterator[Environment]:
    directory = short_path()
    fresh = Environment(directory, wheel, shadows)
    yield fresh
    fresh.end_everything()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def repository(environment: Environment) -> Iterator[Path]:
    path = Path(make_repository(environment.directory / "repo"))
    yield path
    environment.end_everything()
    shutil.rmtree(path)
    shutil.rmtree(environment.directory / "s", ignore_errors=True)


@pytest.fixture
def my_project(environment: Environment) -> Iterator[Path]:
    """The repository that the tutorial speaks of."""
    code = environment.directory / "home/code"
    code.mkdir()
    yield Path(make_repository(code / "myproject"))
    environment.end_everything()
    shutil.rmtree(code)
    shutil.rmtree(environment.directory / "s", ignore_errors=True)


def test_the_tutorial_from_nothing_to_a_wheel(environment: Environment, my_project: Path) -> None:
    written, tried, killed, published = (
        [line.removeprefix("$ ") for line in text.splitlines()]
        for language, text in BLOCK.findall(TUTORIAL)
        if language == "console"
    )
    afx, said = environment.afx, environment.said

    environment.follow(written)
    assert "passed" in said["pytest"]
    assert "Success" in said["mypy"]

    environment.follow(tried)
    row = next(line for line in said["afx plugins"].splitlines() if "afx-harness-foo" in line)
    assert "active" in row
    logs = environment.eventually(
        lambda: "took Say hello." in (text := afx("logs", "builder/try", cwd=my_project)) and text
    )
    before = environment.agent("try")
    session = before["conversation"]["id"]
    assert f"foo began {session} after 0 turns" in logs

    environment.follow(killed[:3])
    after = environment.agent("try")
    assert after["state"] == "running"
    for fact in ("id", "pid"):
        assert after["terminal"][fact] == before["terminal"][fact]
    environment.follow(killed[3:])
    environment.eventually(
        lambda: f"foo resumed {session} after 1 turns" in afx("logs", "builder/try", cwd=my_project)
    )
    assert environment.agent("try")["conversation"]["id"] == session

    environment.follow(published)
    assert " 0 failed" in said["afx plugin check afx-harness-foo"]
    assert {path.suffix for path in (environment.here / "dist").iterdir()} == {".whl", ".gz"}


def test_a_storage_and_a_strategy_from_nothing_to_a_restart(
    environment: Environment, repository: Path
) -> None:
    """Both under one Tower: its state is in the files of one, its terminals are held by the other."""
    environment.scaffold("storage", "files")
    environment.scaffold("strategy", "own")
    afx = environment.afx
    environment.env |= {"AFX_STORAGE": "files", "AFX_STRATEGY": "own"}
    try:
        afx("tower", "start")
        afx("workspace", "start", cwd=repository)
        afx("shell", "s", cwd=repository)
        before = environment.agent("s")
        environment.kill_the_tower()
        afx("tower", "start")
        after = environment.agent("s")
        assert after["state"] == "running"
        for fact in ("id", "pid"):
            assert after["terminal"][fact] == before["terminal"][fact]
        assert list((environment.directory / "s/files").glob("*.json"))
        assert not list((environment.directory / "s").glob("*.db"))
        assert list(environment.directory.glob(f"s/*/{before['terminal']['id']}.sock"))
        afx("stop", "s", cwd=repository)
        assert not list(environment.directory.glob("s/*/*.sock"))
    finally:
        del environment.env["AFX_STORAGE"], environment.env["AFX_STRATEGY"]

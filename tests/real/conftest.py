"""What tests with a real agent program stand on: the program from npm, a model on loopback, a fresh home.

Nothing but npm's registry is spoken to, and that only while the program is not in the cache yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import npm
from .model_server import ModelServer
from .programs import CLAUDE, CODEX, GEMINI, OPENCODE, Program

Home = Callable[[Path], dict[str, str]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which versions of the programs were driven."""
    if npm.driven:
        terminalreporter.write_line(f"Real programs: {', '.join(sorted(npm.driven))}.")


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Program:
    """The program of the test module, or that of the test's own parameter."""
    by_module = {"test_claude": CLAUDE, "test_codex": CODEX, "test_gemini": GEMINI, "test_opencode": OPENCODE}
    found = getattr(request, "param", by_module.get(request.module.__name__.rpartition(".")[2]))
    assert isinstance(found, Program)
    return found


@pytest.fixture
def server(program: Program) -> Iterator[ModelServer]:
    """A model that answers by rules, in the program's language, on a free port of the loopback interface."""
    with program.serve() as server:
        yield server


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A directory with a name that is not easy."""
    path = tmp_path / "work space.é_1"
    path.mkdir()
    return path.resolve()


@pytest.fixture
def home(program: Program, server: ModelServer, tmp_path: Path) -> Home:
    """Give an environment in which the program asks no question in a workspace and talks to the server."""
    npm_home = tmp_path / "npm-home"
    npm_home.mkdir()
    executable = program.install(npm_home)
    return lambda workspace: program.environment(executable, tmp_path / "home", workspace, server.url)

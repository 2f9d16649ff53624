from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from afx.cli.main import run
from cli.stub import StubTower, stub_tower
from e2e.conftest import make_repository


class Done(NamedTuple):
    status: int
    out: str
    err: str


Afx = Callable[..., Done]


@pytest.fixture
def home() -> Path:
    return Path(os.environ["AFX_HOME"])


@pytest.fixture
def afx(capfd: pytest.CaptureFixture[str]) -> Afx:
    """Run a command line in this process."""

    def call(*arguments: str) -> Done:
        capfd.readouterr()
        status = run(arguments)
        return Done(status, *capfd.readouterr())

    return call


@pytest.fixture
def tower(home: Path) -> Iterator[StubTower]:
    with stub_tower(home) as stub:
        yield stub


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, which is the current directory."""
    path = tmp_path / "repository"
    make_repository(path)
    monkeypatch.chdir(path)
    return path

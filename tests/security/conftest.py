"""A Tower to attack, and ways to speak to it that no client of ours would use."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from afx.testing.tower_process import TowerProcess
from e2e.conftest import make_repository, serve, short_directory, short_path

__all__ = ["short_directory"]

PATIENCE = 20.0


@pytest.fixture(scope="module")
def target() -> Iterator[TowerProcess]:
    """A Tower that the attacks of one module share."""
    import shutil

    directory = short_path()
    yield from serve(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def place(target: TowerProcess) -> str:
    """A workspace of that Tower."""
    repository = make_repository(target.home.parent / "repo")
    target.request("POST", "/api/workspaces", {"path": repository})
    return repository


def dial(tower: TowerProcess) -> socket.socket:
    """Connect, and say nothing."""
    connection = socket.create_connection(("127.0.0.1", tower.port), timeout=PATIENCE)
    connection.settimeout(PATIENCE)
    return connection


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {patience:.0f} s")
        time.sleep(0.02)

"""The Tower and the repository of the end-to-end tests; for a walk also a disk and a clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.testing.tower_process import TowerProcess
from chaos.trouble import Clock, Disk, can_mount
from e2e.conftest import serve, short_directory, strategy, tower, workspace
from e2e.tmux import needs_tmux

__all__ = ["short_directory", "strategy", "tower", "workspace"]

_WALKED_ON = 64


@pytest.fixture
def disk(short_directory: Path) -> Iterator[Disk | None]:
    """A disk of its own for a state directory; None where no disk can be mounted."""
    if not can_mount():
        yield None
        return
    place = short_directory / "s"
    place.mkdir(mode=0o700)
    try:
        mounted = Disk(place, _WALKED_ON)
    except OSError:
        yield None
        return
    yield mounted
    mounted.unmount()


@pytest.fixture
def clock(short_directory: Path) -> Clock:
    """A wall clock that can be set."""
    return Clock(short_directory / "clock")


@pytest.fixture
def walked_tower(
    short_directory: Path, strategy: str, disk: Disk | None, clock: Clock
) -> Iterator[TowerProcess]:
    """A Tower on that disk, by that clock."""
    del disk
    if strategy == "tmux":
        needs_tmux()
    yield from serve(short_directory, strategy, clock.env)

"""A random walk through everything that can happen; `--chaos-seconds` has it last longer."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest

from afx.testing.tower_process import TowerProcess
from chaos.seen import Guard
from chaos.trouble import Clock, Disk
from chaos.walk import Walk, strategies_here
from e2e.conftest import make_repository


@pytest.mark.timeout(0)
@pytest.mark.parametrize("strategy", strategies_here())
def test_a_random_walk_breaks_nothing(
    walked_tower: TowerProcess,
    short_directory: Path,
    strategy: str,
    clock: Clock,
    disk: Disk | None,
    request: pytest.FixtureRequest,
) -> None:
    tower = walked_tower
    workspace = make_repository(short_directory / "repo")
    tower.request("POST", "/api/workspaces", {"path": workspace})
    seed = request.config.getoption("chaos_seed")
    seed = secrets.randbelow(2**32) if seed is None else seed
    seconds = request.config.getoption("chaos_seconds")
    print(f"--chaos-seed={seed}")
    if disk is None:
        print("Without a full and a read-only disk: only root can mount one.")
    guard = Guard(short_directory)
    walk = Walk(tower, workspace, strategy, guard, seed, directory=short_directory, clock=clock, disk=disk)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            walk.step()
        walk.finish()
    except BaseException as error:
        done = "\n".join(walk.history[-40:])
        lines = (tower.home / "tower.log").read_text().splitlines()
        log = "\n".join([shortened(line) for line in lines if "logger=uvicorn" not in line][-20:])
        raise AssertionError(
            f"--chaos-seed={seed}, after\n{done}\nThe log of the Tower:\n{log}\n{error!r}"
        ) from error
    finally:
        for follower in walk.seen.followers.values():
            follower.close()
        walk.let_go_on()
        guard.close()
    print(f"{len(walk.history)} steps")


def shortened(line: str) -> str:
    """Return the beginning of a line, and the end, where the last of a traceback stands."""
    return line if len(line) < 900 else f"{line[:200]} ... {line[-600:]}"

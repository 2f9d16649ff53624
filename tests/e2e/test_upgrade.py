"""What a running Tower does while afx is taken away from under it, as an upgrade does for a moment."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from afx.api.process import identify, send_signal
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerProcess
from e2e.conftest import make_repository, serve
from e2e.holding import holder_of
from e2e.steps import spawn, talk
from e2e.tmux import needs_tmux

PACKAGES = ("afx", "afx_holding", "afx_reconnect_shellper", "afx_reconnect_tmux")


@pytest.fixture
def site(short_directory: Path) -> Path:
    """A copy of what terminals are started from."""
    site = short_directory / "site"
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    return site


@pytest.fixture
def tower(short_directory: Path, strategy: str, site: Path) -> Iterator[TowerProcess]:
    """A Tower that runs from the copy."""
    if strategy == "tmux":
        needs_tmux()
    yield from serve(short_directory, strategy, {"PYTHONPATH": str(site)})


@pytest.mark.parametrize("strategy", ["shellper", "tmux"])
def test_who_crashes_while_afx_is_taken_away_is_resumed_when_it_is_back(
    tower: TowerProcess, short_directory: Path, strategy: str, site: Path
) -> None:
    workspace = make_repository(short_directory / "repo")
    tower.request("POST", "/api/workspaces", {"path": workspace})
    assert tower.state()["tower"]["installed_in"] == str(site.resolve() / "afx")
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    # A Tower that has started no terminal yet has to start what starts them.
    tower.stop()
    tower.start()

    away = site.rename(short_directory / "away")
    if strategy == "tmux":
        crashing = identify(tower.agents()["builder/a"]["terminal"]["pid"])
    else:
        crashing = holder_of(tower, agent["terminal"]["id"])
    assert crashing is not None
    assert send_signal(crashing, signal.SIGKILL)
    log = tower.home / "tower.log"
    tower.eventually(lambda: "cannot be brought back yet: afx is gone from where" in log.read_text())
    with pytest.raises(RequestFailedError, match="afx is gone from where the Tower runs") as refused:
        spawn(tower, workspace, "b")
    assert refused.value.error["code"] == "uninstalled"
    assert "`afx tower restart`" in refused.value.error["hint"]
    assert tower.agents()["builder/a"]["state"] in {"crashed", "lost"}

    away.rename(site)
    back = tower.eventually(
        lambda: (one := tower.agents()["builder/a"])["state"] == "running" and one, timeout=20
    )
    assert back["conversation"] == agent["conversation"]
    follower = Follower(tower, back["terminal"]["id"])
    follower.wait_for(rb"turns=1")
    follower.close()
    assert log.read_text().count("cannot be brought back yet") == 1

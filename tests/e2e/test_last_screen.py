"""What an agent's terminal showed last is there when the terminal is not any more."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import Any

import pytest

from afx.testing.tower_process import TowerProcess
from e2e.holding import Holding


def output_of(tower: TowerProcess, agent: dict[str, Any]) -> bytes:
    output: bytes = tower.request("GET", f"/api/terminals/{agent['terminal']['id']}/output")
    return output


@pytest.mark.parametrize("strategy", ["shellper", "tmux"])
def test_the_last_screen_of_the_stopped_and_the_lost_lesson_35(
    tower: TowerProcess, workspace: str, holding: Holding
) -> None:
    script = "printf 'a \\033[31mred\\033[0m word\\033[c\\r\\n'; "
    halted = tower.shell(workspace, f"{script} exec sleep 1000", "halted")
    failed = tower.shell(workspace, f"{script} exit 3", "failed")
    path = f"/api/agents/{halted['id']}/screen"
    tower.eventually(lambda: all(b"word" in output_of(tower, agent) for agent in (halted, failed)))
    assert tower.request("GET", path) == b"", "it runs, and nothing was kept yet"

    tower.request("POST", f"/api/agents/{halted['id']}/stop")
    screen = tower.request("GET", path)
    assert b"a \x1b[31mred\x1b[0m word" in screen
    assert b"\x1b[c" not in screen, "a query in a replay is not answered a second time"
    file = tower.home / "agents" / halted["id"] / "screen"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    # A shell's end is noted, and then everything is lost at once, as in a reboot.
    kept = tower.home / "agents" / failed["id"] / "screen"
    tower.eventually(kept.exists)
    tower.kill()
    holding.end(failed["terminal"]["id"])
    tower.start()
    tower.eventually(lambda: tower.agents()["shell/failed"]["terminal"] is None)
    assert b"word" in tower.request("GET", f"/api/agents/{failed['id']}/screen")

    said = subprocess.run(
        [sys.executable, "-m", "afx.cli", "logs", "shell/halted"],
        env=tower.env, cwd=workspace, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "a red word" in said.stdout.splitlines()
    assert "is stopped. A person stopped it. This was kept" in said.stderr

    tower.request("DELETE", f"/api/agents/{halted['id']}?force=1")
    assert not file.parent.exists()

"""Who waits for the person is seen from outside, also after a restart of the Tower."""

from __future__ import annotations

from pathlib import Path

from afx.testing.follower import type_into
from afx.testing.tower_process import TowerProcess

# The layout of Claude Code: a spinner above the input field while it works, only the field while it waits.
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
PROGRAM = f"""#!/bin/sh
rule=──────────────────────────────
while true; do
  printf '\\033[H\\033[2J%s\\r\\n{PROMPT} \\r\\n%s\\r\\n' $rule $rule
  read answer
  until test -e "$0.done"; do
    printf '\\033[H\\033[2J✻ Sketching… (1s)\\r\\n%s\\r\\n{PROMPT} \\r\\n%s\\r\\n' $rule $rule
    sleep 0.1
  done
done
"""


def test_an_agent_that_waits_is_told_from_one_that_works(tower: TowerProcess, workspace: str) -> None:
    program = Path(tower.env["PATH"].partition(":")[0], "claude")
    program.write_text(PROGRAM, encoding="utf-8")

    def doing() -> str:
        return str(tower.agents()["builder/a"]["doing"])

    body = {"workspace": workspace, "kind": "builder", "name": "a", "harness": "claude"}
    terminal = tower.request("POST", "/api/agents", body)["agent"]["terminal"]["id"]
    tower.eventually(lambda: doing() == "waiting")
    type_into(tower, terminal, b"go on\r")
    tower.eventually(lambda: doing() == "working")
    tower.kill()
    tower.start()
    tower.eventually(lambda: doing() == "working")
    program.with_name("claude.done").touch()
    tower.eventually(lambda: doing() == "waiting")
    tower.request("POST", f"/api/agents/{tower.agents()['builder/a']['id']}/stop")
    assert doing() == "unknown"

"""With recover.at_boot = "auto" the Tower brings back by itself who was lost, as after a reboot."""

from __future__ import annotations

from afx.testing.tower_process import TowerProcess
from e2e.steps import kill_everything


def spawn(tower: TowerProcess, workspace: str, kind: str, name: str) -> str:
    body = {"workspace": workspace, "kind": kind, "name": name, "harness": "claude", "task": "Go"}
    agent = tower.request("POST", "/api/agents", body)["agent"]
    tower.eventually(lambda: b"heard 1" in output_of(tower, f"{kind}/{name}"))
    return str(agent["conversation"]["id"])


def output_of(tower: TowerProcess, name: str) -> bytes:
    terminal = tower.agents()[name]["terminal"]
    if terminal is None:
        return b""
    return bytes(tower.request("GET", f"/api/terminals/{terminal['id']}/output"))


def await_return(tower: TowerProcess, name: str, conversation: str) -> None:
    """Wait until an agent runs, and greets with its conversation."""
    tower.eventually(lambda: tower.agents()[name]["state"] == "running", timeout=20)
    greeting = f"session={conversation} turns=1".encode()
    tower.eventually(lambda: greeting in output_of(tower, name), timeout=20)


def test_lost_agents_come_back_by_themselves_with_their_conversations(
    tower: TowerProcess, workspace: str
) -> None:
    ids = {name: spawn(tower, workspace, *name.split("/")) for name in ("builder/b", "architect/a")}
    stopped = tower.shell(workspace, "sleep 1000", "stopped")
    tower.request("POST", f"/api/agents/{stopped['id']}/stop")
    kill_everything(tower)
    tower.start()
    assert {agent["state"] for agent in tower.agents().values()} == {"lost", "stopped"}, "ask is the default"
    kill_everything(tower)
    tower.env |= {"AFX_RECOVER_AT_BOOT": "auto", "AFX_RECOVER_MAX_LOAD": "1000"}
    tower.start()
    for name, conversation in ids.items():
        await_return(tower, name, conversation)
    assert tower.agents()["shell/stopped"]["state"] == "stopped"
    log = (tower.home / "tower.log").read_text()
    assert "Bringing back 2 agents that were lost." in log
    assert log.index("architect/a: starting") < log.index("builder/b: starting")

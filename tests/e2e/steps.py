"""Steps that several end to end tests take: an agent is started, spoken to, lost, and brought back."""

from __future__ import annotations

import http.client
import json
import signal
import time
from typing import Any

from afx.api.process import ProcessIdentity, is_alive, send_signal
from afx.testing.follower import Follower
from afx.testing.tower_process import TowerProcess, processes_of
from e2e.rows import rows
from e2e.tmux import Tmux


def spawn(tower: TowerProcess, workspace: str, name: str, **more: object) -> Any:
    """Start a builder, of the harness `claude` unless another is named, and return it."""
    body = {"workspace": workspace, "kind": "builder", "name": name, "harness": "claude", **more}
    return tower.request("POST", "/api/agents", body)["agent"]


def talk(tower: TowerProcess, agent: Any, text: str) -> None:
    """Send an agent a message, and wait until it has answered."""
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"fake")
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": text})
    follower.wait_for(rb"heard \d+: " + text.encode())
    follower.close()


def kill_everything(tower: TowerProcess) -> None:
    """SIGKILL the Tower, every holder and every agent, as a loss of power would."""
    tower.kill()
    tmux = Tmux(tower)
    if tmux.is_running:
        tmux.signal(tmux.server, signal.SIGKILL)
    while found := processes_of(tower.home):
        for process in found:
            send_signal(process, signal.SIGKILL)
        for process in found:
            wait_until_gone(process)


def wait_until_gone(process: ProcessIdentity) -> None:
    """Wait until a process that was killed has ended."""
    deadline = time.monotonic() + 10
    while is_alive(process):
        assert time.monotonic() < deadline, f"{process} does not end"
        time.sleep(0.005)


def recover(tower: TowerProcess, **body: object) -> list[dict[str, Any]]:
    """Apply a recovery and return what it told."""
    connection = http.client.HTTPConnection("127.0.0.1", tower.port, timeout=60)
    connection.request(
        "POST", "/api/recover/apply", json.dumps(body), {"Authorization": f"Bearer {tower.key}"}
    )
    response = connection.getresponse()
    assert response.status == 200
    lines = [json.loads(line) for line in response.read().splitlines()]
    connection.close()
    return lines


def conversation_ids(tower: TowerProcess, agent: Any) -> list[str]:
    """Return the ids of all conversations of an agent, the one it is resumed with first."""
    answer = tower.request("GET", f"/api/agents/{agent['id']}/conversations")
    return [one["id"] for one in answer["conversations"]]


def forget_ids(tower: TowerProcess) -> None:
    """Empty the storage of a Tower that is down of all conversation ids."""
    with rows(tower.home / "afx.db") as database:
        triggers = database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("DELETE FROM conversations")
        database.execute("UPDATE agents SET conversation = NULL")

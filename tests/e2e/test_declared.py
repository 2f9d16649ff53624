"""A harness without Python: declared in a workspace, it keeps conversations like any other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from afx.settings.trust import trust_present
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerProcess
from scripts import write_script

DECLARED = """
[harness.foo]
command = "foo"
new = ["--session-id", "{session_id}"]
resume = ["--resume", "{session_id}"]
role = ["--append-system-prompt-file", "{role_file}"]
task = ["--", "{task}"]
scrub = ["FOO_INSIDE"]

[harness.foo.transcripts]
files = "~/.claude/projects/{cwd_dashes}/*.jsonl"
cwd = { json = "cwd" }
"""


@pytest.fixture
def declared(workspace: str, tower: TowerProcess) -> str:
    programs = Path(tower.env["PATH"].split(":")[0])
    write_script(programs / "foo", f'exec {sys.executable} -m afx.testing.fake_agent "$@"')
    Path(workspace, "afx.toml").write_text(DECLARED)
    trust_present(Path(workspace), tower.env)
    return workspace


def test_a_declared_harness_comes_back_with_its_conversation(tower: TowerProcess, declared: str) -> None:
    body = {"workspace": declared, "kind": "builder", "name": "a", "harness": "foo", "task": "Begin."}
    agent = tower.request("POST", "/api/agents", body)["agent"]
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"heard 1: Begin\.")
    assert agent["conversation"]["source"] == "minted"

    # While it runs, a mistake in the file takes nothing from it.
    Path(declared, "afx.toml").write_text(DECLARED.replace("command", "comand"))
    trust_present(Path(declared), tower.env)
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "Still there?"})
    follower.wait_for(rb"heard 2: Still there\?")
    with pytest.raises(
        RequestFailedError, match=r"line 3, column 1: harness\.foo\.comand is no field"
    ) as caught:
        tower.request("POST", "/api/agents", {**body, "name": "b"})
    assert caught.value.status == 400
    Path(declared, "afx.toml").write_text(DECLARED)
    trust_present(Path(declared), tower.env)

    # A crash is resumed in the same terminal.
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "/die"})
    follower.wait_for(rb"turns=2")
    tower.kill()
    tower.start()
    assert tower.agents()["builder/a"]["terminal"]["id"] == agent["terminal"]["id"]

    # Stopped, it is brought back with its own conversation.
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    answer = tower.request("POST", f"/api/agents/{agent['id']}/resume", {})
    assert answer["plan"]["session_id"] == agent["conversation"]["id"]
    assert answer["plan"]["rung"] == "stored"


def test_an_unknown_harness_is_refused_with_the_declared_ones_among_the_known(
    tower: TowerProcess, declared: str
) -> None:
    body = {"workspace": declared, "kind": "builder", "name": "a", "harness": "fooo"}
    with pytest.raises(RequestFailedError) as caught:
        tower.request("POST", "/api/agents", body)
    assert "foo" in re.findall(r"\w+", caught.value.error["hint"])

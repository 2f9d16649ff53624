"""An agent comes back with its own conversation: by stored id, by transcript, or fresh, the old id kept."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import identify, send_signal
from afx.testing.follower import Follower, open_terminal, type_into
from afx.testing.tower_process import RequestFailedError, TowerProcess
from e2e.holding import holder_of
from e2e.steps import conversation_ids, forget_ids, kill_everything, recover, spawn, talk

with_both_strategies = pytest.mark.parametrize("strategy", ["shellper", "tmux"])


def transcripts(tower: TowerProcess) -> list[Path]:
    return sorted(Path(tower.env["HOME"]).glob(".claude/projects/*/*.jsonl"))


@pytest.fixture
def two(tower: TowerProcess, workspace: str) -> dict[str, Any]:
    """Two builders who each have had a word."""
    agents = {name: spawn(tower, workspace, name) for name in ("a", "b")}
    for name, agent in agents.items():
        talk(tower, agent, f"I am {name}")
    return agents


@with_both_strategies
def test_each_continues_its_own_conversation_even_beside_a_stray_one_lesson_17(
    tower: TowerProcess, two: dict[str, Any]
) -> None:
    stored = {name: agent["conversation"]["id"] for name, agent in two.items()}
    kill_everything(tower)
    mine = next(path for path in transcripts(tower) if path.stem == stored["a"])
    stray = mine.with_stem("99999999-9999-4999-8999-999999999999")
    stray.write_text(mine.read_text().replace(stored["a"], stray.stem))
    tower.start()
    assert {agent["state"] for agent in tower.agents().values()} == {"lost"}
    rows = tower.request("POST", "/api/recover", {})["rows"]
    assert [(row["name"], row["eligibility"]) for row in rows] == [
        ("builder/a", "eligible"),
        ("builder/b", "eligible"),
    ]
    assert {agent["state"] for agent in tower.agents().values()} == {"lost"}, "a dry run, lesson 30"
    told = recover(tower)
    assert told[-1] == {"event": "end", "revived": 2, "failed": 0, "skipped": 0}
    for name, agent in two.items():
        now = tower.agents()[f"builder/{name}"]
        assert now["state"] == "running"
        assert now["conversation"]["id"] == stored[name]
        assert now["terminal"]["predecessors"] == [agent["terminal"]["id"]]
        follower = Follower(tower, now["terminal"]["id"])
        # The second turn of the same conversation is what afx itself has to say, lesson 25.
        follower.wait_for(rb"heard 2: \[afx\] You were interrupted")
        follower.close()
        plan = tower.request("GET", f"/api/agents/{agent['id']}/plan")["plan"]
        assert (plan["rung"], plan["session_id"]) == ("stored", stored[name])


def test_without_stored_ids_the_transcript_is_found_and_without_it_fresh(
    tower: TowerProcess, two: dict[str, Any]
) -> None:
    stored = {name: agent["conversation"]["id"] for name, agent in two.items()}
    kill_everything(tower)
    forget_ids(tower)
    for path in transcripts(tower):
        if path.stem == stored["b"]:
            path.unlink()
    tower.start()
    recover(tower)
    found = tower.agents()["builder/a"]
    assert found["conversation"] == {"id": stored["a"], "source": "discovered"}
    fresh = tower.agents()["builder/b"]
    assert fresh["conversation"]["source"] == "minted"
    assert fresh["conversation"]["id"] != stored["b"]


def test_a_lost_transcript_means_fresh_and_the_old_id_is_kept_lesson_18(
    tower: TowerProcess, two: dict[str, Any]
) -> None:
    old = two["a"]["conversation"]["id"]
    kill_everything(tower)
    for path in transcripts(tower):
        path.unlink()
    tower.start()
    recover(tower)
    ids = conversation_ids(tower, two["a"])
    assert old in ids
    assert ids[0] != old
    steps = tower.request("GET", f"/api/agents/{two['a']['id']}/plan")["plan"]["steps"]
    assert [(step["rung"], step["chosen"]) for step in steps] == [
        ("stored", False),
        ("discovered", False),
        ("fresh", True),
    ]


@pytest.mark.parametrize("later", ["another", "none"])
def test_conversations_are_looked_for_where_the_agent_keeps_them_lesson_22(
    tower: TowerProcess, workspace: str, short_directory: Path, later: str
) -> None:
    def keep_in(directory: str) -> None:
        tower.env.pop("CLAUDE_CONFIG_DIR", None)
        if directory:
            tower.env["CLAUDE_CONFIG_DIR"] = directory

    kill_everything(tower)
    keep_in(str(short_directory / "elsewhere"))
    tower.start()
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    kill_everything(tower)
    keep_in(str(short_directory / "of-the-tower") if later == "another" else "")
    tower.start()
    (row,) = tower.request("POST", "/api/recover", {})["rows"]
    (step,) = (step for step in row["plan"]["steps"] if step["asked"])
    assert (step["rung"], step["evidence"], step["chosen"]) == ("stored", "found", True)
    listed = tower.request("GET", f"/api/agents/{agent['id']}/conversations")["conversations"]
    assert listed[0]["transcript"]["path"].startswith(str(short_directory / "elsewhere"))
    recover(tower)
    assert tower.agents()["builder/a"]["conversation"]["id"] == agent["conversation"]["id"]
    follower = Follower(tower, tower.agents()["builder/a"]["terminal"]["id"])
    follower.wait_for(rb"turns=1")
    follower.close()


@with_both_strategies
def test_a_crash_is_resumed_in_the_same_terminal_lesson_25(tower: TowerProcess, workspace: str) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    process = identify(agent["terminal"]["pid"])
    assert process is not None
    follower = Follower(tower, agent["terminal"]["id"])
    assert send_signal(process, signal.SIGKILL)
    follower.wait_for(rb"SIGKILL")
    follower.wait_for(rb"heard 2: \[afx\] You were interrupted")
    now = tower.agents()["builder/a"]
    assert now["state"] == "running"
    assert now["terminal"]["id"] == agent["terminal"]["id"]
    assert now["terminal"]["pid"] != agent["terminal"]["pid"]
    assert now["conversation"]["id"] == agent["conversation"]["id"]
    assert follower.resets == 1
    follower.close()


@with_both_strategies
def test_a_quit_is_left_alone_until_enter_lesson_25(tower: TowerProcess, workspace: str) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    first = agent["conversation"]["id"]
    type_into(tower, agent["terminal"]["id"], b"/quit\r")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"Enter begins a new conversation")
    assert tower.agents()["builder/a"]["state"] == "exited"
    with open_terminal(tower, agent["terminal"]["id"]) as websocket:
        websocket.send(b"x")
        websocket.send(b"\r")
        tower.eventually(lambda: tower.agents()["builder/a"]["state"] == "running")
    second = tower.agents()["builder/a"]["conversation"]["id"]
    assert second != first
    talk(tower, agent, "again")
    process = identify(tower.agents()["builder/a"]["terminal"]["pid"])
    assert process is not None
    assert send_signal(process, signal.SIGKILL)
    follower.wait_for(rb"You were interrupted")
    assert tower.agents()["builder/a"]["conversation"]["id"] == second
    follower.close()


@with_both_strategies
def test_a_crash_loop_ends_and_says_so_on_the_screen_lesson_27(tower: TowerProcess, workspace: str) -> None:
    program = Path(tower.env["PATH"].partition(":")[0], "claude")
    starts = tower.home.with_name("starts")
    program.write_text(f"#!/bin/sh\necho start >> {starts}\nexit 3\n")
    spawn(tower, workspace, "a")
    now = tower.eventually(
        lambda: (one := tower.agents()["builder/a"])["state"] == "needs-attention" and one, timeout=30
    )
    assert starts.read_text().count("start") == 3
    assert "exit code 3" in now["reason"]
    follower = Follower(tower, now["terminal"]["id"])
    follower.wait_for(rb"3 times in a row")
    follower.close()


def test_concurrent_revivals_start_one_process_lesson_28(tower: TowerProcess, two: dict[str, Any]) -> None:
    kill_everything(tower)
    program = Path(tower.env["PATH"].partition(":")[0], "claude")
    starts = tower.home.with_name("starts")
    program.write_text(program.read_text().replace("exec", f"echo $$ >> {starts}\nexec", 1))
    tower.start()
    told: list[list[dict[str, Any]]] = []

    def resume() -> None:
        tower.request("POST", f"/api/agents/{two['a']['id']}/resume", {})

    threads = [threading.Thread(target=lambda: told.append(recover(tower))) for _ in range(3)]
    threads += [threading.Thread(target=resume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 3
    assert all(lines[-1]["failed"] == 0 for lines in told)
    assert {agent["state"] for agent in tower.agents().values()} == {"running"}
    # A program that was started need not have come so far.
    assert tower.eventually(lambda: len(starts.read_text().splitlines()) >= 2)
    assert len(starts.read_text().splitlines()) == 2


def test_twenty_are_recovered_four_at_a_time_lesson_27(tower: TowerProcess, workspace: str) -> None:
    for number in range(20):
        spawn(tower, workspace, f"n{number:02}")
    kill_everything(tower)
    tower.start()
    told = recover(tower, jobs=4)
    at_once = most = 0
    for line in told:
        at_once += {"starting": 1, "revived": -1}.get(line["event"], 0)
        most = max(most, at_once)
    assert most <= 4
    assert told[0]["agents"] == [line["agent"] for line in told if line["event"] == "starting"]
    assert told[-1] == {"event": "end", "revived": 20, "failed": 0, "skipped": 0}
    assert {agent["state"] for agent in tower.agents().values()} == {"running"}


def test_a_worktree_made_by_hand_is_taken_in(tower: TowerProcess, workspace: str) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    kill_everything(tower)
    (tower.home / "afx.db").unlink()
    for log in tower.home.glob("afx.db-*"):
        log.unlink()
    tower.start()
    tower.request("POST", "/api/workspaces", {"path": workspace})
    body = {"workspace": workspace, "kind": "builder", "name": "a", "harness": "claude", "resume": True}
    answer = tower.request("POST", "/api/agents", body)
    assert answer["plan"]["rung"] == "discovered"
    assert answer["agent"]["conversation"]["id"] == agent["conversation"]["id"]
    assert answer["agent"]["branch"] == "builder/a"
    again = tower.request("POST", "/api/agents", body)
    assert again["plan"]["action"] == "attach"
    with pytest.raises(RequestFailedError) as caught:
        tower.request("POST", "/api/agents", {**body, "name": "nobody"})
    assert caught.value.status == 404


def test_older_conversation_can_be_chosen_and_the_choice_undone_lesson_18(
    tower: TowerProcess, workspace: str
) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "first")
    first = agent["conversation"]["id"]
    url = f"/api/agents/{agent['id']}"
    for another in ({"fresh": True}, {"session_id": first[:-1] + "0"}):
        with pytest.raises(RequestFailedError, match="runs, and changes its conversation only when"):
            tower.request("POST", f"{url}/resume", another)
    assert tower.request("POST", f"{url}/resume", {"session_id": first})["plan"]["action"] == "attach"
    tower.request("POST", f"{url}/stop")
    tower.request("POST", f"{url}/resume", {"fresh": True})
    talk(tower, tower.agents()["builder/a"], "second")
    second = tower.agents()["builder/a"]["conversation"]["id"]
    tower.request("POST", f"{url}/stop")
    with pytest.raises(RequestFailedError, match="no choice to take back"):
        tower.request("POST", f"{url}/conversations", {"undo": True})
    listed = tower.request("POST", f"{url}/conversations", {"use": first})["conversations"]
    assert [(one["id"], one["current"]) for one in listed] == [(second, False), (first, True)]
    dry = tower.request("POST", f"{url}/resume", {"dry_run": True})
    assert dry["plan"]["session_id"] == first
    assert tower.agents()["builder/a"]["state"] == "stopped"
    tower.request("POST", f"{url}/conversations", {"undo": True})
    assert tower.request("POST", f"{url}/resume", {})["plan"]["session_id"] == second
    for bad in ({"use": "nope"}, {}, {"use": first, "undo": True}):
        with pytest.raises(RequestFailedError) as caught:
            tower.request("POST", f"{url}/conversations", bad)
        assert caught.value.status == 400


def test_an_id_that_a_person_names_is_weighed_as_any_other_lesson_20(
    tower: TowerProcess, two: dict[str, Any]
) -> None:
    url = f"/api/agents/{two['a']['id']}"
    tower.request("POST", f"{url}/stop")
    theirs = two["b"]["conversation"]["id"]
    unknown = "99999999-9999-4999-8999-999999999999"
    for wanted, why in ((theirs, "It is open in builder/b."), (unknown, "There is no transcript of it")):
        with pytest.raises(RequestFailedError) as caught:
            tower.request("POST", f"{url}/resume", {"session_id": wanted})
        assert caught.value.status == 409
        assert why in caught.value.error["message"]
    assert tower.agents()["builder/a"]["state"] == "stopped"
    assert conversation_ids(tower, two["a"]) == [two["a"]["conversation"]["id"]]


def test_a_missing_worktree_is_not_recovered(tower: TowerProcess, two: dict[str, Any]) -> None:
    kill_everything(tower)
    shutil.rmtree(two["a"]["cwd"])
    tower.start()
    rows = {row["name"]: row for row in tower.request("POST", "/api/recover", {})["rows"]}
    assert rows["builder/a"]["eligibility"] == "worktree missing"
    assert rows["builder/b"]["eligibility"] == "eligible"
    with pytest.raises(RequestFailedError) as caught:
        tower.request("POST", f"/api/agents/{two['a']['id']}/resume", {})
    assert (caught.value.status, caught.value.error["code"]) == (409, "cannot-resume")


def test_a_plain_directory_is_no_worktree(tower: TowerProcess, workspace: str) -> None:
    Path(workspace, ".builders", "plain").mkdir(parents=True)
    body = {"workspace": workspace, "kind": "builder", "name": "plain", "harness": "claude", "resume": True}
    with pytest.raises(RequestFailedError) as caught:
        tower.request("POST", "/api/agents", body)
    assert caught.value.status == 404
    assert tower.agents() == {}


def test_a_branch_of_the_persons_own_stays_and_one_made_for_the_agent_goes(
    tower: TowerProcess, workspace: str
) -> None:
    def branches() -> set[str]:
        listed = subprocess.run(
            ["git", "-C", workspace, "branch", "--format=%(refname:short)"],
            capture_output=True,
            text=True,
            check=True,
        )
        return set(listed.stdout.split())

    subprocess.run(["git", "-C", workspace, "branch", "feature"], check=True)
    for name, more in (("a", {"branch": "feature"}), ("b", {})):
        agent = spawn(tower, workspace, name, **more)
        assert len(branches()) == 2 + (name == "b")
        tower.request("DELETE", f"/api/agents/{agent['id']}")
    assert branches() == {"main", "feature"}


@with_both_strategies
def test_a_spawn_that_fails_leaves_nothing(tower: TowerProcess, workspace: str) -> None:
    (tower.home / "agents").mkdir(exist_ok=True)
    (tower.home / "agents").rmdir()
    (tower.home / "agents").touch()
    with pytest.raises(RequestFailedError) as caught:
        spawn(tower, workspace, "half")
    assert caught.value.status == 400
    assert tower.agents() == {}
    assert not Path(workspace, ".builders", "half").exists()
    (tower.home / "agents").unlink()
    assert spawn(tower, workspace, "half")["state"] == "running"


def test_a_stop_that_cannot_be_done_now_is_done_when_it_can_be_lesson_15(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, "exec cat", "s")
    other = tower.shell(workspace, "exec cat", "t")
    holder = holder_of(tower, agent["terminal"]["id"])
    assert send_signal(holder, signal.SIGSTOP)
    answer = tower.request("POST", "/api/workspaces/stop", {"path": workspace})
    assert answer["stopped"] == [other["id"]], "one that does not answer keeps no other running"
    assert [failure["agent"] for failure in answer["failed"]] == [agent["id"]]
    assert send_signal(holder, signal.SIGCONT)
    tower.eventually(lambda: tower.agents()["shell/s"]["terminal"] is None)
    assert tower.agents()["shell/s"]["state"] == "stopped"


@with_both_strategies
def test_a_message_waits_for_a_draft_and_comes_after_it_lesson_38(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, "exec cat", "s")
    follower = Follower(tower, agent["terminal"]["id"])
    type_into(tower, agent["terminal"]["id"], b"half a ")
    follower.wait_for(rb"half a ")
    answer = tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "message"})
    assert answer == {"delivered": False}
    type_into(tower, agent["terminal"]["id"], b"draft\r")
    follower.wait_for(rb"half a draft\r\n(?:.|\n)*message\r\n(?:.|\n)*message")
    follower.close()

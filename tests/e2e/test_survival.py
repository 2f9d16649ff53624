"""Terminals outlive the Tower: the same ids, the same processes, every byte once and in order."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import identify, is_alive, send_signal
from afx.testing.follower import Follower, type_into
from afx.testing.tower_process import TowerProcess, processes_of
from e2e.holding import Holding, holder_of
from e2e.rows import rows
from e2e.steps import wait_until_gone

built_in = pytest.mark.parametrize("strategy", ["shellper", "tmux"])
with_that_of_the_docs = pytest.mark.parametrize("strategy", ["shellper", "tmux", "dtach"])

COUNTER = "i=0; while :; do echo count $i; i=$((i+1)); sleep 0.005; done"


def spawn_builder(tower: TowerProcess, workspace: str, name: str) -> Any:
    body = {"workspace": workspace, "kind": "builder", "name": name, "harness": "claude"}
    return tower.request("POST", "/api/agents", body)["agent"]


def ids_and_pids(tower: TowerProcess) -> dict[str, tuple[str, int]]:
    return {
        name: (agent["terminal"]["id"], agent["terminal"]["pid"])
        for name, agent in tower.agents().items()
        if agent["terminal"] is not None
    }


def is_gapless(numbers: list[int]) -> bool:
    return bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.fixture
def five(tower: TowerProcess, workspace: str) -> dict[str, tuple[str, int]]:
    """Three builders and two shells, each printing a counter."""
    for name in ("a", "b", "c"):
        spawn_builder(tower, workspace, name)
    for name in ("1", "2"):
        tower.shell(workspace, COUNTER, name)
    for name, agent in tower.agents().items():
        if name.startswith("builder/"):
            follower = Follower(tower, agent["terminal"]["id"])
            follower.wait_for(rb"fake")  # It reads keys by itself now, and nothing is echoed.
            follower.close()
            type_into(tower, agent["terminal"]["id"], b"/count 5\r")
    return ids_and_pids(tower)


@pytest.fixture
def followers(tower: TowerProcess, five: dict[str, tuple[str, int]]) -> Iterator[dict[str, Follower]]:
    found = {name: Follower(tower, terminal_id) for name, (terminal_id, _) in five.items()}
    yield found
    for follower in found.values():
        follower.close()


@with_that_of_the_docs
def test_stop_and_start_keep_ids_pids_and_bytes_lesson_09(
    tower: TowerProcess, five: dict[str, tuple[str, int]], followers: dict[str, Follower]
) -> None:
    for follower in followers.values():
        follower.wait_for(rb"count 20\r\n")
    tower.stop()
    tower.start()
    assert ids_and_pids(tower) == five
    assert {agent["state"] for agent in tower.agents().values()} == {"running"}
    for follower in followers.values():
        last = follower.numbers()[-1]
        follower.wait_for(rb"count %d\r\n" % (last + 200))
        assert is_gapless(follower.numbers())
        assert follower.resets == 1, "only the first look may begin anew"
        assert follower.hellos >= 2


@built_in
def test_ten_kills_of_the_tower_lose_nothing(
    tower: TowerProcess, five: dict[str, tuple[str, int]], followers: dict[str, Follower]
) -> None:
    seed = random.randrange(2**32)  # noqa: S311  (a seed, not a secret)
    moment = random.Random(seed)  # noqa: S311  (moments, not secrets)
    for _ in range(10):
        followers["shell/1"].wait_for_more()
        time.sleep(moment.uniform(0, 0.15))  # not a wait: the moment of the kill is what varies
        tower.kill()
        tower.start()
        assert ids_and_pids(tower) == five, f"seed {seed}"
    for follower in followers.values():
        follower.wait_for_more()
        last = follower.numbers()[-1]
        follower.wait_for(rb"count %d\r\n" % (last + 50))
        assert is_gapless(follower.numbers()), f"seed {seed}"
        assert follower.resets == 1, f"seed {seed}"


@with_that_of_the_docs
def test_dead_are_pruned_and_the_stopped_waited_for_lesson_02(
    tower: TowerProcess, holding: Holding, five: dict[str, tuple[str, int]]
) -> None:
    recorders = {name: holding.recorder(terminal_id) for name, (terminal_id, _) in five.items()}
    tower.kill()
    for name in ("builder/a", "shell/1"):
        holding.end(five[name][0])
    assert send_signal(recorders["builder/b"], signal.SIGSTOP)
    began = time.monotonic()
    tower.start()
    took = time.monotonic() - began
    agents = tower.agents()
    assert took < 3 + 3, "one deadline of 3 s over all probes, and the start of a process"
    for name in ("builder/a", "shell/1"):
        assert agents[name]["state"] == holding.ended_state
        assert agents[name]["reason"]
        assert agents[name]["terminal"] is None
        wait_until_gone(recorders[name])
    assert agents["builder/b"]["state"] == "unreachable"
    assert agents["builder/b"]["terminal"]["id"] == five["builder/b"][0]
    for name in ("builder/c", "shell/2"):
        assert agents[name]["state"] == "running"
    assert send_signal(recorders["builder/b"], signal.SIGCONT)
    tower.eventually(lambda: tower.agents()["builder/b"]["state"] == "running", timeout=2)
    assert ids_and_pids(tower)["builder/b"] == five["builder/b"]


@built_in
def test_first_state_is_complete_lesson_10(tower: TowerProcess, five: dict[str, tuple[str, int]]) -> None:
    tower.kill()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tower.env["AFX_PORT"] = str(port)
    tower.port = port
    seen: list[dict[str, tuple[str, int]]] = []
    errors: list[Exception] = []

    def poll() -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                seen.append(ids_and_pids(tower))
            except ConnectionRefusedError:
                continue
            except (http.client.HTTPException, OSError, KeyError) as error:
                errors.append(error)
            return

    pollers = [threading.Thread(target=poll) for _ in range(4)]
    for poller in pollers:
        poller.start()
    tower.start()
    for poller in pollers:
        poller.join(20)
    assert errors == []
    assert seen == [five] * 4


@built_in
def test_pid_reuse_is_not_survival_lesson_01(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER)
    terminal_id = agent["terminal"]["id"]
    holder = holder_of(tower, terminal_id)
    tower.kill()
    assert send_signal(holder, signal.SIGKILL)
    tower.eventually(lambda: not is_alive(holder))
    caught: list[int] = []
    previous = {
        number: signal.signal(number, lambda got, _: caught.append(got))
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT)
    }
    try:
        with rows(tower.home / "afx.db") as database:
            database.execute(
                "UPDATE terminal_sessions SET handle = json_set(handle, '$.holder.pid', ?) WHERE id = ?",
                [os.getpid(), terminal_id],
            )
        tower.start()
        found = tower.agents()[f"shell/{agent['name']}"]
        assert found["state"] == "lost"
        assert found["terminal"] is None
        tower.request("POST", f"/api/agents/{agent['id']}/stop")
        tower.request("DELETE", f"/api/agents/{agent['id']}")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    assert caught == []
    assert identify(os.getpid()) is not None


def connections_to(tower: TowerProcess) -> int:
    """Count the connections that holders have accepted."""
    sockets = tuple(f"{agent['terminal']['id']}.sock" for agent in tower.agents().values())
    lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    return sum(line.endswith(sockets) and line.split()[5] == "03" for line in lines)


@built_in
def test_reads_open_no_connection_lesson_11(tower: TowerProcess, five: dict[str, tuple[str, int]]) -> None:
    tower.kill()
    ready = tower.launch()
    tower.await_ready(ready)
    before = connections_to(tower)
    assert before == len(five), "one connection to each holder"
    failures: list[Exception] = []

    def read() -> None:
        try:
            assert len(tower.agents()) == len(five)
        except Exception as error:  # noqa: BLE001  (told to the test below)
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(50)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(20)
    assert failures == []
    assert connections_to(tower) == before


@built_in
def test_holder_that_dies_under_a_running_tower_is_lost(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER)
    holder = holder_of(tower, agent["terminal"]["id"])
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"count 5\r\n")
    assert send_signal(holder, signal.SIGKILL)
    found = tower.eventually(
        lambda: (now := tower.agents()[f"shell/{agent['name']}"])["state"] == "lost" and now, timeout=5
    )
    assert found["terminal"] is None
    tower.eventually(lambda: 404 in follower.refusals)
    follower.close()


@with_that_of_the_docs
def test_end_while_the_tower_is_away_is_told_with_its_code_lesson_35(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, "read line; sleep 0.5; echo last words; exit 7")
    follower = Follower(tower, agent["terminal"]["id"])
    tower.eventually(lambda: follower.hellos)
    pid = identify(agent["terminal"]["pid"])
    assert pid is not None
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "go"})
    tower.kill()
    tower.eventually(lambda: not is_alive(pid))
    tower.start()
    found = tower.agents()[f"shell/{agent['name']}"]
    assert (found["state"], found["terminal"]["exit"]["code"]) == ("crashed", 7)
    follower.wait_for(rb"last words")
    tower.eventually(lambda: any(c["type"] == "exit" and c["code"] == 7 for c in follower.controls))
    follower.close()


@built_in
def test_a_stopped_holder_without_a_record_is_taken_back_when_it_goes_on_lesson_06(
    tower: TowerProcess, workspace: str
) -> None:
    """At boot it cannot say whose it is. Nobody has to ask again for it to be found."""
    terminal = tower.shell(workspace, COUNTER, "stray")["terminal"]
    holder = holder_of(tower, terminal["id"])
    tower.kill()
    with rows(tower.home / "afx.db") as database:
        database.execute("DELETE FROM terminal_sessions")
    send_signal(holder, signal.SIGSTOP)
    tower.env["AFX_BOOT_DEADLINE"] = "0.3"
    try:
        tower.start()
        assert tower.agents()["shell/stray"]["terminal"] is None
        assert tower.agents()["shell/stray"]["state"] == "lost"
    finally:
        send_signal(holder, signal.SIGCONT)
    found = tower.eventually(lambda: tower.agents()["shell/stray"]["terminal"])
    assert (found["id"], found["pid"]) == (terminal["id"], terminal["pid"])
    assert tower.agents()["shell/stray"]["state"] == "running"


@built_in
def test_stopped_agent_stays_stopped_lesson_15(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER)
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    tower.eventually(lambda: not [p for p in processes_of(tower.home) if p.pid == agent["terminal"]["pid"]])
    for _ in range(2):
        found = tower.agents()[f"shell/{agent['name']}"]
        assert (found["state"], found["terminal"]) == ("stopped", None)
        tower.kill()
        tower.start()


@built_in
def test_successor_names_its_predecessors(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER)
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    tower.stop()
    tower.start()
    again = tower.request("POST", f"/api/agents/{agent['id']}/resume")["agent"]
    assert again["state"] == "running"
    assert again["terminal"]["id"] != agent["terminal"]["id"]
    assert again["terminal"]["predecessors"] == [agent["terminal"]["id"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which directory a program works in")
def test_a_terminal_whose_agent_nobody_knows_any_more_is_adopted_by_its_id_alone_lesson_06(
    tower: TowerProcess, workspace: str
) -> None:
    before = tower.shell(workspace, "exec cat", "kept")["terminal"]
    tower.stop()
    for file in tower.home.glob("afx*.db*"):
        file.unlink()
    tower.start()
    assert tower.agents() == {}
    (orphan,) = tower.request("GET", "/api/orphans")["orphans"]
    assert (orphan["terminal_id"], orphan["cwd"]) == (before["id"], workspace)
    agent = tower.request("POST", "/api/orphans/adopt", {"orphan": before["id"]})["agent"]
    assert (agent["kind"], agent["name"], agent["state"]) == ("shell", "kept", "running")
    assert (agent["terminal"]["id"], agent["terminal"]["pid"]) == (before["id"], before["pid"])

"""Terminals in tmux: beside shellpers in one Tower, and beside the people who live in tmux."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from afx.api.process import is_alive, send_signal
from afx.testing.follower import Follower, open_terminal, type_into
from afx.testing.tower_process import RequestFailedError, TowerProcess
from e2e.holding import TmuxHolding, holder_of
from e2e.rows import rows
from e2e.steps import recover, spawn, talk
from e2e.tmux import Tmux, needs

COUNTER = "i=0; while :; do echo count $i; i=$((i+1)); sleep 0.01; done"


@pytest.fixture
def strategy() -> str:
    return "tmux"


def start(tower: TowerProcess, workspace: str, name: str, script: str, **more: object) -> Any:
    """Start a shell agent that runs a script of /bin/sh."""
    body = {"workspace": workspace, "kind": "shell", "name": name, "args": ["-c", script], **more}
    return tower.request("POST", "/api/agents", body)["agent"]


def state_of(tower: TowerProcess, name: str) -> str:
    return str(tower.agents()[name]["state"])


def predecessors(tower: TowerProcess, name: str) -> list[str]:
    terminal = tower.agents()[name]["terminal"]
    return [] if terminal is None else list(terminal["predecessors"])


def lose_and_regain_another(tower: TowerProcess, workspace: str) -> None:
    """Have an agent that tmux does not hold lost and resumed; so were, by then, those lost before it."""
    other = spawn(tower, workspace, "other", strategy="shellper")
    assert send_signal(holder_of(tower, other["terminal"]["id"]), signal.SIGKILL)
    tower.eventually(lambda: other["terminal"]["id"] in predecessors(tower, "builder/other"), timeout=20)


def test_stopped_server_holds_nobody_up_and_comes_back_lesson_02(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    for number in ("1", "2"):
        start(tower, workspace, number, COUNTER)
    start(tower, workspace, "held", COUNTER, strategy="shellper")
    ids = {name: agent["terminal"]["id"] for name, agent in tower.agents().items()}
    server = tmux.server
    tower.kill()
    tmux.signal(server, signal.SIGSTOP)
    try:
        began = time.monotonic()
        tower.start()
        assert time.monotonic() - began < 3 + 3, "one deadline of 3 s over all probes, and the start"
        found = {name: (agent["state"], agent["terminal"]["id"]) for name, agent in tower.agents().items()}
        assert found == {
            "shell/1": ("unreachable", ids["shell/1"]),
            "shell/2": ("unreachable", ids["shell/2"]),
            "shell/held": ("running", ids["shell/held"]),
        }
        assert "does not answer" in tower.agents()["shell/1"]["reason"]
    finally:
        tmux.signal(server, signal.SIGCONT)
    tower.eventually(
        lambda: {state_of(tower, name) for name in ids} == {"running"},
        timeout=2,
    )
    assert {name: agent["terminal"]["id"] for name, agent in tower.agents().items()} == ids


@pytest.mark.parametrize("tower_runs", [True, False])
def test_killed_server_is_named_and_its_agents_recovered(
    tower: TowerProcess, workspace: str, tmux: Tmux, *, tower_runs: bool
) -> None:
    agents = {name: spawn(tower, workspace, name) for name in ("a", "b")}
    for name, agent in agents.items():
        talk(tower, agent, f"I am {name}")
    held = start(tower, workspace, "held", COUNTER, strategy="shellper")
    server = tmux.server
    if not tower_runs:
        tower.kill()
    tmux.run("kill-server")
    if not tower_runs:
        tower.start()
    tower.eventually(lambda: {state_of(tower, f"builder/{name}") for name in agents} == {"lost"})
    lose_and_regain_another(tower, workspace)
    for name in agents:
        found = tower.agents()[f"builder/{name}"]
        assert (found["state"], found["terminal"]) == ("lost", None)
        assert f"its tmux server (process {server.pid})" in found["reason"]
        # Only a Tower that looks on can tell this end from any other.
        assert ("`tmux kill-server`" in found["reason"]) == tower_runs
    assert not tmux.is_running
    now = tower.agents()["shell/held"]
    assert (now["state"], now["terminal"]["id"]) == ("running", held["terminal"]["id"])
    assert recover(tower)[-1]["revived"] == 2
    for name, agent in agents.items():
        found = tower.agents()[f"builder/{name}"]
        assert (found["state"], found["conversation"]["id"]) == ("running", agent["conversation"]["id"])
        follower = Follower(tower, found["terminal"]["id"])
        follower.wait_for(rb"turns=1")
        follower.close()


def test_a_server_that_dies_is_a_crash_and_its_agents_come_back(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "I am a")
    server = tmux.server
    tmux.signal(server, signal.SIGKILL)
    tower.eventually(lambda: agent["terminal"]["id"] in predecessors(tower, "builder/a"))
    now = tower.agents()["builder/a"]
    assert now["conversation"]["id"] == agent["conversation"]["id"]
    follower = Follower(tower, now["terminal"]["id"])
    follower.wait_for(rb"turns=1")
    follower.close()
    assert tmux.server != server


def test_sessions_that_a_person_ends_are_no_crashes_be_it_the_last_one(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    agents = {f"builder/{name}": spawn(tower, workspace, name) for name in ("a", "b", "c")}
    server = tmux.server
    sessions = [tmux.session_of(agent["terminal"]["id"]) for agent in agents.values()]

    def exited() -> int:
        found = [tower.agents()[name] for name in agents]
        reasons = {one["reason"] for one in found if one["state"] == "exited" and one["terminal"] is None}
        assert reasons <= {"Its tmux session was ended in tmux."}
        return sum(one["state"] == "exited" for one in found)

    tmux.run("kill-session", "-t", sessions[0])
    tower.eventually(lambda: exited() == 1, timeout=10)
    # The last two at once; the server ends for want of sessions, and for want of anything that we ask of it.
    tmux.run("kill-session", "-t", sessions[1], ";", "kill-session", "-t", sessions[2])
    tower.eventually(lambda: exited() == 3, timeout=10)
    tower.eventually(lambda: not is_alive(server), timeout=10)
    lose_and_regain_another(tower, workspace)
    assert exited() == 3
    answer = tower.request("POST", f"/api/agents/{agents['builder/c']['id']}/resume", {})
    assert answer["agent"]["state"] == "running"


def test_a_renamed_session_is_still_ours_and_a_stranger_of_its_name_is_not(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    agent = start(tower, workspace, "1", COUNTER)
    name = tmux.run("list-sessions", "-F", "#{session_name}")
    assert name == "shell-repo-1"
    tmux.run("rename-session", "-t", f"={name}", "mine")
    tmux.run("new-session", "-d", "-s", name, "exec cat")
    tower.kill()
    tower.start()
    now = tower.agents()["shell/1"]
    assert (now["state"], now["terminal"]["id"]) == ("running", agent["terminal"]["id"])
    tower.request("DELETE", f"/api/agents/{agent['id']}")
    assert tmux.run("list-sessions", "-F", "#{session_name}") == name
    again = start(tower, workspace, "1", COUNTER)
    assert set(tmux.run("list-sessions", "-F", "#{session_name}").splitlines()) == {name, f"{name}-2"}
    tower.request("DELETE", f"/api/agents/{again['id']}")


def test_no_name_reaches_another_session_lesson_47(tower: TowerProcess, workspace: str, tmux: Tmux) -> None:
    tmux.run("new-session", "-d", "-s", "bystander", "exec cat")
    tmux.run("new-session", "-d", "-s", "shell-repo", "exec cat")
    before = tmux.run("list-panes", "-a", "-F", "#{session_name} #{pane_id} #{pane_pid}").splitlines()
    refused: list[tuple[str, int, str]] = []
    for name in ("../x", "a:b.c", "-t", "x" * 300, "🙂", "a\nb", "bystander", "$0", "=bystander"):
        try:
            agent = start(tower, workspace, name, "exec cat")
        except RequestFailedError as error:
            refused.append((name, error.status, error.error["message"]))
            continue
        session = tmux.session_of(agent["terminal"]["id"])
        assert tmux.run("display-message", "-p", "-t", session, "#{session_name}").startswith("shell-repo-")
        tower.request("DELETE", f"/api/agents/{agent['id']}")
    after = tmux.run("list-panes", "-a", "-F", "#{session_name} #{pane_id} #{pane_pid}").splitlines()
    assert after == before
    assert {status for _, status, _ in refused} == {400}
    assert all(message.endswith(".") for _, _, message in refused)


def test_neither_arguments_nor_environment_show_anything_lesson_41(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    needs("ps")
    tower.kill()
    tower.env["API_TOKEN"] = "precious"
    tower.start()
    agent = start(tower, workspace, "1", "echo token $API_TOKEN; exec cat")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"token precious")
    type_into(tower, agent["terminal"]["id"], b"typed-secret\r")
    follower.wait_for(rb"typed-secret\r\ntyped-secret")
    follower.close()
    shown = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True).stdout
    assert "precious" not in shown
    assert "typed-secret" not in shown
    assert [path.name for path in (tower.home / "tmux").iterdir()] == [f"{agent['terminal']['id']}.sock"]
    assert tmux.is_running


class Screen:
    """What a terminal shows, read as a browser reads it and drawn by an emulator."""

    def __init__(self, tower: TowerProcess, terminal_id: str, cols: int = 90, rows: int = 28) -> None:
        self.emulator = pyte.Screen(cols, rows)
        stream = pyte.ByteStream(self.emulator)
        with open_terminal(tower, terminal_id, cols=cols, rows=rows) as websocket:
            quiet = 0
            while quiet < 4:
                try:
                    message = websocket.recv(timeout=0.25)
                except TimeoutError:
                    quiet += 1
                    continue
                quiet = 0
                if isinstance(message, bytes):
                    stream.feed(message)
                    continue
                said = json.loads(message)
                if said["type"] in {"hello", "resync"} and not said.get("resumed"):
                    self.emulator.reset()
                    stream.feed(base64.b64decode(said["prologue"]))

    def cells(self) -> list[list[tuple[object, ...]]]:
        """Return every cell with its colours and attributes."""
        emulator = self.emulator
        return [
            [tuple(emulator.buffer[row][column]) for column in range(emulator.columns)]
            for row in range(emulator.lines)
        ]

    @property
    def text(self) -> str:
        return "\n".join(self.emulator.display)

    @property
    def cursor(self) -> tuple[int, int]:
        return self.emulator.cursor.y, self.emulator.cursor.x


FULL_SCREEN = {
    "vim": "printf 'über 文字 🙂 line %s\\n' $(seq 1 200) > text; "
    "exec vim -u NONE -N +120 +'set number hlsearch' text",
    "less": "printf 'über 文字 line %s\\n' $(seq 1 200) > text; exec less -N +100 text",
    # A header that stands still; the processes do once Z was typed. Its settings are of its own.
    "htop": "printf '%s\\n' htop_version=3.2.2 config_reader_min_version=3 'fields=0 48 38 39 2 1' delay=255 "
    "header_layout=one_100 column_meters_0=Hostname column_meter_modes_0=2 > htoprc; HTOPRC=htoprc exec htop",
    "plain": "i=0; while [ $i -lt 60 ]; do printf '\\033[3%dmline %d\\033[0m 文字\\r\\n' $((i%8)) $i; "
    "i=$((i+1)); done; printf 'prompt> '; exec cat",
}


@pytest.mark.parametrize("recorder_dies", [False, True])
@pytest.mark.parametrize("program", FULL_SCREEN)
def test_screen_is_the_same_cell_by_cell_after_a_restart(
    tower: TowerProcess, workspace: str, program: str, short_directory: Path, *, recorder_dies: bool
) -> None:
    if program != "plain":
        needs(program)
    script = f"cd {short_directory} && {FULL_SCREEN[program]}"
    agent = start(tower, workspace, "1", script, size={"cols": 90, "rows": 28})
    terminal_id = agent["terminal"]["id"]
    marks = {"vim": "120 über", "less": "100 über", "plain": "prompt>", "htop": "PAUSED"}

    def showing(mark: str) -> Screen | None:
        screen = Screen(tower, terminal_id)
        return screen if mark in screen.text.replace("  ", " ") else None

    if program == "htop":
        tower.eventually(lambda: showing("F10Quit"), timeout=20)
        type_into(tower, terminal_id, b"Z")
    before = tower.eventually(lambda: showing(marks[program]), timeout=20)
    assert before is not None
    tower.kill()
    if recorder_dies:
        recorder = TmuxHolding(tower).recorder(terminal_id)
        assert send_signal(recorder, signal.SIGKILL)
    tower.start()
    after = Screen(tower, terminal_id)
    assert after.text == before.text
    assert after.cells() == before.cells()
    assert after.cursor == before.cursor


@pytest.fixture
def attached() -> Iterator[list[int]]:
    """The terminals, of 70 by 20, in which `attach` runs `tmux attach` as a person does."""
    masters: list[int] = []
    yield masters
    for master in masters:
        os.close(master)


def attach(tmux: Tmux, session: str, masters: list[int]) -> int:
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe("tmux", ["tmux", "attach", "-t", session], {**tmux.env, "TERM": "xterm"})  # noqa: S606
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
    masters.append(master)
    return master


def read_until(master: int, wanted: bytes, timeout: float = 10) -> bytes:
    got = b""
    deadline = time.monotonic() + timeout
    while wanted not in got:
        left = deadline - time.monotonic()
        assert left > 0, f"{wanted!r} did not come; the end is {got[-300:]!r}"
        if select.select([master], [], [], left)[0]:
            got += os.read(master, 65536)
    return got


def test_a_person_attaches_beside_us_and_sizes_follow_lesson_36(
    tower: TowerProcess, workspace: str, tmux: Tmux, attached: list[int]
) -> None:
    agent = start(tower, workspace, "1", "echo ready; exec cat", size={"cols": 90, "rows": 28})
    terminal_id = agent["terminal"]["id"]
    master = attach(tmux, tmux.session_of(terminal_id), attached)
    read_until(master, b"ready")

    def size() -> tuple[int, int]:
        now = tower.agents()["shell/1"]["terminal"]["size"]
        return now["cols"], now["rows"]

    os.write(master, b"from tmux\r")
    read_until(master, b"from tmux")
    tower.eventually(lambda: size()[0] == 70)
    follower = Follower(tower, terminal_id)
    follower.wait_for(rb"from tmux\r\nfrom tmux")
    with open_terminal(tower, terminal_id, cols=100, rows=30) as websocket:
        websocket.recv(timeout=5)
        websocket.send(b"from afx\r")
        follower.wait_for(rb"from afx\r\nfrom afx")
        read_until(master, b"from afx")
        tower.eventually(lambda: size() == (100, 30))
    follower.close()
    # A person who scrolls back in tmux does not keep what is typed by way of afx from the program.
    tmux.run("copy-mode", "-t", tmux.session_of(terminal_id))
    type_into(tower, terminal_id, b"q and on\r")
    follower = Follower(tower, terminal_id)
    follower.wait_for(rb"q and on\r\nq and on")
    follower.close()


def test_a_session_without_a_record_is_offered_and_adopted_where_asked_lesson_06(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    script = "printf 'before \\033[31mred\\033[0m\\n'; exec cat"
    tmux.run("new-session", "-d", "-s", "shell-repo-old", "-x", "90", "-y", "28", "-c", workspace, script)
    tmux.run("new-session", "-d", "-s", "private", "-c", workspace, "exec cat")
    options = tmux.run("show-options", "-p", "-t", "=private:")
    (orphan,) = tower.request("GET", "/api/orphans")["orphans"]
    assert (orphan["name"], orphan["strategy"], orphan["agent_id"]) == ("shell-repo-old", "tmux", "")
    assert tower.agents() == {}
    agent = tower.request("POST", "/api/orphans/adopt", {"orphan": "shell-repo-old"})["agent"]
    assert (agent["kind"], agent["name"], agent["state"]) == ("shell", "old", "running")
    assert tower.request("GET", "/api/orphans")["orphans"] == []
    screen = Screen(tower, agent["terminal"]["id"])
    assert "before red" in screen.text
    assert screen.emulator.buffer[0][7].fg == "red"
    type_into(tower, agent["terminal"]["id"], b"typed\r")
    tower.kill()
    tower.start()
    now = tower.agents()["shell/old"]
    assert (now["state"], now["terminal"]["id"]) == ("running", agent["terminal"]["id"])
    assert "typed" in Screen(tower, now["terminal"]["id"]).text
    assert tmux.run("show-options", "-p", "-t", "=private:") == options


def test_a_session_of_a_known_agent_is_adopted_by_itself_lesson_06(
    tower: TowerProcess, workspace: str
) -> None:
    agent = start(tower, workspace, "1", COUNTER)
    tower.kill()
    with rows(tower.home / "afx.db") as database:
        database.execute("DELETE FROM terminal_sessions")
    tower.start()
    now = tower.agents()["shell/1"]
    assert (now["state"], now["terminal"]["id"]) == ("running", agent["terminal"]["id"])


@pytest.mark.parametrize(
    ("orphan", "status"), [({"orphan": "nobody"}, 404), ({"orphan": "shell-elsewhere-1"}, 400)]
)
def test_an_adoption_that_cannot_be_says_why(
    tower: TowerProcess, workspace: str, tmux: Tmux, orphan: dict[str, str], status: int
) -> None:
    tmux.run("new-session", "-d", "-s", "shell-elsewhere-1", "-c", workspace, "exec cat")
    with pytest.raises(RequestFailedError) as refused:
        tower.request("POST", "/api/orphans/adopt", orphan)
    assert refused.value.status == status
    assert refused.value.error["hint"]
    assert tower.agents() == {}


def test_an_agent_moves_between_strategies_with_its_conversation(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "remember me")
    for strategy in ("shellper", "tmux"):
        before = tower.agents()["builder/a"]
        answer = tower.request(
            "POST", f"/api/agents/{agent['id']}/convert", {"strategy": strategy}, timeout=60
        )
        now = tower.agents()["builder/a"]
        assert answer["plan"]["action"] == "resume"
        assert now["state"] == "running"
        assert now["conversation"]["id"] == before["conversation"]["id"]
        assert now["terminal"]["strategy"] == strategy
        assert now["terminal"]["predecessors"][0] == before["terminal"]["id"]
        follower = Follower(tower, now["terminal"]["id"])
        follower.wait_for(rb"turns=1")
        follower.close()
        assert tmux.is_running == (strategy == "tmux")
    with pytest.raises(RequestFailedError, match="already"):
        tower.request("POST", f"/api/agents/{agent['id']}/convert", {"strategy": "tmux"})
    with pytest.raises(RequestFailedError, match="no reconnect strategy"):
        tower.request("POST", f"/api/agents/{agent['id']}/convert", {"strategy": "screen"})


def test_a_shell_moves_only_where_its_program_may_end(tower: TowerProcess, workspace: str) -> None:
    agent = start(tower, workspace, "1", COUNTER)
    path = f"/api/agents/{agent['id']}/convert"
    with pytest.raises(RequestFailedError, match="no conversation"):
        tower.request("POST", path, {"strategy": "shellper"})
    assert tower.agents()["shell/1"]["terminal"]["pid"] == agent["terminal"]["pid"]
    tower.request("POST", path, {"strategy": "shellper", "now": True})
    now = tower.agents()["shell/1"]
    assert (now["state"], now["terminal"]["strategy"]) == ("running", "shellper")


def test_a_killed_tower_leaves_no_client_behind_and_the_server_can_be_ended(
    tower: TowerProcess, workspace: str, tmux: Tmux
) -> None:
    agent = start(tower, workspace, "1", "exec cat")
    type_into(tower, agent["terminal"]["id"], b"typed\r")
    assert "control" in tmux.run("list-clients", "-F", "#{client_flags} control")
    server = tmux.server
    tower.kill()
    tmux.run("rename-session", "another")  # Something that the server tells its clients.
    TowerProcess.eventually(tower, lambda: not tmux.run("list-clients"))
    tmux.run("kill-server")
    TowerProcess.eventually(tower, lambda: not is_alive(server))

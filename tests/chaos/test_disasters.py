"""One disaster each: no space, no writing, no descriptors, a locked or old database, the clock."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from afx.api.process import identify, send_signal
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerFailedError, TowerProcess
from afx_storage_sqlite.schema import MIGRATIONS
from chaos.invariants import PATIENCE, until
from chaos.seen import programs
from chaos.trouble import Clock, Disk, can_mount, few_descriptors, locked, make_old
from chaos.walk import COUNTER, strategies_here
from e2e.conftest import make_repository
from e2e.rows import rows

as_root = pytest.mark.skipif(not can_mount(), reason="only root can mount")


@pytest.fixture
def small_disk(short_directory: Path) -> Iterator[Disk]:
    """A disk of a few megabytes, and afterwards nothing left on it that runs."""
    place = short_directory / "disk"
    place.mkdir()
    try:
        disk = Disk(place, 8)
    except OSError as refused:
        pytest.skip(f"no disk can be mounted here: {refused}")
    yield disk
    disk.unmount()


@pytest.fixture
def on_disk(small_disk: Disk, short_directory: Path) -> Iterator[tuple[TowerProcess, str]]:
    """A Tower whose state directory is on the small disk, and a workspace that is not."""
    tower = TowerProcess(small_disk.path, {"SHELL": "/bin/sh"})
    try:
        tower.start()
        workspace = make_repository(short_directory / "repo")
        tower.request("POST", "/api/workspaces", {"path": workspace})
        yield tower, workspace
    finally:
        tower.end_everything()


def await_output(tower: TowerProcess, terminal: str) -> None:
    """Wait until there is more output than now."""
    before = len(tower.request("GET", f"/api/terminals/{terminal}/output"))
    until(
        lambda: len(tower.request("GET", f"/api/terminals/{terminal}/output")) > before, "the output goes on"
    )


@as_root
def test_a_full_disk_loses_nothing_and_is_said(on_disk: tuple[TowerProcess, str], small_disk: Disk) -> None:
    tower, workspace = on_disk
    agent = tower.shell(workspace, COUNTER, "before")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"count 20\r\n")
    filler = small_disk.fill()

    def spawn_until_refused() -> None:
        for number in range(50):
            tower.shell(workspace, "sleep 1000", f"n{number}")

    with pytest.raises(RequestFailedError) as refused:
        spawn_until_refused()
    assert refused.value.error["code"] != "internal", refused.value
    assert "full" in refused.value.error["message"] or "space" in refused.value.error["message"].lower()
    await_output(tower, agent["terminal"]["id"])
    tower.kill()
    with pytest.raises(TowerFailedError, match=r"(?i)full|space|written"):
        tower.start()
    assert tower.process is not None
    filler.unlink()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    last = follower.numbers()[-1]
    follower.wait_for(rb"count %d\r\n" % (last + 50))
    follower.close()
    assert follower.numbers() == list(range(len(follower.numbers())))
    assert tower.shell(workspace, "sleep 1000", "after")["state"] == "running"


@as_root
def test_a_read_only_disk_is_said_and_loses_nothing(
    on_disk: tuple[TowerProcess, str], small_disk: Disk
) -> None:
    tower, workspace = on_disk
    agent = tower.shell(workspace, COUNTER, "before")
    with small_disk.read_only():
        for strategy in strategies_here():
            body = {"workspace": workspace, "kind": "shell", "strategy": strategy}
            with pytest.raises(RequestFailedError, match="Read-only"):
                tower.request("POST", "/api/agents", body)
    tower.kill()
    with small_disk.read_only(), pytest.raises(TowerFailedError, match=r"(?i)read-only"):
        tower.start()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    await_output(tower, agent["terminal"]["id"])


def test_a_tower_without_descriptors_says_so_and_recovers(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"count 10\r\n")
    assert tower.process is not None
    refusals: list[RequestFailedError | OSError] = []
    # Room for the request itself, and none for all that git or a terminal needs.
    for spare in (2, 3, 4, 6):
        for kind in ("shell", "builder"):
            with few_descriptors(tower.process.pid, spare):
                try:
                    body = {"workspace": workspace, "kind": kind, "harness": "claude", "name": f"n{spare}"}
                    tower.request("POST", "/api/agents", body)
                except (RequestFailedError, OSError) as refused:
                    refusals.append(refused)
    assert refusals, "it was meant to be too few"
    for refusal in refusals:
        if isinstance(refusal, RequestFailedError):
            assert refusal.error["code"] != "internal", refusal
    tower.eventually(lambda: tower.shell(workspace, "sleep 1000", "after")["state"] == "running", PATIENCE)
    last = follower.numbers()[-1]
    follower.wait_for(rb"count %d\r\n" % (last + 20))
    follower.close()
    assert follower.numbers() == list(range(len(follower.numbers())))


def test_a_locked_database_is_waited_for_and_said(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    with ThreadPoolExecutor() as threads:
        with locked(tower.home / "afx.db"):
            meanwhile = threads.submit(tower.shell, workspace, "sleep 1000", "meanwhile")
            with pytest.raises(TimeoutError):
                meanwhile.result(0.5)
        assert meanwhile.result()["state"] == "running"
    tower.kill()
    with locked(tower.home / "afx.db"), pytest.raises(TowerFailedError, match="locked"):
        tower.start()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]


def test_nothing_is_served_before_every_holder_was_asked_lesson_10(
    tower: TowerProcess, workspace: str
) -> None:
    """One holder that does not answer holds the boot up, and whoever asks meanwhile is refused."""
    for name in ("silent", "fine"):
        tower.shell(workspace, COUNTER, name)
    by_agent = {program.agent: program for program in programs(tower.home)}
    holder = identify(by_agent[tower.agents()["shell/silent"]["id"]].parent)
    assert holder is not None
    tower.kill()
    send_signal(holder, signal.SIGSTOP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        tower.port = probe.getsockname()[1]
    tower.env["AFX_PORT"] = str(tower.port)
    began = time.monotonic()
    ready = tower.launch()
    seen: list[dict[str, Any]] = []

    def asked() -> bool:
        with suppress(ConnectionRefusedError):
            seen.append(tower.agents())
        return bool(seen)

    until(asked, "it serves")
    assert time.monotonic() - began > 0.8, "it did not wait for the one that is silent"
    assert {name: agent["state"] for name, agent in seen[0].items()} == {
        "shell/silent": "unreachable",
        "shell/fine": "running",
    }
    send_signal(holder, signal.SIGCONT)
    tower.await_ready(ready)
    tower.eventually(lambda: tower.agents()["shell/silent"]["state"] == "running")


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS)))
def test_a_database_of_an_older_release_is_taken_over_with_its_terminals(
    tower: TowerProcess, workspace: str, number: int
) -> None:
    agent = tower.shell(workspace, COUNTER, "before")
    tower.stop()
    make_old(tower.home / "afx.db", number)
    tower.start()
    found = tower.agents()["shell/before"]
    assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])
    assert (tower.home / f"afx.db.before-{number + 1}").exists()
    assert tower.shell(workspace, "sleep 1000", "after")["state"] == "running"


def test_a_clock_that_jumps_loses_nothing(tower: TowerProcess, workspace: str, short_directory: Path) -> None:
    """The Tower's own clock is forged: by 400 days, while it runs, and back again while it is away."""
    clock = Clock(short_directory / "clock")
    agent = tower.shell(workspace, COUNTER, "before")
    tower.stop()
    tower.env.update(clock.env)
    follower = Follower(tower, agent["terminal"]["id"])
    tower.start()
    for jump in (-86400 * 400, 86400 * 400):
        clock.jump(jump)
        found = tower.agents()["shell/before"]
        assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])
        tower.request("POST", f"/api/agents/{found['id']}/stop")
        agent = tower.request("POST", f"/api/agents/{found['id']}/resume", {})["agent"]
        assert abs(agent["terminal"]["started_at"] - time.time() - jump) < 3600, "the clock was not forged"
        tower.kill()
        tower.start()
        found = tower.agents()["shell/before"]
        assert (found["state"], found["terminal"]["pid"]) == ("running", agent["terminal"]["pid"])
    clock.jump(0)
    tower.kill()
    tower.start()
    assert tower.agents()["shell/before"]["terminal"]["pid"] == agent["terminal"]["pid"]
    follower.close()


@pytest.mark.parametrize("strategy", strategies_here())
def test_of_a_corrupt_database_the_living_come_back_by_what_their_holders_know(
    tower: TowerProcess, workspace: str
) -> None:
    """The copy knows one agent, and not its terminal; of another nobody knows but its holder."""
    known = tower.shell(workspace, COUNTER, "known")
    tower.stop()
    with rows(tower.home / "afx-copy.db") as copy:
        copy.execute("DELETE FROM terminal_sessions")
    tower.start()
    unknown = tower.shell(workspace, COUNTER, "unknown")
    followers = {agent["id"]: Follower(tower, agent["terminal"]["id"]) for agent in (known, unknown)}
    for follower in followers.values():
        follower.wait_for(rb"count 10\r\n")
    tower.kill()
    for beside in tower.home.glob("afx.db-*"):
        beside.unlink()
    (tower.home / "afx.db").write_bytes(b"garbage " * 4096)
    tower.start()

    log = (tower.home / "tower.log").read_text()
    assert "afx.db is no SQLite database. It is kept as afx.db.damaged-" in log
    assert "what could be read of it, and of the last copy, is in a new one" in log
    (aside,) = tower.home.glob("afx.db.damaged-*[0-9]")
    assert aside.read_bytes().startswith(b"garbage ")
    found = tower.agents()["shell/known"]
    assert (found["state"], found["terminal"]["id"]) == ("running", known["terminal"]["id"])
    assert found["terminal"]["pid"] == known["terminal"]["pid"]
    (orphan,) = tower.state()["orphans"]
    assert (orphan["agent_id"], orphan["terminal_id"]) == (unknown["id"], unknown["terminal"]["id"])
    body = {"orphan": orphan["terminal_id"], "workspace": workspace, "kind": "shell", "name": "unknown"}
    adopted = tower.request("POST", "/api/orphans/adopt", body)["agent"]
    assert adopted["terminal"]["pid"] == unknown["terminal"]["pid"]
    for follower in followers.values():
        last = follower.numbers()[-1]
        follower.wait_for(rb"count %d\r\n" % (last + 20))
        follower.close()
        assert follower.numbers() == list(range(len(follower.numbers())))

"""What the Tower does when an agent's process or its holder ends, and what it costs afterwards."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from afx.api.process import ProcessIdentity, send_signal
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerProcess, processes_of
from e2e.holding import holder_of
from e2e.steps import spawn, talk


@pytest.mark.parametrize("harness", ["claude", "codex"])
def test_an_agent_whose_holder_dies_is_resumed_in_a_new_terminal(
    tower: TowerProcess, workspace: str, harness: str
) -> None:
    agent = spawn(tower, workspace, "a", harness=harness)
    talk(tower, agent, "hello")
    agent = tower.eventually(lambda: (one := tower.agents()["builder/a"])["conversation"] and one)
    assert send_signal(holder_of(tower, agent["terminal"]["id"]), signal.SIGKILL)
    now = tower.eventually(
        lambda: (
            (one := tower.agents()["builder/a"])["terminal"]
            and one["terminal"]["id"] != agent["terminal"]["id"]
            and one
        ),
        timeout=20,
    )
    assert now["state"] == "running"
    assert now["terminal"]["predecessors"] == [agent["terminal"]["id"]]
    assert now["conversation"] == agent["conversation"]
    follower = Follower(tower, now["terminal"]["id"])
    follower.wait_for(rb"turns=1")
    follower.wait_for(rb"heard 2: \[afx\] You were interrupted.*holder.*last written to .* ago")
    follower.close()


def test_who_was_stopped_is_not_brought_back_though_its_holder_dies_lesson_15(
    tower: TowerProcess, workspace: str
) -> None:
    agent = spawn(tower, workspace, "a")
    holder = holder_of(tower, agent["terminal"]["id"])
    # A holder that does not answer cannot be asked to end; so the wish is stored, and waits for it.
    assert send_signal(holder, signal.SIGSTOP)
    with pytest.raises(RequestFailedError, match="does not answer"):
        tower.request("POST", f"/api/agents/{agent['id']}/stop")
    assert send_signal(holder, signal.SIGKILL)
    tower.eventually(lambda: tower.agents()["builder/a"]["terminal"] is None)
    other = spawn(tower, workspace, "b")
    talk(tower, other, "time passes")
    assert tower.agents()["builder/a"]["state"] == "stopped"
    assert tower.agents()["builder/a"]["terminal"] is None


def test_who_is_not_signed_in_needs_attention_and_says_so_lesson_26(
    tower: TowerProcess, workspace: str
) -> None:
    program = Path(tower.env["PATH"].partition(":")[0], "claude")
    starts = tower.home.with_name("starts")
    program.write_text(f"#!/bin/sh\necho start >> {starts}\necho 'Please run /login'\nexit 1\n")
    spawn(tower, workspace, "a")
    now = tower.eventually(
        lambda: (one := tower.agents()["builder/a"])["state"] == "needs-attention" and one, timeout=20
    )
    assert "not signed in" in now["reason"]
    assert starts.read_text().count("start") == 1
    follower = Follower(tower, now["terminal"]["id"])
    follower.wait_for(rb"not signed in.*Enter begins a new conversation")
    follower.close()


def test_after_a_crash_loop_nobody_is_busy_lesson_27(tower: TowerProcess, workspace: str) -> None:
    program = Path(tower.env["PATH"].partition(":")[0], "claude")
    program.write_text("#!/bin/sh\nexit 3\n")
    spawn(tower, workspace, "a")
    tower.eventually(lambda: tower.agents()["builder/a"]["state"] == "needs-attention", timeout=30)
    ours = processes_of(tower.home)
    assert len(ours) >= 2, "the Tower and a holder"

    def rests() -> bool:
        before = sum(ticks(one) for one in ours)
        time.sleep(1)
        return sum(ticks(one) for one in ours) - before <= 1

    tower.eventually(rests, timeout=20)


def ticks(process: ProcessIdentity) -> int:
    """Return the processor time that a process has used."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_ticks_are_those_of_a_process() -> None:
    used = os.times()
    me = ProcessIdentity(pid=os.getpid(), start="", boot_id="")
    assert abs(ticks(me) / os.sysconf("SC_CLK_TCK") - (used.user + used.system)) < 1

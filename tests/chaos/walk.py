"""A random walk through everything that can happen to a Tower, and what must hold after every step.

The seed decides what is done, in which order and to whom; when exactly each thing happens, the machine does.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from afx.api.process import ProcessIdentity, identify, is_alive, send_signal
from afx.testing.follower import Follower, open_terminal, type_into
from afx.testing.tower_process import RequestFailedError, TowerProcess, processes_of
from chaos.seen import Guard, children_of, command_line, doubled, programs

PATIENCE = 40.0
COUNTER = "i=0; while :; do echo count $i; i=$((i+1)); sleep 0.02; done"
_MOST_AGENTS = 7
_GO_ON = 0.3


class BrokenError(AssertionError):
    """An invariant does not hold."""


class Walk:
    """One walk over one Tower, on one reconnect strategy."""

    def __init__(self, tower: TowerProcess, workspace: str, strategy: str, guard: Guard, seed: int) -> None:
        self.tower = tower
        self.workspace = workspace
        self.strategy = strategy
        self.guard = guard
        self.dice = random.Random(seed)  # noqa: S311 - a seed, not a secret
        self.history: list[str] = []
        self.followers: dict[str, Follower] = {}
        self.onlookers: list[tuple[ClientConnection, ExitStack]] = []
        self.stopped: set[ProcessIdentity] = set()
        self.ids: dict[str, set[str]] = {}
        self.removed: set[str] = set()
        self._number = 0
        self.steps: list[tuple[int, Callable[[], str]]] = [
            (6, self.spawn_shell),
            (6, self.spawn_builder),
            (6, self.talk),
            (3, self.crash),
            (3, self.kill_program),
            (2, self.quit),
            (3, self.stop_agent),
            (6, self.resume),
            (2, self.remove),
            (3, self.resize),
            (3, self.attach),
            (2, self.detach),
            (8, self.kill_tower),
            (3, self.restart_tower),
            (2, self.pause_tower),
            (4, self.kill_holder),
            (4, self.stop_holder),
            (3, self.reuse_pid),
            (2, self.kill_child_of_tower),
            (2, self.damage_database),
            (1, self.delete_database),
        ]

    def step(self) -> None:
        """Do one thing, and look whether everything still holds."""
        if self.stopped and self.dice.random() < _GO_ON:
            self.let_go_on()
            self.history.append("what was stopped goes on")
        weights = [weight for weight, _ in self.steps]
        (_, act) = self.dice.choices(self.steps, weights)[0]
        try:
            said = act()
        except RequestFailedError as refused:
            # A refusal is an answer; what must not be is a failure of the Tower's own.
            if refused.error["code"] == "internal":
                raise
            said = f"{refused}"
        self.history.append(f"{act.__name__}: {said}")
        self.check()

    # What is done

    def spawn_shell(self) -> str:
        if len(self.agents()) >= _MOST_AGENTS:
            return "enough"
        agent = self._spawn({"kind": "shell", "args": ["-c", COUNTER]})
        terminal = agent["terminal"]["id"]
        self.followers[terminal] = Follower(self.tower, terminal)
        return str(agent["name"])

    def spawn_builder(self) -> str:
        if len(self.agents()) >= _MOST_AGENTS:
            return "enough"
        return str(self._spawn({"kind": "builder", "harness": "claude", "task": "Begin"})["name"])

    def talk(self) -> str:
        agent = self._any("running", "builder")
        if agent is None:
            return "nobody"
        self.tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "And then?"})
        return str(agent["name"])

    def crash(self) -> str:
        return self._type(self.dice.choice([b"/crash 3\r", b"/die\r"]))

    def quit(self) -> str:
        return self._type(b"/quit\r")

    def kill_program(self) -> str:
        found = programs(self.tower.home)
        if not found:
            return "nobody"
        program = self.dice.choice(sorted(found, key=lambda one: one.process.pid))
        send_signal(program.process, self.dice.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP]))
        return program.agent

    def stop_agent(self) -> str:
        agent = self._any("running")
        if agent is None:
            return "nobody"
        self.tower.request("POST", f"/api/agents/{agent['id']}/stop")
        return str(agent["name"])

    def resume(self) -> str:
        agent = self._any("stopped", "lost", "crashed", "exited", "needs-attention", "running")
        if agent is None:
            return "nobody"
        self.tower.request("POST", f"/api/agents/{agent['id']}/resume", {})
        return str(agent["name"])

    def remove(self) -> str:
        agent = self._any("stopped", "lost", "running", "exited")
        if agent is None:
            return "nobody"
        self.tower.request("DELETE", f"/api/agents/{agent['id']}?force=1")
        self.removed.add(agent["id"])
        return str(agent["name"])

    def resize(self) -> str:
        agent = self._any("running")
        if agent is None:
            return "nobody"
        size = {"cols": self.dice.randint(1, 300), "rows": self.dice.randint(1, 100)}
        self.tower.request("POST", f"/api/terminals/{agent['terminal']['id']}/resize", size)
        return f"{agent['name']} {size}"

    def attach(self) -> str:
        """Look at a terminal and read nothing of it from then on."""
        agent = self._any("running")
        if agent is None or len(self.onlookers) > 4:
            return "nobody"
        with suppress(OSError, WebSocketException), ExitStack() as stack:
            onlooker = stack.enter_context(open_terminal(self.tower, agent["terminal"]["id"]))
            self.onlookers.append((onlooker, stack.pop_all()))
        return str(agent["name"])

    def detach(self) -> str:
        if not self.onlookers:
            return "nobody"
        onlooker, stack = self.onlookers.pop(self.dice.randrange(len(self.onlookers)))
        if self.dice.random() < 0.5:
            onlooker.socket.close()
        with suppress(OSError, WebSocketException):
            stack.close()
        return "one"

    def kill_tower(self) -> str:
        self.tower.kill()
        self.tower.start()
        return "and started"

    def restart_tower(self) -> str:
        self.tower.stop()
        self.tower.start()
        return "stopped and started"

    def pause_tower(self) -> str:
        assert self.tower.process is not None
        self.tower.process.send_signal(signal.SIGSTOP)
        time.sleep(self.dice.uniform(0, 0.5))  # not a wait: how long it is stopped is what varies
        self.tower.process.send_signal(signal.SIGCONT)
        return "stopped for a moment"

    def kill_holder(self) -> str:
        holder = self._holder()
        if holder is None:
            return "nobody"
        send_signal(holder, signal.SIGKILL)
        until(lambda: not is_alive(holder), "the holder is gone")
        return str(holder.pid)

    def stop_holder(self) -> str:
        """Stop a holder, or have one that was stopped go on."""
        if self.stopped:
            self.let_go_on()
            return "and on"
        holder = self._holder()
        if holder is None:
            return "nobody"
        send_signal(holder, signal.SIGSTOP)
        self.stopped.add(holder)
        if self.dice.random() < 0.5:
            return f"{holder.pid}, {self.kill_tower()}"
        return str(holder.pid)

    def let_go_on(self) -> None:
        for holder in self.stopped:
            send_signal(holder, signal.SIGCONT)
        self.stopped.clear()

    def reuse_pid(self) -> str:
        """Kill a holder while the Tower is away, and have its pid given to somebody who is none of ours."""
        agent = self._any("running")
        program = next((p for p in programs(self.tower.home) if agent and p.agent == agent["id"]), None)
        holder = None if program is None else identify(program.parent)
        if agent is None or program is None or holder is None or holder in self.stopped:
            return "nobody"
        self.tower.kill()
        send_signal(holder, signal.SIGKILL)
        until(lambda: not is_alive(holder) and not is_alive(program.process), "both are gone")
        with sqlite3.connect(self.tower.home / "afx.db") as database:
            database.execute(
                "UPDATE terminal_sessions SET pid = ?, handle = json_set(handle, '$.holder.pid', ?) "
                "WHERE id = ?",
                [self.guard.pid, self.guard.pid, agent["terminal"]["id"]],
            )
        database.close()
        self.tower.start()
        with suppress(RequestFailedError):
            self.tower.request("POST", f"/api/agents/{agent['id']}/stop")
        return str(agent["name"])

    def kill_child_of_tower(self) -> str:
        """Kill what the Tower has started for itself, such as the parent of holders."""
        assert self.tower.process is not None
        running = {program.process for program in programs(self.tower.home)}
        found = [one for one in children_of(self.tower.process.pid) if one not in running]
        if not found:
            return "nobody"
        child = self.dice.choice(sorted(found, key=lambda one: one.pid))
        send_signal(child, signal.SIGKILL)
        return str(child.pid)

    def damage_database(self) -> str:
        self.tower.stop()
        path = self.tower.home / "afx.db"
        size = path.stat().st_size
        kind = self.dice.choice(["cut", "emptied", "garbled"])
        if kind == "garbled":
            with path.open("r+b") as file:
                file.seek(self.dice.randrange(0, size // 4096) * 4096)
                file.write(self.dice.randbytes(4096))
        else:
            with path.open("r+b") as file:
                file.truncate(0 if kind == "emptied" else self.dice.randrange(size))
        self.tower.start()
        return kind

    def delete_database(self) -> str:
        (self.tower.home / "afx.db").unlink()
        # Whatever is stored next brings it back.
        self._spawn({"kind": "shell", "args": ["-c", COUNTER]})
        return "and stored"

    # What must hold

    def check(self) -> None:
        """Look from outside until everything holds.

        Raises:
            BrokenError: Something does not, even after a while.
        """
        deadline = time.monotonic() + PATIENCE
        while complaint := self.complaint():
            if time.monotonic() > deadline:
                raise BrokenError(complaint)
            time.sleep(0.05)
        if signals := self.guard.signals():
            raise BrokenError(f"a process that is not ours was sent {signals}")
        self._check_ids()
        self._check_bytes()

    def complaint(self) -> str:
        """Return what does not hold now and may a moment later; empty where everything does."""
        state = self.tower.state()
        running = programs(self.tower.home)
        # What ended while the state was read is no contradiction to it; it is looked at again.
        known = {
            agent["terminal"]["pid"]: agent
            for workspace in state["workspaces"]
            for agent in workspace["agents"]
            if agent["terminal"] is not None
        }
        strangers = [program for program in running if program.process.pid not in known]
        # What answers no sooner than now is not in the state, and is found by who asks for it.
        orphans = self.tower.request("GET", "/api/orphans")["orphans"] if strangers else []
        for program in strangers:
            if program.agent not in {orphan["agent_id"] for orphan in orphans}:
                return f"the program {program} lives, and the state does not know it"
        alive = {program.process.pid for program in running}
        for pid, agent in known.items():
            if agent["state"] == "running" and pid not in alive:
                return f"{agent['name']} is said to run as {pid}, and does not"
        if twice := doubled(running):
            return f"more than one process has a conversation: {twice}"
        return ""

    def _check_bytes(self) -> None:
        """Look that every line of every counter came once and in order."""
        present = {agent["terminal"]["id"] for agent in self.agents() if agent["terminal"] is not None}
        for terminal, follower in list(self.followers.items()):
            seen = bytes(follower.data)
            numbers = follower.numbers()
            # A program that was started again in its terminal counts from 0 again.
            for before, number in pairwise([-1, *numbers]):
                if number not in {before + 1, 0}:
                    raise BrokenError(
                        f"bytes of terminal {terminal} are missing: {number} came after {before}"
                    )
            if terminal in present:
                with suppress(RequestFailedError):
                    kept = self.tower.request("GET", f"/api/terminals/{terminal}/output")
                    if not bytes(kept).startswith(seen):
                        raise BrokenError(f"terminal {terminal} was shown something else than it has put out")
            if follower.resets > 1:
                raise BrokenError(f"terminal {terminal} began anew, {follower.resets} times")
            if terminal not in present:
                follower.close()
                del self.followers[terminal]

    def _check_ids(self) -> None:
        """Look that no conversation's id was ever lost."""
        present = {agent["id"]: agent for agent in self.agents()}
        for agent_id in (set(self.ids) | set(present)) - self.removed:
            if agent_id not in present:
                raise BrokenError(f"the agent {agent_id} is gone, and nobody removed it")
            told = self.tower.request("GET", f"/api/agents/{agent_id}/conversations")["conversations"]
            ids = {conversation["id"] for conversation in told}
            if missing := self.ids.get(agent_id, set()) - ids:
                raise BrokenError(f"conversations of {agent_id} are gone: {missing}")
            self.ids[agent_id] = ids

    def finish(self) -> None:
        """End everything by the Tower's own means.

        Raises:
            BrokenError: Something is left behind.
        """
        self.let_go_on()
        self.check()
        for follower in self.followers.values():
            follower.close()
        for _, stack in self.onlookers:
            with suppress(OSError, WebSocketException):
                stack.close()
        for agent in self.agents():
            self._remove_at_last(agent["id"])
        until(lambda: not programs(self.tower.home), "no program is left")
        self.tower.stop()
        deadline = time.monotonic() + PATIENCE
        while left := [command_line(process) for process in processes_of(self.tower.home)]:
            if time.monotonic() > deadline:
                raise BrokenError(f"these were left behind: {left}")
            time.sleep(0.05)

    def _remove_at_last(self, agent_id: str) -> None:
        """Remove an agent as soon as its terminal answers."""

        def gone() -> bool:
            try:
                self.tower.request("DELETE", f"/api/agents/{agent_id}?force=1")
            except RequestFailedError as refused:
                return refused.status == 404
            return True

        until(gone, f"{agent_id} is removed")

    # Means

    def agents(self) -> list[Any]:
        return [agent for workspace in self.tower.state()["workspaces"] for agent in workspace["agents"]]

    def _any(self, *states: str) -> Any:
        """Return an agent of one of these states, or kinds of agents; None where there is none."""
        kinds = {word for word in states if word in {"shell", "builder"}} or {"shell", "builder"}
        found = [agent for agent in self.agents() if agent["state"] in states and agent["kind"] in kinds]
        return self.dice.choice(sorted(found, key=lambda agent: str(agent["name"]))) if found else None

    def _spawn(self, what: dict[str, Any]) -> Any:
        self._number += 1
        body = {"workspace": self.workspace, "name": f"n{self._number}", "strategy": self.strategy, **what}
        return self.tower.request("POST", "/api/agents", body)["agent"]

    def _type(self, keys: bytes) -> str:
        agent = self._any("running", "builder")
        if agent is None:
            return "nobody"
        with suppress(OSError, WebSocketException):
            type_into(self.tower, agent["terminal"]["id"], keys)
        return f"{agent['name']} {keys!r}"

    def _holder(self) -> ProcessIdentity | None:
        found = sorted({program.parent for program in programs(self.tower.home)})
        holder = identify(self.dice.choice(found)) if found else None
        return None if holder in self.stopped else holder


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise BrokenError(f"It was waited for in vain that {what}.")
        time.sleep(0.02)


def strategies_here() -> list[str]:
    """Return the reconnect strategies that are installed and can work here."""
    import shutil

    from afx.loader import Plugins

    rows = [row for row in Plugins.load().rows() if row.kind == "strategy" and row.state == "active"]
    return [row.name for row in rows if row.name != "tmux" or shutil.which("tmux")]

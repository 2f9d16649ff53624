"""A random walk through everything that can happen to a Tower.

The seed decides what is done, in which order and to whom; when exactly each thing happens, the machine does.
What must hold after every step is `invariants`'; the steps that take something away from the Tower, such as
its disk, are `disasters`'.
"""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from afx.api.process import ProcessIdentity, identify, is_alive, send_signal
from afx.testing.follower import Follower, open_terminal, type_into
from afx.testing.tower_process import RequestFailedError, TowerProcess, processes_of
from chaos.invariants import PATIENCE, BrokenError, Invariants, until
from chaos.seen import Guard, children_of, command_line, programs, recorder_of
from chaos.trouble import Clock, Disk
from e2e.rows import rows

COUNTER = "i=0; while :; do echo count $i; i=$((i+1)); sleep 0.02; done"
_NOTED = """i=0; while :; do echo count $i; echo $i >"%s/$AFX_TERMINAL"; i=$((i+1)); sleep 0.02; done"""
_MOST_AGENTS = 7
_GO_ON = 0.3


class Walk:
    """One walk over one Tower, on one reconnect strategy.

    Args:
        directory: For what the walk itself needs.
        clock: The Tower's.
        disk: Where the state directory lies; None where it has none of its own.
    """

    def __init__(
        self,
        tower: TowerProcess,
        workspace: str,
        strategy: str,
        guard: Guard,
        seed: int,
        *,
        directory: Path,
        clock: Clock,
        disk: Disk | None,
    ) -> None:
        from chaos import disasters

        self.tower = tower
        self.workspace = workspace
        self.strategy = strategy
        self.guard = guard
        self.clock = clock
        self.disk = disk
        self.dice = random.Random(seed)  # noqa: S311 - a seed, not a secret
        self.history: list[str] = []
        self.onlookers: list[tuple[ClientConnection, ExitStack]] = []
        progress = directory / "progress"
        progress.mkdir()
        self.seen = Invariants(tower, guard, progress)
        self._counter = _NOTED % progress
        self._number = 0
        self.ordinary: list[tuple[int, Callable[[], str]]] = [
            (6, self.spawn_shell),
            (6, self.spawn_builder),
            (6, self.talk),
            (3, self.stop_agent),
            (6, self.resume),
            (2, self.remove),
            (3, self.resize),
        ]
        self.steps: list[tuple[int, str, Callable[[], str]]] = [
            *((weight, act.__name__, act) for weight, act in self.ordinary),
            *(
                (weight, act.__name__, act)
                for weight, act in [
                    (3, self.crash),
                    (3, self.kill_program),
                    (2, self.stop_program),
                    (2, self.quit),
                    (2, self.flood),
                    (3, self.attach),
                    (2, self.detach),
                    (8, self.kill_tower),
                    (3, self.restart_tower),
                    (2, self.pause_tower),
                    (4, self.kill_holder),
                    (4, self.stop_holder),
                    (3, self.reuse_pid),
                    (2, self.kill_child_of_tower),
                    (2, self.pause_child_of_tower),
                    (2, self.kill_recorder),
                ]
            ),
            *((weight, act.__name__, partial(act, self)) for weight, act in disasters.STEPS),
        ]

    def step(self) -> None:
        """Do one thing, and look whether everything still holds."""
        if self.seen.stopped and self.dice.random() < _GO_ON:
            self.let_go_on()
            self.history.append("what was stopped goes on")
        weights = [weight for weight, _, _ in self.steps]
        (_, name, act) = self.dice.choices(self.steps, weights)[0]
        # Written down before it is done, so that what raises is the last of the history.
        self.history.append(name)
        self.history[-1] = f"{name}: {self.attempt(act)}"
        self.seen.check()

    def attempt(self, act: Callable[[], str]) -> str:
        """Do something that may be refused, and say what came of it."""
        try:
            return act()
        except RequestFailedError as refused:
            # A refusal is an answer; what must not be is a failure of the Tower's own.
            if refused.error["code"] == "internal":
                raise
            return f"{refused}"

    def something(self) -> str:
        """Do one of the things that people do."""
        weights = [weight for weight, _ in self.ordinary]
        (_, act) = self.dice.choices(self.ordinary, weights)[0]
        try:
            return f"{act.__name__}: {self.attempt(act)}"
        except (OSError, http.client.HTTPException) as error:
            return f"{act.__name__}: {error!r}"

    # What is done

    def spawn_shell(self) -> str:
        return "enough" if len(self.seen.agents()) >= _MOST_AGENTS else self.spawn_one_more()

    def spawn_one_more(self) -> str:
        agent = self._spawn({"kind": "shell", "args": ["-c", self._counter]})
        terminal = agent["terminal"]["id"]
        self.seen.followers[terminal] = Follower(self.tower, terminal)
        return str(agent["name"])

    def spawn_builder(self) -> str:
        if len(self.seen.agents()) >= _MOST_AGENTS:
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

    def stop_program(self) -> str:
        found = [one for one in programs(self.tower.home) if one.process not in self.seen.stopped]
        if not found:
            return "nobody"
        program = self.dice.choice(sorted(found, key=lambda one: one.process.pid))
        self._stop(program.process)
        return program.agent

    def flood(self) -> str:
        """Have a builder write much at once, while somebody looks who reads nothing."""
        agent = self._any("running", "builder")
        if agent is None or self.seen.stopped:
            return "nobody"
        lines = self.dice.choice([1000, 150_000])
        terminal = agent["terminal"]["id"]
        with ExitStack() as stack, suppress(OSError, WebSocketException):
            stack.enter_context(open_terminal(self.tower, terminal))
            type_into(self.tower, terminal, b"/flood %d\r" % lines)
        return f"{agent['name']} {lines} lines"

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
        # Noted before: what was refused in the end, or not answered, may have been done all the same.
        self.seen.removed.add(agent["id"])
        self.tower.request("DELETE", f"/api/agents/{agent['id']}?force=1")
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
        tower = identify(self.tower.process.pid)
        assert tower is not None
        with self._paused(tower):
            return self.something()

    def kill_holder(self) -> str:
        holder = self._holder()
        if holder is None:
            return "nobody"
        send_signal(holder, signal.SIGKILL)
        until(lambda: not is_alive(holder), "the holder is gone")
        return str(holder.pid)

    def stop_holder(self) -> str:
        """Stop a holder, and perhaps have the Tower find it so, or have what was stopped go on."""
        if self.seen.stopped:
            self.let_go_on()
            return "and on"
        holder = self._holder()
        if holder is None:
            return "nobody"
        self._stop(holder)
        if self.dice.random() < 0.5:
            return f"{holder.pid}, {self.kill_tower()}"
        return str(holder.pid)

    def _stop(self, process: ProcessIdentity) -> None:
        send_signal(process, signal.SIGSTOP)
        self.seen.stopped.add(process)

    @contextmanager
    def _paused(self, process: ProcessIdentity) -> Iterator[None]:
        """Have a process stopped for a moment from now on, while something is asked of it."""
        send_signal(process, signal.SIGSTOP)
        go_on = threading.Timer(self.dice.uniform(0, 0.5), send_signal, [process, signal.SIGCONT])
        go_on.start()
        try:
            yield
        finally:
            go_on.join()

    def let_go_on(self) -> None:
        for holder in self.seen.stopped:
            send_signal(holder, signal.SIGCONT)
        self.seen.stopped.clear()

    def reuse_pid(self) -> str:
        """Kill a holder while the Tower is away, and have its pid given to somebody who is none of ours."""
        agent = self._any("running")
        program = next((p for p in programs(self.tower.home) if agent and p.agent == agent["id"]), None)
        holder = None if program is None else identify(program.parent)
        if agent is None or program is None or holder is None or holder in self.seen.stopped:
            return "nobody"
        self.tower.kill()
        send_signal(holder, signal.SIGKILL)
        until(lambda: not is_alive(holder) and not is_alive(program.process), "both are gone")
        with rows(self.tower.home / "afx.db") as database:
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
        child = self._child_of_tower()
        if child is None:
            return "nobody"
        send_signal(child, signal.SIGKILL)
        return str(child.pid)

    def pause_child_of_tower(self) -> str:
        child = self._child_of_tower()
        if child is None:
            return "nobody"
        with self._paused(child):
            return f"{child.pid}, {self.something()}"

    def kill_recorder(self) -> str:
        """Kill what keeps a terminal's output, where that is not its holder."""
        agent = self._any("running")
        recorder = None if agent is None else recorder_of(self.tower.home, agent["terminal"]["id"])
        if recorder is None or recorder in self.seen.stopped:
            return "nobody"
        self.seen.recorded_anew.add(agent["terminal"]["id"])
        send_signal(recorder, signal.SIGKILL)
        return str(agent["name"])

    def finish(self) -> None:
        """End everything by the Tower's own means.

        Raises:
            BrokenError: Something is left behind.
        """
        self.let_go_on()
        self.seen.check()
        for follower in self.seen.followers.values():
            follower.close()
        for _, stack in self.onlookers:
            with suppress(OSError, WebSocketException):
                stack.close()
        until(self._has_no_orphans, "no orphan is left")
        for agent in self.seen.agents():
            self._remove_at_last(agent["id"])
        until(lambda: not programs(self.tower.home), "no program is left")
        self.tower.stop()
        deadline = time.monotonic() + PATIENCE
        while left := [command_line(process) for process in processes_of(self.tower.home)]:
            if time.monotonic() > deadline:
                raise BrokenError(f"these were left behind: {left}")
            time.sleep(0.05)

    def _has_no_orphans(self) -> bool:
        """Adopt terminals whose agents were lost with the database; tell whether there was none."""
        orphans = self.tower.request("GET", "/api/orphans")["orphans"]
        for orphan in orphans:
            wanted = {"kind": "shell", "name": f"adopted-{orphan['terminal_id'][:8]}"}
            body = {"orphan": orphan["terminal_id"], "workspace": self.workspace, **wanted}
            with suppress(RequestFailedError):  # It may have ended by now.
                self.tower.request("POST", "/api/orphans/adopt", body)
        return not orphans

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

    def _any(self, *states: str) -> Any:
        """Return an agent of one of these states, or kinds of agents; None where there is none."""
        kinds = {word for word in states if word in {"shell", "builder"}} or {"shell", "builder"}
        found = [agent for agent in self.seen.agents() if agent["state"] in states and agent["kind"] in kinds]
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

    def _child_of_tower(self) -> ProcessIdentity | None:
        """Return what the Tower has started for itself, such as the parent of holders."""
        assert self.tower.process is not None
        running = {program.process for program in programs(self.tower.home)}
        found = [one for one in children_of(self.tower.process.pid) if one not in running]
        return self.dice.choice(sorted(found, key=lambda one: one.pid)) if found else None

    def _holder(self) -> ProcessIdentity | None:
        found = sorted({program.parent for program in programs(self.tower.home)})
        holder = identify(self.dice.choice(found)) if found else None
        return None if holder in self.seen.stopped else holder


def strategies_here() -> list[str]:
    """Return the reconnect strategies that are installed and can work here."""
    import shutil

    from afx.loader import Plugins

    rows = [row for row in Plugins.load().rows() if row.kind == "strategy" and row.state == "active"]
    return [row.name for row in rows if row.name != "tmux" or shutil.which("tmux")]

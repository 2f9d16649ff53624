"""What must hold after every step, seen from outside: by the system, the file, and programs' own notes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from afx.api.process import ProcessIdentity
from afx.testing.follower import Follower
from afx.testing.tower_process import RequestFailedError, TowerProcess
from chaos.seen import Guard, doubled, programs, stored_ids

PATIENCE = 40.0


class BrokenError(AssertionError):
    """An invariant does not hold."""


class Invariants:
    """What is known of one Tower's agents, and has to stay true.

    Attributes:
        progress: A directory in which each counter notes how far it got, in a file named by its terminal.
        followers: Of each counter's terminal.
        stopped: Processes that were stopped, and make everybody wait.
        ids: The conversations that each agent is known to have.
        removed: Agents that were removed on purpose.
        recorded_anew: Terminals whose output may begin anew, and with a gap: their recorder was killed.
    """

    def __init__(self, tower: TowerProcess, guard: Guard, progress: Path) -> None:
        self.tower = tower
        self.guard = guard
        self.progress = progress
        self.followers: dict[str, Follower] = {}
        self.stopped: set[ProcessIdentity] = set()
        self.ids: dict[str, set[str]] = {}
        self.removed: set[str] = set()
        self.recorded_anew: set[str] = set()

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
        self._check_progress()

    def complaint(self) -> str:
        """Return what does not hold now and may a moment later; empty where everything does."""
        state = self.tower.state()
        running = programs(self.tower.home)
        # What ended while the state was read is no contradiction to it; it is looked at again.
        known = {agent["terminal"]["pid"] for agent in self.agents_of(state) if agent["terminal"] is not None}
        orphans = {orphan["agent_id"] for orphan in state["orphans"]}
        for program in running:
            if program.process.pid in known or program.agent in orphans:
                continue
            # A holder that is stopped says nothing. As soon as it goes on it has to be seen, unasked.
            if not self.stopped:
                return f"the program {program} lives, and the state does not know it"
        alive = {program.process.pid for program in running}
        for agent in self.agents_of(state):
            # The end of a program is told by its holder, as soon as that goes on.
            pid = None if agent["terminal"] is None else agent["terminal"]["pid"]
            if agent["state"] == "running" and pid not in alive and not self.stopped:
                return f"{agent['name']} is said to run as {pid}, and does not"
        if twice := doubled(running):
            return f"more than one process has a conversation: {twice}"
        return ""

    def forgive(self, kept: dict[str, set[str]] | None) -> None:
        """Expect no more ids than are kept: the file that had the others was damaged before it was copied."""
        if kept is not None:
            self.ids = {agent: ids & kept[agent] for agent, ids in self.ids.items() if agent in kept}

    def agents(self) -> list[Any]:
        """Return every agent that the Tower lists."""
        return self.agents_of(self.tower.state())

    @staticmethod
    def agents_of(state: Any) -> list[Any]:
        return [agent for workspace in state["workspaces"] for agent in workspace["agents"]]

    def _check_ids(self) -> None:
        """Look that no conversation's id was ever lost: by the Tower's word, and in the file."""
        present = {agent["id"]: agent for agent in self.agents()}
        for agent_id in (set(self.ids) | set(present)) - self.removed:
            if agent_id not in present:
                raise BrokenError(f"the agent {agent_id} is gone, and nobody removed it")
            told = self.tower.request("GET", f"/api/agents/{agent_id}/conversations")["conversations"]
            ids = {conversation["id"] for conversation in told}
            if missing := self.ids.get(agent_id, set()) - ids:
                raise BrokenError(f"conversations of {agent_id} are gone: {missing}")
            self.ids[agent_id] = ids
        stored = stored_ids(self.tower.home / "afx.db")
        for agent_id, ids in self.ids.items() if stored is not None else ():
            if missing := ids - (stored or {}).get(agent_id, set()):
                raise BrokenError(f"conversations of {agent_id} are not in the file: {missing}")

    def _check_bytes(self) -> None:
        """Look that every line of every counter came once and in order."""
        present = {agent["terminal"]["id"] for agent in self.agents() if agent["terminal"] is not None}
        for terminal, follower in list(self.followers.items()):
            seen = bytes(follower.data)
            if terminal not in self.recorded_anew:
                self._check_numbers(terminal, follower)
            if terminal in present:
                with suppress(RequestFailedError):
                    kept = self.tower.request("GET", f"/api/terminals/{terminal}/output")
                    if terminal not in self.recorded_anew and not bytes(kept).startswith(seen):
                        raise BrokenError(f"terminal {terminal} was shown something else than it has put out")
            else:
                follower.close()
                del self.followers[terminal]

    def _check_numbers(self, terminal: str, follower: Follower) -> None:
        # A program that was started again in its terminal counts from 0 again.
        for before, number in pairwise([-1, *follower.numbers()]):
            if number not in {before + 1, 0}:
                raise BrokenError(f"bytes of terminal {terminal} are missing: {number} came after {before}")
        if follower.resets > 1:
            raise BrokenError(f"terminal {terminal} began anew, {follower.resets} times")

    def _check_progress(self) -> None:
        """Look that what each counter has written by now is shown before long."""
        if self.stopped:
            return
        written = {terminal: number for terminal in self.followers if (number := self._written(terminal))}
        running = {agent["terminal"]["id"] for agent in self.agents() if agent["state"] == "running"}
        for terminal, number in written.items():
            if terminal in running:
                self._await_shown(terminal, number)

    def _await_shown(self, terminal: str, number: int) -> None:
        def is_shown() -> bool:
            # One that was started again meanwhile has begun to count anew.
            return self.followers[terminal].shown() >= min(number, self._written(terminal))

        until(is_shown, f"line {number} of terminal {terminal}, which its program has written, is shown")

    def _written(self, terminal: str) -> int:
        try:
            return int((self.progress / terminal).read_text())
        except (OSError, ValueError):
            return 0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        BrokenError: It does not, even after a while.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise BrokenError(f"It was waited for in vain that {what}.")
        time.sleep(0.02)

"""What plugins that observe are told: each change of an agent as one typed event, in the order they came.

What kind of event a change is, is decided here by a pure function from what was seen before and after.
Telling happens in a thread beside the Tower, from a bounded queue: an observer that is slow, or never
returns, costs events, which are counted and shown, and nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from afx.api.harness import Doing
from afx.api.hookspecs import EventKind, TerminalEvent
from afx.api.model import Agent, AgentId, AgentState, TerminalId
from afx.api.process import ProcessIdentity

from .agents import Agents, Change
from .resume import Action

log = logging.getLogger("afx.observers")

_LONGEST_QUEUE = 1024
_LAST_WORDS = 1.0

_BY_STATE = {
    AgentState.EXITED: EventKind.EXITED,
    AgentState.CRASHED: EventKind.CRASHED,
    AgentState.STOPPED: EventKind.STOPPED,
    AgentState.UNREACHABLE: EventKind.UNREACHABLE,
    AgentState.LOST: EventKind.LOST,
    AgentState.NEEDS_ATTENTION: EventKind.NEEDS_ATTENTION,
}


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen of an agent at one moment.

    Attributes:
        state: Its state as it is shown.
        stored: Its state as it is stored, which an unreachable terminal leaves alone.
        terminal_id: Its terminal, whether or not a process runs in it.
        process: The process in that terminal.
        is_resumed: Whether it was last brought back into a conversation it had, rather than begun afresh.
        doing: What its screen says of it.
    """

    state: AgentState
    stored: AgentState
    terminal_id: TerminalId | None = None
    process: ProcessIdentity | None = None
    is_resumed: bool = False
    doing: Doing = Doing.UNKNOWN


def event_kind(before: Sight | None, after: Sight | None) -> EventKind | None:
    """Say what happened between two sights of an agent; None where it is nothing to tell.

    Args:
        before: None where the agent is new.
        after: None where it was removed.
    """
    if before is None or after is None:
        if after is not None:
            # A new agent is stored before its program starts.
            return EventKind.SPAWNED if after.state is AgentState.RUNNING else None
        return None if before is None else EventKind.REMOVED
    is_same_program = (before.terminal_id, before.process) == (after.terminal_id, after.process)
    if before.state is AgentState.UNREACHABLE and before.stored is after.stored and is_same_program:
        # It answers again. What it was, it has been all the time.
        return EventKind.RECONNECTED if after.state is AgentState.RUNNING else None
    if after.state is not AgentState.RUNNING:
        return None if before.state is after.state else _BY_STATE[after.state]
    if is_same_program and before.state is AgentState.RUNNING:
        begins_to_wait = after.doing is Doing.WAITING and before.doing is not Doing.WAITING
        return EventKind.WAITING if begins_to_wait else None
    if is_same_program and after.process is not None:
        # Where a new process was asked for in its terminal, it is told once that process is known.
        return None
    return EventKind.RESUMED if after.is_resumed else EventKind.SPAWNED


class Observers:
    """Tells observers of what happens to agents, for as long as `telling` lasts.

    Args:
        agents: Whose changes are told.
        tell: Tells one event to every observer and returns when the last of them did.
        longest_queue: How many events may wait.

    Attributes:
        dropped: How many events were told to nobody, since the queue was full.
    """

    def __init__(
        self,
        agents: Agents,
        tell: Callable[[TerminalEvent], None],
        longest_queue: int = _LONGEST_QUEUE,
    ) -> None:
        self.dropped = 0
        self._agents = agents
        self._tell = tell
        self._queue: queue.Queue[TerminalEvent | None] = queue.Queue(longest_queue)
        self._seen: dict[AgentId, Sight] = {}

    @property
    def waiting(self) -> int:
        """How many events wait to be told."""
        return self._queue.qsize()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell what happens from now on. First, which agents' terminals survived."""
        for agent in self._agents.all():
            sight = self._seen[agent.id] = self._sight(agent)
            if sight.state is AgentState.RUNNING:
                self._put(agent, EventKind.RECONNECTED)
        stop = self._agents.listen(self._notice)
        # Daemonic: an observer that never returns must not keep the process from ending.
        thread = threading.Thread(target=self._work, name="observers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop()
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                log.warning("Observers are too slow; %d events are not told any more.", self.waiting)
            else:
                thread.join(_LAST_WORDS)

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            self._tell(event)

    def _notice(self, change: Change) -> None:
        there = {agent.id: agent for agent in self._agents.present(change.agents)}
        everybody = self._agents.by_id()
        for agent_id in change.agents:
            before = self._seen.get(agent_id)
            agent = there.get(agent_id)
            after = None if agent is None else self._sight(agent)
            kind = event_kind(before, after)
            if after is None:
                self._seen.pop(agent_id, None)
            else:
                self._seen[agent_id] = after
            if kind is not None and agent_id in everybody:
                self._put(everybody[agent_id], kind)

    def _sight(self, agent: Agent) -> Sight:
        record = self._agents.terminal_of(agent.id)
        plan = None if agent.plan is None else agent.plan.get("plan")
        return Sight(
            state=self._agents.state_of(agent)[0],
            stored=agent.state,
            terminal_id=None if record is None else record.id,
            process=None if record is None else record.process,
            is_resumed=isinstance(plan, dict) and plan.get("action") == Action.RESUME.value,
            doing=self._agents.doing_of(agent),
        )

    def _put(self, agent: Agent, kind: EventKind) -> None:
        state, reason = self._agents.state_of(agent)
        record = self._agents.terminal_of(agent.id)
        event = TerminalEvent(
            kind=kind,
            agent_id=agent.id,
            agent_name=agent.label,
            workspace=agent.workspace,
            terminal_id=None if record is None else record.id,
            state=state,
            reason=reason,
            at=time.time(),
        )
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            if not self.dropped:
                log.warning("Observers are too slow: from %s on, events are not told.", event.agent_name)
            self.dropped += 1

"""Knows which agents wait for the person: looks at what their terminals show, and asks their harnesses.

A terminal is looked at when its output has paused, and now and then while it does not. Terminals that are
quiet cost nothing.
"""

from __future__ import annotations

import logging
import time

import anyio
import msgspec

from afx.api.errors import AfxError
from afx.api.harness import Doing
from afx.api.model import AgentId, AgentState

from .agents import Agents, Change
from .capture import Capture
from .starter import Starter
from .terminals import Terminals

log = logging.getLogger("afx.attention")

PAUSE = 1.0
"""Seconds without output after which a screen is taken to be complete."""
LOOK_AT_LAST = 2.0
LOOK_AT_LAST_WHILE_WORKING = 15.0
_GLANCE_WITHIN = 5.0
_BREATH = 0.02
"""Seconds between two looks, so that many that are due at once leave the Tower to others meanwhile."""


class Look(msgspec.Struct, frozen=True):
    """The last look at a terminal.

    Attributes:
        at: When that was.
        output_at: When the terminal had last written something then; None where there was no look yet.
        doing: What came of it.
    """

    at: float
    output_at: float | None = None
    doing: Doing = Doing.UNKNOWN


def next_look(last: Look, last_output_at: float | None) -> float | None:
    """Say when a terminal is to be looked at again; None where it wrote nothing since the last look."""
    if last_output_at is None or (last.output_at is not None and last_output_at <= last.output_at):
        return None
    patience = LOOK_AT_LAST_WHILE_WORKING if last.doing is Doing.WORKING else LOOK_AT_LAST
    return min(last_output_at + PAUSE, last.at + patience)


class Attention:
    """Watches what the agents that have a harness do, one look at a time."""

    def __init__(self, agents: Agents, terminals: Terminals, starter: Starter, capture: Capture) -> None:
        self._capture = capture
        self._agents = agents
        self._terminals = terminals
        self._starter = starter
        self._looks: dict[AgentId, Look] = {}
        self._stirring: set[AgentId] = set()
        self._stirred = anyio.Event()

    async def run(self) -> None:
        """Look at terminals as long as the Tower runs."""
        stop = self._agents.listen(self._on_change)
        try:
            self._stirring.update(agent.id for agent in self._agents.all() if agent.harness is not None)
            while True:
                due, pause = self._due(time.time())
                for agent_id in due:
                    await self._look(agent_id)
                    await self._capture.look(agent_id)
                    await anyio.sleep(_BREATH)
                if not due:
                    with anyio.move_on_after(pause):
                        await self._stirred.wait()
                    self._stirred = anyio.Event()
        finally:
            stop()

    def _on_change(self, change: Change) -> None:
        mine = {agent.id for agent in self._agents.present(change.agents) if agent.harness is not None}
        if not mine <= self._stirring:
            self._stirring |= mine
            self._stirred.set()

    def _due(self, now: float) -> tuple[list[AgentId], float | None]:
        """Return whom to look at now or, where there is nobody, for how long that stays so."""
        due: list[AgentId] = []
        soonest: float | None = None
        for agent_id in list(self._stirring):
            at = self._when(agent_id, now)
            if at is None:
                self._stirring.discard(agent_id)
            elif at <= now:
                due.append(agent_id)
            else:
                soonest = at if soonest is None else min(soonest, at)
        # Should the clock be set back, nobody waits for longer than this.
        return due, None if soonest is None else min(soonest - now, LOOK_AT_LAST_WHILE_WORKING)

    def _when(self, agent_id: AgentId, now: float) -> float | None:
        """Return when to look at an agent's terminal; None where there is nothing to see."""
        agents = self._agents.present([agent_id])
        record = self._agents.terminal_of(agent_id)
        hub = None if record is None else self._terminals.connected(record.id)
        if not agents or record is None or hub is None or agents[0].state is not AgentState.RUNNING:
            self._looks.pop(agent_id, None)
            self._agents.set_doing(agent_id, Doing.UNKNOWN)
            return None
        last = self._looks.setdefault(agent_id, Look(now))
        return next_look(last, hub.facts.last_output_at)

    async def _look(self, agent_id: AgentId) -> None:
        record = self._agents.terminal_of(agent_id)
        hub = None if record is None else self._terminals.connected(record.id)
        if record is None or hub is None:
            return
        facts = hub.facts
        doing = Doing.UNKNOWN
        try:
            harness = self._starter.harness_of(self._agents.agent(agent_id))
            with anyio.move_on_after(_GLANCE_WITHIN):
                text = await hub.screen()
                doing = Doing.UNKNOWN if harness is None else harness.doing(text)
        except AfxError as error:
            log.info("What agent %s does cannot be seen: %s", agent_id, error.message)
        except Exception:
            # A harness's mistake costs its agents a mark, and nobody anything else.
            log.exception("What agent %s does cannot be told.", agent_id)
        self._looks[agent_id] = Look(time.time(), facts.last_output_at, doing)
        if self._agents.terminal_of(agent_id) is not None:
            self._agents.set_doing(agent_id, doing)

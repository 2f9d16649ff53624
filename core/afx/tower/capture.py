"""Learns the conversation ids that programs choose for themselves, after their launch.

It asks the harness again and again, ever more seldom, for as long as the process runs that was started
without an id. What it learns is stored as captured.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import anyio
import msgspec

from afx.api.errors import AfxError, NotFoundError
from afx.api.harness import Launched
from afx.api.model import Agent, AgentId, AgentState, Conversation, ConversationSource
from afx.api.process import ProcessIdentity

from .agents import Agents
from .resume import Action, ResumePlan
from .starter import Starter

log = logging.getLogger("afx.capture")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


class Capture:
    """Looks for the ids of conversations that were begun without one."""

    def __init__(self, home: Path, agents: Agents, starter: Starter) -> None:
        self._home = home
        self._agents = agents
        self._starter = starter

    async def on_running(self, agent_id: AgentId) -> None:
        """Look for an agent's conversation until it is known, or its process is another or none."""
        try:
            began = self._began(self._agents.agent(agent_id))
            process = self._process(agent_id)
            pause = _FIRST_PAUSE
            while began is not None and self._process(agent_id) == process:
                agent = self._agents.agent(agent_id)
                if agent.state is not AgentState.RUNNING or await self._look(agent, began, process):
                    return
                await anyio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        except NotFoundError:
            return
        except AfxError as error:
            log.warning("The conversation of agent %s is not known: %s", agent_id, error.message)

    def _began(self, agent: Agent) -> float | None:
        """Return when the conversation that is looked for was begun; None where none is to be looked for."""
        harness = self._starter.harness_of(agent)
        if harness is None or harness.session is None or harness.session.mints_ids or agent.plan is None:
            return None
        made = msgspec.convert(agent.plan["plan"], ResumePlan)
        began = float(agent.plan["at"])
        known = self._agents.conversation_of(agent.id)
        is_known = known is not None and known.at >= began
        return None if made.action is not Action.BEGIN or is_known else began

    async def _look(self, agent: Agent, began: float, process: ProcessIdentity | None) -> bool:
        harness = self._starter.harness_of(agent)
        if harness is None or harness.session is None:
            return True
        launched = Launched(
            place=self._starter.place_of(agent),
            at=began,
            process=process,
            directory=str(self._home / "agents" / agent.id),
            taken=self._agents.conversation_ids(but_of=agent.id),
        )
        found = await harness.session.capture(launched)
        if found is None or found in launched.taken or not harness.session.is_id(found):
            return False
        await self._agents.commit(
            Conversation(
                agent_id=agent.id,
                id=found,
                harness=harness.name,
                source=ConversationSource.CAPTURED,
                at=time.time(),
            )
        )
        return True

    def _process(self, agent_id: AgentId) -> ProcessIdentity | None:
        record = self._agents.terminal_of(agent_id)
        return None if record is None else record.process

"""Learns which conversation a running program is in, where the Tower did not choose it.

After a launch without an id it asks the harness again and again, ever more seldom, until the id is known.
Later it asks when the terminal has been busy and pauses, since a person may begin another conversation in the
program (`/clear`). What it learns is stored as captured.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

import anyio
import msgspec

from afx.api.errors import AfxError, NotFoundError
from afx.api.harness import HarnessProvider, HarnessSession, Launched
from afx.api.model import Agent, AgentId, AgentState, Conversation, ConversationId, ConversationSource
from afx.api.process import ProcessIdentity

from .agents import Agents
from .resume import Action, ResumePlan
from .starter import Starter

log = logging.getLogger("afx.capture")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_ANSWER_WITHIN = 2.0


class News(StrEnum):
    """What it means for an agent that its program is in a conversation."""

    NONE = "none"
    """It cannot be told, is known, or is not the agent's."""
    BEGUN = "begun"
    """It is a new one."""
    TAKEN_UP = "taken up"
    """It is one that the agent had before."""


def judge(
    found: ConversationId | None,
    *,
    seen: ConversationId | None,
    had: Collection[ConversationId],
    taken: Collection[ConversationId],
) -> News:
    """Say what is new about the conversation that a program was found in.

    Args:
        found: The conversation; None where it cannot be told.
        seen: Which one this process was in before; None where that is not known.
        had: All that the agent ever had.
        taken: Those of other agents.
    """
    if found is None or found == seen or found in taken:
        return News.NONE
    if found not in had:
        return News.BEGUN
    # At the first look at a process a known one is what it was started with. Which is resumed next may be
    # another already, by a person's choice.
    return News.NONE if seen is None else News.TAKEN_UP


class Capture:
    """Looks for the ids of the conversations that programs are in."""

    def __init__(self, home: Path, agents: Agents, starter: Starter) -> None:
        self._home = home
        self._agents = agents
        self._starter = starter
        self._seen: dict[AgentId, tuple[ProcessIdentity, ConversationId]] = {}

    def forget(self, agent_id: AgentId) -> None:
        """Forget about an agent that was removed."""
        self._seen.pop(agent_id, None)

    async def on_running(self, agent_id: AgentId) -> None:
        """Look for an agent's conversation until it is known, or its process is another or none."""
        try:
            process = self._process(agent_id)
            pause = _FIRST_PAUSE
            while self._is_sought(self._agents.agent(agent_id)) and self._process(agent_id) == process:
                await self.look(agent_id)
                await anyio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        except NotFoundError:
            return
        except AfxError as error:
            log.warning("The conversation of agent %s is not looked for: %s", agent_id, error.message)

    async def look(self, agent_id: AgentId) -> None:
        """See which conversation an agent's program is in now, and store it if that is news."""
        try:
            agent = self._agents.agent(agent_id)
            harness = self._starter.harness_of(agent)
            process = self._process(agent_id)
            if agent.state is not AgentState.RUNNING or harness is None or harness.session is None:
                return
            if process is not None and agent.plan is not None:
                with anyio.move_on_after(_ANSWER_WITHIN):
                    await self._look(agent, harness, harness.session, process)
        except NotFoundError:
            return
        except (AfxError, OSError) as error:
            log.warning("The conversation of agent %s is not known: %s", agent_id, error)
        except Exception:
            # A harness's mistake costs its agents this, and nobody anything else.
            log.exception("The conversation of agent %s is not known.", agent_id)

    async def _look(
        self, agent: Agent, harness: HarnessProvider, session: HarnessSession, process: ProcessIdentity
    ) -> None:
        launched = Launched(
            place=self._starter.place_of(agent),
            at=_last_start(agent),
            process=process,
            directory=str(self._home / "agents" / agent.id),
            taken=self._agents.conversation_ids(but_of=agent.id),
        )
        found = await session.capture(launched)
        if found is None or not session.is_id(found) or self._process(agent.id) != process:
            return
        last = self._seen.get(agent.id)
        news = judge(
            found,
            seen=last[1] if last is not None and last[0] == process else None,
            had=[one.id for one in self._agents.conversations(agent.id)],
            taken=launched.taken,
        )
        if news is not News.NONE:
            await self._store(agent.id, harness, found, news)
        if found not in launched.taken:
            self._seen[agent.id] = (process, found)

    async def _store(
        self, agent_id: AgentId, harness: HarnessProvider, found: ConversationId, news: News
    ) -> None:
        if news is News.TAKEN_UP:
            await self._agents.amend(agent_id, conversation=found)
            return
        captured = Conversation(
            agent_id=agent_id,
            id=found,
            harness=harness.name,
            source=ConversationSource.CAPTURED,
            at=time.time(),
        )
        # The newest is the one that it is in, unless an older one is named.
        await self._agents.amend(agent_id, captured, conversation=None)

    def _is_sought(self, agent: Agent) -> bool:
        """Whether an agent runs, was started without an id, and its conversation is not known yet."""
        harness = self._starter.harness_of(agent)
        if agent.state is not AgentState.RUNNING or agent.plan is None:
            return False
        if harness is None or harness.session is None or harness.session.mints_ids:
            return False
        made = msgspec.convert(agent.plan["plan"], ResumePlan)
        known = self._agents.conversation_of(agent.id)
        is_known = known is not None and known.at >= _last_start(agent)
        return made.action is Action.BEGIN and not is_known

    def _process(self, agent_id: AgentId) -> ProcessIdentity | None:
        record = self._agents.terminal_of(agent_id)
        return None if record is None else record.process


def _last_start(agent: Agent) -> float:
    """Return when an agent's program was last started."""
    return 0.0 if agent.plan is None else float(agent.plan["at"])

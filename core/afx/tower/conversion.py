"""An agent moves from one reconnect strategy to another: its process ends, and its conversation is resumed.

A process cannot move from one terminal to another. So a moment is waited for at which nothing is lost: the
agent waits for its person, and nobody is typing. An agent without a conversation is moved only where a person
says that what runs in its terminal may end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

import anyio
import msgspec

from afx.api.errors import AfxError, BadInputError, ConflictError
from afx.api.harness import Doing
from afx.api.model import Agent, AgentId, AgentState
from afx.api.strategy import TerminalFacts

from .agents import Agents
from .hub import TerminalHub
from .resume import ResumePlan
from .revival import Revival
from .terminals import Terminals

log = logging.getLogger("afx.conversion")

_LOOK_AGAIN = 0.25
_QUIET_WAITING = 1.0
_QUIET_UNKNOWN = 5.0


def is_idle(doing: Doing, facts: TerminalFacts, now: float, *, has_draft: bool) -> bool:
    """Tell whether an agent's process can be ended now without losing anything. Pure.

    Where its harness cannot tell what it does, a pause in its output has to say so.
    """
    if facts.exit is not None:
        return True
    if has_draft or doing is Doing.WORKING:
        return False
    quiet = _QUIET_WAITING if doing is Doing.WAITING else _QUIET_UNKNOWN
    return facts.last_output_at is None or now - facts.last_output_at >= quiet


class Conversion:
    """Moves agents between strategies."""

    def __init__(
        self, agents: Agents, terminals: Terminals, revival: Revival, strategies: Collection[str]
    ) -> None:
        self._agents = agents
        self._terminals = terminals
        self._revival = revival
        self._strategies = strategies

    async def convert(
        self, agent_id: AgentId, strategy: str, *, at_once: bool = False, patience: float = 30.0
    ) -> tuple[Agent, ResumePlan | None, list[str]]:
        """Move an agent to another strategy; return it, how it was brought back, and notes for the person.

        An agent that does not run is only noted to belong there, and is started there next.

        Args:
            agent_id: The agent's id.
            strategy: The name of the other one.
            at_once: Whether to end the process now, whatever it does.
            patience: How many seconds to wait for an idle moment.

        Raises:
            BadInputError: There is no such strategy.
            ConflictError: It is not idle, or cannot be brought back.
            UnreachableError: Its terminal does not answer.
            SpawnError: It could not be started there, and was brought back where it was.
        """
        if strategy not in self._strategies:
            raise BadInputError(
                f"There is no reconnect strategy {strategy!r}.",
                hint=f"There are: {', '.join(sorted(self._strategies))}.",
            )
        async with self._revival.alone_with(agent_id):
            agent = self._agents.agent(agent_id)
            record = self._agents.terminal_of(agent_id)
            if record is None:
                await self._agents.commit(msgspec.structs.replace(agent, strategy=strategy))
                return self._agents.agent(agent_id), None, []
            if record.strategy == strategy:
                raise ConflictError(
                    f"The terminal of {agent.label} is held by {strategy} already.",
                    hint="Nothing needs to be done.",
                )
            hub = self._terminals.hub(record.id)
            if not at_once:
                await self._until_idle(agent, hub, patience)
            ran = hub.facts.exit is None
            await self._terminals.end(
                record,
                AgentState.LOST if ran else agent.state,
                f"Its terminal was ended, to be held by {strategy}.",
            )
            now = msgspec.structs.replace(self._agents.agent(agent_id), strategy=strategy)
            await self._agents.commit(now)
            if not ran:
                return now, None, []
            await self._revival.until_let_go(now)
            plan, notes = await self._bring_back(now, record.strategy)
            return self._agents.agent(agent_id), plan, notes

    async def _until_idle(self, agent: Agent, hub: TerminalHub, patience: float) -> None:
        if hub.facts.exit is None and self._agents.conversation_of(agent.id) is None:
            raise ConflictError(
                f"{agent.label} has no conversation to resume, and what runs in its terminal would end.",
                hint="Add --now where that may be.",
                code="would-lose-work",
            )
        with anyio.move_on_after(patience):
            while True:
                doing = self._agents.doing_of(self._agents.agent(agent.id))
                if is_idle(doing, hub.facts, time.time(), has_draft=hub.has_draft):
                    return
                await anyio.sleep(_LOOK_AGAIN)
        raise ConflictError(
            f"{agent.label} was not idle within {patience:.0f} s.",
            hint="Try again when it waits for you, or add --now to interrupt it.",
            code="busy",
        )

    async def _bring_back(self, agent: Agent, before: str) -> tuple[ResumePlan, list[str]]:
        """Start the agent where it belongs now; where that cannot be, where it was before."""
        try:
            return await self._revival.bring_back_alone(agent.id, interrupted=False)
        except AfxError as error:
            log.warning("%s could not be moved: %s", agent.label, error.message)
            back = msgspec.structs.replace(self._agents.agent(agent.id), strategy=before)
            await self._agents.commit(back)
            await self._revival.bring_back_alone(agent.id, interrupted=False)
            raise

"""Brings agents back, each once at a time: `inquiry` finds the facts, `resume` plans, and it is done here."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec

from afx.api.errors import BadInputError, ConflictError
from afx.api.harness import Rung
from afx.api.model import (
    Agent,
    AgentId,
    AgentState,
    ConversationId,
    Message,
)

from . import interruption
from .agents import Agents
from .inquiry import Inquiry
from .resume import Action, ResumePlan, plan
from .starter import Starter

log = logging.getLogger("afx.revival")

_LETS_GO_WITHIN = 10.0
_LOOK_AGAIN = 0.1
_NOT_INTERRUPTED = frozenset({AgentState.STOPPED, AgentState.EXITED})


class Revival:
    """Brings agents back by the resume chain."""

    def __init__(
        self,
        *,
        agents: Agents,
        inquiry: Inquiry,
        starter: Starter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._agents = agents
        self._inquiry = inquiry
        self._starter = starter
        self._clock = clock
        self._locks: dict[AgentId, anyio.Lock] = {}

    def forget(self, agent_id: AgentId) -> None:
        """Forget about an agent that was removed."""
        self._locks.pop(agent_id, None)

    @asynccontextmanager
    async def alone_with(self, agent_id: AgentId) -> AsyncIterator[None]:
        """Be the only one who starts, stops or removes an agent, in this process and beside others.

        Raises:
            ConflictError: Another live process is bringing it back.
        """
        async with self._locks.setdefault(agent_id, anyio.Lock()), self._agents.claimed(agent_id):
            yield

    async def make_plan(
        self,
        agent: Agent,
        *,
        wanted: ConversationId | None = None,
        only_fresh: bool = False,
        failed: frozenset[Rung] = frozenset(),
    ) -> ResumePlan:
        """Say how an agent would be brought back now. Changes nothing."""
        return plan(await self._inquiry.facts(agent, wanted, failed, only_fresh=only_fresh))

    async def bring_back(
        self,
        agent_id: AgentId,
        *,
        wanted: ConversationId | None = None,
        only_fresh: bool = False,
        failed: frozenset[Rung] = frozenset(),
    ) -> tuple[ResumePlan, list[str]]:
        """Bring an agent back, and return the plan that was carried out and notes for the person.

        Raises:
            ConflictError: It cannot be brought back; the sentence is the plan's.
            SpawnError: Its program could not be started.
            UnreachableError: Its terminal does not answer.
        """
        async with self.alone_with(agent_id):
            return await self.bring_back_alone(agent_id, wanted=wanted, only_fresh=only_fresh, failed=failed)

    async def bring_back_alone(
        self,
        agent_id: AgentId,
        *,
        wanted: ConversationId | None = None,
        only_fresh: bool = False,
        failed: frozenset[Rung] = frozenset(),
        interrupted: bool = True,
    ) -> tuple[ResumePlan, list[str]]:
        """Do what `bring_back` does, for a caller who is `alone_with` the agent already.

        Unless it was `interrupted`, it is told of no interruption.
        """
        agent = self._agents.agent(agent_id)
        made = await self.make_plan(agent, wanted=wanted, only_fresh=only_fresh, failed=failed)
        match made.action:
            case Action.ATTACH:
                self._refuse_another(agent, wanted, only_fresh=only_fresh)
                return made, [f"{agent.label} runs already."]
            case Action.WAIT | Action.REFUSE:
                raise ConflictError(
                    f"{agent.label} cannot be brought back. {made.why}",
                    hint=f"`afx explain {agent.label}` says what was weighed.",
                    code="cannot-resume",
                )
            case Action.RESUME | Action.BEGIN:
                also = await self._what_happened(agent, made) if interrupted else []
                return made, await self._starter.start(agent, made, also=also)

    def _refuse_another(self, agent: Agent, wanted: ConversationId | None, *, only_fresh: bool) -> None:
        """Refuse a running agent another conversation than it is in: it would be passed over in silence."""
        current = self._agents.conversation_of(agent.id)
        if not only_fresh and (wanted is None or (current is not None and current.id == wanted)):
            return
        raise ConflictError(
            f"{agent.label} runs, and changes its conversation only when it is brought back.",
            hint=f"End it with `afx stop {agent.label}` first.",
        )

    async def until_let_go(self, agent: Agent) -> None:
        """Wait for what is left of an agent's program to let go of its conversation; not for ever.

        A program may end a moment after what started it, or after its terminal.
        """
        with anyio.move_on_after(_LETS_GO_WITHIN):
            # No event tells that another program has closed its files.
            while await self._inquiry.is_held(agent):  # noqa: ASYNC110
                await anyio.sleep(_LOOK_AGAIN)

    async def choose(self, agent_id: AgentId, wanted: ConversationId | None) -> Agent:
        """Say which of an agent's conversations it is resumed with next; None takes the last choice back.

        Raises:
            BadInputError: It never had such a conversation, or there is no choice to take back.
        """
        async with self.alone_with(agent_id):
            agent = self._agents.agent(agent_id)
            if wanted is None and agent.conversation == agent.conversation_before:
                raise BadInputError(
                    f"No conversation was ever chosen for {agent.label}, so there is no choice to take back.",
                    hint=f"`afx conversations use {agent.label} ID` chooses one.",
                )
            if wanted is None:
                chosen = msgspec.structs.replace(
                    agent, conversation=agent.conversation_before, conversation_before=agent.conversation
                )
            elif any(one.id == wanted for one in self._agents.conversations(agent_id)):
                chosen = msgspec.structs.replace(
                    agent, conversation=wanted, conversation_before=agent.conversation
                )
            else:
                raise BadInputError(
                    f"{agent.label} never had a conversation {wanted!r}.",
                    hint=f"`afx conversations {agent.label}` lists those it had.",
                )
            await self._agents.commit(chosen)
            return chosen

    async def _what_happened(self, agent: Agent, made: ResumePlan) -> list[Message]:
        """Return the message by which a resumed agent learns that it was interrupted, in place of older ones.

        It is delivered once the agent's program has come up.
        """
        if made.action is not Action.RESUME or agent.state in _NOT_INTERRUPTED:
            return []
        now = self._clock()
        record = self._agents.terminal_of(agent.id)
        ended = None if record is None else record.exit
        written_at = None
        if ended is None and made.session_id is not None:
            written_at = await self._inquiry.written_at(agent, made.session_id)
        text = interruption.message(
            agent.reason,
            ended_at=None if ended is None else ended.at,
            written_at=written_at,
            now=now,
        )
        waiting = self._agents.waiting(agent.id)
        older = [one for one in waiting if one.text.startswith(interruption.PREFIX)]
        return [
            *(msgspec.structs.replace(one, delivered_at=now) for one in older),
            Message(id=os.urandom(8).hex(), agent_id=agent.id, text=text, at=now),
        ]

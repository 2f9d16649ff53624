"""Brings agents back: gathers the facts, has `resume` make the plan, and carries it out, once for each agent.

Asking a harness about transcripts is bounded in time; what is not answered is unknown, which erases nothing.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec

from afx.api.errors import AfxError, BadInputError, ConflictError, PluginError
from afx.api.harness import Evidence, HarnessSession, Place, Rung, Transcript
from afx.api.model import (
    Agent,
    AgentId,
    AgentState,
    Conversation,
    ConversationId,
    ConversationSource,
    Message,
)

from . import interruption
from .agents import Agents
from .resume import Action, Facts, FoundTranscript, Presence, ResumePlan, StoredConversation, plan
from .starter import Starter
from .terminals import Terminals

log = logging.getLogger("afx.revival")

Answer = TypeVar("Answer")

_MOST_ASKED = 20
_ANSWER_WITHIN = 5.0
_LETS_GO_WITHIN = 10.0
_LOOK_AGAIN = 0.1
_NOT_INTERRUPTED = frozenset({AgentState.STOPPED, AgentState.EXITED})


class Revival:
    """Brings agents back by the resume chain."""

    def __init__(
        self,
        *,
        agents: Agents,
        terminals: Terminals,
        starter: Starter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._agents = agents
        self._terminals = terminals
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
        return plan(await self._facts(agent, wanted, failed, only_fresh=only_fresh))

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
                return made, [f"{agent.kind}/{agent.name} runs already."]
            case Action.WAIT | Action.REFUSE:
                raise ConflictError(
                    f"{agent.kind}/{agent.name} cannot be brought back. {made.why}",
                    hint=f"`afx explain {agent.kind}/{agent.name}` says what was weighed.",
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
        label = f"{agent.kind}/{agent.name}"
        raise ConflictError(
            f"{label} runs, and changes its conversation only when it is brought back.",
            hint=f"End it with `afx stop {label}` first.",
        )

    async def until_let_go(self, agent: Agent) -> None:
        """Wait for what is left of an agent's program to let go of its conversation; not for ever.

        A program may end a moment after what started it, or after its terminal.
        """
        harness = self._starter.harness_of(agent)
        conversation = self._agents.conversation_of(agent.id)
        if harness is None or harness.session is None or conversation is None:
            return
        place = self._starter.place_of(agent)
        with anyio.move_on_after(_LETS_GO_WITHIN):
            while True:
                if await _answer(harness.session.held_by(conversation.id, place), None) is None:
                    return
                await anyio.sleep(_LOOK_AGAIN)

    async def choose(self, agent_id: AgentId, wanted: ConversationId | None) -> Agent:
        """Say which of an agent's conversations it is resumed with next; None takes the last choice back.

        Raises:
            BadInputError: It never had such a conversation, or there is no choice to take back.
        """
        async with self.alone_with(agent_id):
            agent = self._agents.agent(agent_id)
            label = f"{agent.kind}/{agent.name}"
            if wanted is None and agent.conversation == agent.conversation_before:
                raise BadInputError(
                    f"No conversation was ever chosen for {label}, so there is no choice to take back.",
                    hint=f"`afx conversations use {label} ID` chooses one.",
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
                    f"{label} never had a conversation {wanted!r}.",
                    hint=f"`afx conversations {label}` lists those it had.",
                )
            await self._agents.commit(chosen)
            return chosen

    async def transcripts(self, agent: Agent) -> list[tuple[Conversation, Transcript | None]]:
        """Return an agent's conversations, each with what lies of it on disk."""
        described: dict[ConversationId, Transcript | None] = {}
        known = self._agents.conversations(agent.id)

        async def describe(one: Conversation) -> None:
            its = msgspec.structs.replace(agent, harness=one.harness)
            try:
                harness, place = self._starter.harness_of(its), self._starter.place_of(its)
            except PluginError:
                return
            if harness is not None and harness.session is not None:
                described[one.id] = await _answer(harness.session.describe(one.id, place), None)

        async with anyio.create_task_group() as questions:
            for one in known[:_MOST_ASKED]:
                questions.start_soon(describe, one)
        return [(one, described.get(one.id)) for one in known]

    async def _facts(
        self,
        agent: Agent,
        wanted: ConversationId | None,
        failed: frozenset[Rung],
        *,
        only_fresh: bool,
    ) -> Facts:
        presence = self._presence(agent)
        if presence in {Presence.LIVE, Presence.UNREACHABLE}:
            return Facts(presence=presence)
        trouble = ""
        session: HarnessSession | None = None
        place = Place(cwd=Path(agent.cwd), env={})
        try:
            harness, place = self._starter.harness_of(agent), self._starter.place_of(agent)
        except PluginError as error:
            trouble = error.message
        else:
            session = None if harness is None else harness.session
            if harness is not None and harness.find(place.env) is None:
                trouble = f"The program of the harness {harness.name} is not installed."
        alone = self._is_alone(agent)
        seeks = session is not None and alone and Rung.DISCOVERED in session.chain
        return Facts(
            presence=presence,
            directory_is_there=await anyio.Path(place.cwd).is_dir(),
            harness=agent.harness,
            trouble=trouble,
            chain=() if session is None else session.chain,
            alone=alone,
            stored=await self._stored(agent, session, place, wanted),
            found=await self._found(agent, session, place) if session is not None and seeks else (),
            wanted=wanted,
            only_fresh=only_fresh,
            failed=failed,
        )

    def _presence(self, agent: Agent) -> Presence:
        record = self._agents.terminal_of(agent.id)
        if record is None:
            return Presence.NONE
        hub = self._terminals.connected(record.id)
        if hub is None:
            return Presence.UNREACHABLE
        return Presence.LIVE if hub.facts.exit is None else Presence.ENDED

    def _is_alone(self, agent: Agent) -> bool:
        """Whether only this agent works in its directory. The repository itself is the person's as well."""
        if agent.cwd == agent.workspace:
            return False
        return not any(other.cwd == agent.cwd and other.id != agent.id for other in self._agents.all())

    async def _stored(
        self, agent: Agent, session: HarnessSession | None, place: Place, wanted: ConversationId | None
    ) -> tuple[StoredConversation, ...]:
        known = self._agents.conversations(agent.id)
        asked = [one for one in known[:_MOST_ASKED] if one.harness == agent.harness]
        if wanted is not None and session is not None and session.is_id(wanted):
            # One that the agent never had is weighed as any other: it may be gone, or somebody's.
            if all(one.id != wanted for one in known):
                known = [_given(agent, wanted), *known]
            asked = [one for one in known if one.id == wanted]
        weighed: dict[ConversationId, StoredConversation] = {}

        async def weigh(one: Conversation) -> None:
            weighed[one.id] = StoredConversation(
                id=one.id,
                harness=one.harness,
                source=one.source,
                evidence=await _verify(session, one.id, place),
                held_by=await self._held_by(agent, session, one.id, place),
            )

        async with anyio.create_task_group() as questions:
            for one in asked:
                questions.start_soon(weigh, one)
        return tuple(
            weighed.get(one.id) or StoredConversation(id=one.id, harness=one.harness, source=one.source)
            for one in known
            if one.id in weighed or one.harness != agent.harness
        )

    async def _found(
        self, agent: Agent, session: HarnessSession, place: Place
    ) -> tuple[FoundTranscript, ...]:
        transcripts: Sequence[Transcript] = await _answer(session.discover(place), ())
        real = await anyio.Path(place.cwd).resolve()
        found = []
        for transcript in transcripts[:_MOST_ASKED]:
            # A harness has to look for this itself; that it is so is a rule of safety, and so it is ours.
            is_of_here = await anyio.Path(transcript.cwd).resolve() == real
            if not is_of_here or not session.is_id(transcript.session_id):
                continue
            holder = await self._held_by(agent, session, transcript.session_id, place, or_owned=True)
            found.append(
                FoundTranscript(id=transcript.session_id, modified_at=transcript.modified_at, held_by=holder)
            )
        return tuple(found)

    async def _held_by(
        self,
        agent: Agent,
        session: HarnessSession | None,
        conversation_id: ConversationId,
        place: Place,
        *,
        or_owned: bool = False,
    ) -> str:
        """Say who has a conversation open, or (`or_owned`) whose it is; empty where nobody is known to."""
        for owner in self._agents.owners(conversation_id):
            if owner.id == agent.id:
                continue
            current = self._agents.conversation_of(owner.id)
            is_open = self._presence(owner) in {Presence.LIVE, Presence.UNREACHABLE}
            if or_owned or (is_open and current is not None and current.id == conversation_id):
                return f"{owner.kind}/{owner.name}"
        if session is None:
            return ""
        process = await _answer(session.held_by(conversation_id, place), None)
        return "" if process is None else f"process {process.pid}"

    async def _what_happened(self, agent: Agent, made: ResumePlan) -> list[Message]:
        """Return the message by which a resumed agent learns that it was interrupted, in place of older ones.

        It is delivered once the agent's program has come up.
        """
        if made.action is not Action.RESUME or agent.state in _NOT_INTERRUPTED:
            return []
        now = self._clock()
        record = self._agents.terminal_of(agent.id)
        ended = None if record is None else record.exit
        text = interruption.message(
            agent.reason,
            ended_at=None if ended is None else ended.at,
            written_at=await self._written_at(agent, made) if ended is None else None,
            now=now,
        )
        waiting = self._agents.waiting(agent.id)
        older = [one for one in waiting if one.text.startswith(interruption.PREFIX)]
        return [
            *(msgspec.structs.replace(one, delivered_at=now) for one in older),
            Message(id=os.urandom(8).hex(), agent_id=agent.id, text=text, at=now),
        ]

    async def _written_at(self, agent: Agent, made: ResumePlan) -> float | None:
        """Return when the transcript of the conversation that is resumed was last written to."""
        harness = self._starter.harness_of(agent)
        if harness is None or harness.session is None or made.session_id is None:
            return None
        found = await _answer(harness.session.describe(made.session_id, self._starter.place_of(agent)), None)
        return None if found is None else found.modified_at


def _given(agent: Agent, wanted: ConversationId) -> Conversation:
    return Conversation(
        agent_id=agent.id,
        id=wanted,
        harness=agent.harness or "",
        source=ConversationSource.GIVEN,
        at=0.0,
    )


async def _verify(session: HarnessSession | None, conversation_id: ConversationId, place: Place) -> Evidence:
    if session is None:
        return Evidence.UNKNOWN
    return await _answer(session.verify(conversation_id, place), Evidence.UNKNOWN)


async def _answer(question: Awaitable[Answer], otherwise: Answer) -> Answer:
    """Return what a harness answers, or `otherwise` where it does not in time, or fails."""
    with anyio.move_on_after(_ANSWER_WITHIN):
        try:
            return await question
        except (AfxError, OSError) as error:
            log.info("A harness could not say: %s", error)
        except Exception:
            # A plugin's mistake costs its answer, and nothing else.
            log.exception("A harness failed.")
    return otherwise

"""Finds out what a plan is made from: whether an agent runs, and what there is of its conversations.

Asking a harness about transcripts is bounded in time; what is not answered is unknown, which erases nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec

from afx.api.errors import AfxError, PluginError
from afx.api.harness import Evidence, HarnessSession, Place, Rung, Transcript
from afx.api.model import Agent, Conversation, ConversationId, ConversationSource

from .agents import Agents
from .resume import Facts, FoundTranscript, Presence, StoredConversation
from .starter import Starter
from .terminals import Terminals

log = logging.getLogger("afx.revival")

Answer = TypeVar("Answer")

_MOST_ASKED = 20
_ANSWER_WITHIN = 5.0


class Inquiry:
    """Asks harnesses, and the terminals. Changes nothing."""

    def __init__(self, agents: Agents, terminals: Terminals, starter: Starter) -> None:
        self._agents = agents
        self._terminals = terminals
        self._starter = starter

    async def facts(
        self,
        agent: Agent,
        wanted: ConversationId | None,
        failed: frozenset[Rung],
        *,
        only_fresh: bool,
    ) -> Facts:
        """Return all that decides how an agent is brought back; the arguments are as in `Facts`."""
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

    async def written_at(self, agent: Agent, conversation_id: ConversationId) -> float | None:
        """Return when the transcript of a conversation was last written to; None where that is not known."""
        harness = self._starter.harness_of(agent)
        if harness is None or harness.session is None:
            return None
        found = await _answer(harness.session.describe(conversation_id, self._starter.place_of(agent)), None)
        return None if found is None else found.modified_at

    async def is_held(self, agent: Agent) -> bool:
        """Tell whether a process is known to have the conversation open that an agent is in."""
        harness = self._starter.harness_of(agent)
        conversation = self._agents.conversation_of(agent.id)
        if harness is None or harness.session is None or conversation is None:
            return False
        question = harness.session.held_by(conversation.id, self._starter.place_of(agent))
        return await _answer(question, None) is not None

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
                return owner.label
        if session is None:
            return ""
        process = await _answer(session.held_by(conversation_id, place), None)
        return "" if process is None else f"process {process.pid}"


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

"""How an agent is brought back: the resume chain, from facts to a plan with reasons.

Everything here is pure. The facts are gathered by `afx.tower.inquiry`, and `afx.tower.revival` carries the
plan out. The rules of safety are the core's and hold for every harness: a live terminal is attached to and
never resumed beside; a conversation has one holder; transcripts are searched only in a directory that is the
agent's alone; and no doubt ever erases anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from afx.api.harness import Evidence, Rung
from afx.api.model import ConversationId, ConversationSource


class Presence(StrEnum):
    """What there is of an agent's terminal."""

    NONE = "none"
    """It has no terminal: its holder is gone, or it never had one."""
    LIVE = "live"
    """Its program runs."""
    UNREACHABLE = "unreachable"
    """Its holder lives, or may live, and does not answer."""
    ENDED = "ended"
    """Its program ended, and the holder is there."""


class StoredConversation(msgspec.Struct, frozen=True, kw_only=True):
    """An id that is stored with the agent.

    Attributes:
        evidence: What its harness says of its transcript; UNKNOWN where it could not be asked.
        held_by: Who has the conversation open, in words; empty where nobody is known to.
    """

    id: ConversationId
    harness: str
    source: ConversationSource
    evidence: Evidence = Evidence.UNKNOWN
    held_by: str = ""


class FoundTranscript(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation found on disk, recorded for exactly the agent's directory.

    Attributes:
        held_by: Who has it open, or whose it is, in words; empty where it is nobody's.
    """

    id: ConversationId
    modified_at: float
    held_by: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the choice depends on.

    Attributes:
        directory_is_there: Whether the directory the agent works in exists.
        harness: Its harness; None for a plain shell.
        trouble: Why its program cannot be started, in words; empty where it can.
        chain: The rungs of its harness's sessions, in order; empty where it has no sessions.
        alone: Whether no other agent ever worked in its directory.
        stored: Its stored conversations, newest first; `wanted` among them where that can be an id at all.
        found: Conversations found on disk, newest first.
        wanted: The id that a person asked for.
        only_fresh: Whether a person asked for a new conversation.
        failed: Rungs that were tried just now and failed again and again.
    """

    presence: Presence = Presence.NONE
    directory_is_there: bool = True
    harness: str | None = None
    trouble: str = ""
    chain: tuple[Rung, ...] = ()
    alone: bool = False
    stored: tuple[StoredConversation, ...] = ()
    found: tuple[FoundTranscript, ...] = ()
    wanted: ConversationId | None = None
    only_fresh: bool = False
    failed: frozenset[Rung] = frozenset()


class Action(StrEnum):
    """What is to be done."""

    ATTACH = "attach"
    """It runs. Nothing is started."""
    WAIT = "wait"
    """It may run. Nothing is started until that is known."""
    RESUME = "resume"
    """Its program is started with a conversation of before."""
    BEGIN = "begin"
    """Its program is started with a new conversation."""
    REFUSE = "refuse"
    """Nothing can be done, and `ResumePlan.why` says why."""


class Confidence(StrEnum):
    """How sure it is that the agent comes back with its own conversation."""

    CERTAIN = "certain"
    LIKELY = "likely"
    NONE = "none"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One possibility that was weighed, and why it was chosen or passed over.

    Attributes:
        session_id: The conversation; None for a new one, or where a rung had none to offer.
        asked: False for a rung that was not weighed, since what is done was settled before.
    """

    rung: Rung
    session_id: ConversationId | None = None
    evidence: Evidence | None = None
    chosen: bool = False
    asked: bool = True
    why: str


class ResumePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and how that was found.

    Attributes:
        rung: The rung that was chosen; None where nothing is started.
        session_id: The conversation to resume; None where there is none.
        why: The outcome in one sentence.
        steps: Everything that was weighed, in order, then the rungs that were not asked any more.
    """

    action: Action
    rung: Rung | None = None
    session_id: ConversationId | None = None
    confidence: Confidence = Confidence.NONE
    why: str
    steps: tuple[Step, ...] = ()


def plan(facts: Facts) -> ResumePlan:
    """Choose how an agent is brought back."""
    match facts.presence:
        case Presence.LIVE:
            return ResumePlan(action=Action.ATTACH, confidence=Confidence.CERTAIN, why="It runs.")
        case Presence.UNREACHABLE:
            return ResumePlan(
                action=Action.WAIT,
                why="Its terminal does not answer and may live; nothing is started beside it.",
            )
        case _:
            pass
    if not facts.directory_is_there:
        return ResumePlan(action=Action.REFUSE, why="The directory it works in is gone.")
    if facts.trouble:
        return ResumePlan(action=Action.REFUSE, why=facts.trouble)
    if facts.harness is None:
        facts = msgspec.structs.replace(facts, chain=())
    if facts.wanted is not None and not facts.only_fresh:
        return _as_wanted(facts, facts.wanted)
    return _by_the_chain(facts)


def _as_wanted(facts: Facts, wanted: ConversationId) -> ResumePlan:
    """Resume what a person asked for, or refuse; nothing else would be what they asked for."""
    if not facts.chain:
        return ResumePlan(action=Action.REFUSE, why=_no_sessions(facts))
    known = next((stored for stored in facts.stored if stored.id == wanted), None)
    if known is None:
        return ResumePlan(
            action=Action.REFUSE, why=f"{wanted!r} is no id of a conversation of {facts.harness}."
        )
    objection = _objection(facts, known)
    why = objection or "A person asked for it."
    step = Step(rung=Rung.STORED, session_id=wanted, evidence=known.evidence, chosen=not objection, why=why)
    others = [rung for rung in facts.chain if rung is not Rung.STORED]
    steps = (step, *_not_asked(others, "A person asked for a certain conversation."))
    if objection:
        return ResumePlan(action=Action.REFUSE, why=f"Conversation {wanted}: {why}", steps=steps)
    return _resuming(step, steps)


def _by_the_chain(facts: Facts) -> ResumePlan:
    steps: list[Step] = []
    chain = facts.chain or (Rung.FRESH,)
    for number, rung in enumerate(chain, start=1):
        if facts.only_fresh and rung is not Rung.FRESH:
            steps.append(Step(rung=rung, why="A person asked for a new conversation."))
        elif rung in facts.failed:
            steps.append(Step(rung=rung, why="It was tried just now, and failed again and again."))
        else:
            match rung:
                case Rung.STORED:
                    steps.extend(_stored(facts))
                case Rung.DISCOVERED:
                    steps.append(_discovered(facts))
                case Rung.FRESH:
                    why = "A new conversation can always begin." if facts.chain else _no_sessions(facts)
                    if facts.harness is None:
                        why = "A shell has no conversation; it is started anew."
                    steps.append(Step(rung=rung, chosen=True, why=why))
        if steps and steps[-1].chosen:
            below = _not_asked(chain[number:], f"The rung {rung.value} comes before it.")
            return _resuming(steps[-1], (*steps, *below))
    return ResumePlan(action=Action.REFUSE, why="Every way to bring it back has failed.", steps=tuple(steps))


def _not_asked(rungs: Iterable[Rung], why: str) -> list[Step]:
    return [Step(rung=rung, asked=False, why=why) for rung in rungs]


def _stored(facts: Facts) -> list[Step]:
    """Weigh the stored ids, newest first, up to the first that can be resumed."""
    steps = []
    for stored in facts.stored:
        objection = _objection(facts, stored)
        why = objection or (
            "It is the newest stored conversation, and its transcript is there."
            if stored.evidence is Evidence.FOUND
            else "It is the newest stored conversation; nothing speaks against it."
        )
        steps.append(
            Step(
                rung=Rung.STORED,
                session_id=stored.id,
                evidence=stored.evidence,
                chosen=not objection,
                why=why,
            )
        )
        if not objection:
            return steps
    return steps or [Step(rung=Rung.STORED, why="No conversation is stored.")]


def _objection(facts: Facts, stored: StoredConversation) -> str:
    """Say what speaks against resuming a stored conversation; empty where nothing does."""
    if stored.harness != facts.harness:
        return f"It is a conversation of {stored.harness}, not of {facts.harness}."
    if stored.held_by:
        return f"It is open in {stored.held_by}."
    if stored.evidence is Evidence.MISSING:
        return "There is no transcript of it that could be resumed."
    return ""


def _discovered(facts: Facts) -> Step:
    """Weigh what was found on disk. What is shared says nothing about whose it is."""
    rung = Rung.DISCOVERED
    if not facts.alone:
        return Step(
            rung=rung,
            why="It does not have its directory to itself, so a transcript there may be somebody else's.",
        )
    free = [found for found in facts.found if not found.held_by]
    if free:
        return Step(
            rung=rung,
            session_id=free[0].id,
            evidence=Evidence.FOUND,
            chosen=True,
            why="It is the newest transcript of its directory, where no other agent works.",
        )
    if facts.found:
        return Step(
            rung=rung,
            session_id=facts.found[0].id,
            evidence=Evidence.FOUND,
            why=f"The transcript that was found belongs to {facts.found[0].held_by}.",
        )
    return Step(rung=rung, why="There is no transcript of its directory.")


def _resuming(step: Step, steps: tuple[Step, ...]) -> ResumePlan:
    if step.session_id is None:
        return ResumePlan(action=Action.BEGIN, rung=step.rung, why=step.why, steps=steps)
    is_certain = step.rung is Rung.STORED and step.evidence is Evidence.FOUND
    return ResumePlan(
        action=Action.RESUME,
        rung=step.rung,
        session_id=step.session_id,
        confidence=Confidence.CERTAIN if is_certain else Confidence.LIKELY,
        why=step.why,
        steps=steps,
    )


def _no_sessions(facts: Facts) -> str:
    if facts.harness is None:
        return "A shell has no conversations."
    return f"The harness {facts.harness} has no conversations that could be resumed."

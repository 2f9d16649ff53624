"""What the Tower makes of what it finds: records x survivors -> decisions.

Everything here is pure. It is asked at boot, and again for terminals that could not be reached then. The
one rule above all others: only proof of death lets a record be pruned; doubt changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from afx.api.model import Agent, AgentId, AgentState, Exit, TerminalId, TerminalRecord
from afx.api.strategy import Cause, Life, Orphan, Survival


class Reconnect(msgspec.Struct, frozen=True):
    """The terminal survived: connect to it under its id."""

    record: TerminalRecord


class FinishStop(msgspec.Struct, frozen=True):
    """The terminal survived, but a person had stopped its agent: finish what was begun."""

    record: TerminalRecord


class Prune(msgspec.Struct, frozen=True):
    """The terminal is provably gone: remove its row; its agent stays."""

    record: TerminalRecord
    reason: str
    exit: Exit | None = None
    cause: Cause = Cause.FAILURE


class Wait(msgspec.Struct, frozen=True):
    """Nothing is proven: show the terminal as unreachable, change nothing, ask again."""

    record: TerminalRecord
    reason: str


class Adopt(msgspec.Struct, frozen=True):
    """A live terminal without a record belongs to an agent that has none: it becomes the agent's."""

    orphan: Orphan


class Report(msgspec.Struct, frozen=True):
    """A live terminal without a record whose agent is unknown, or has another terminal: list it."""

    orphan: Orphan


Decision: TypeAlias = Reconnect | FinishStop | Prune | Wait | Adopt | Report


def judge(record: TerminalRecord, survival: Survival | None, agent: Agent | None) -> Decision:
    """Decide about one recorded terminal.

    Args:
        record: What is stored of it.
        survival: What the survey found; None where its strategy said nothing, or is not there to be asked.
        agent: Its agent; None where that is unknown or was removed.
    """
    if survival is None:
        return Wait(record, f"The reconnect strategy {record.strategy!r} said nothing about it.")
    match survival.life:
        case Life.DEAD:
            reason = survival.reason or "Its holder is gone."
            return Prune(record, reason, survival.exit, survival.cause)
        case Life.NO_ANSWER:
            return Wait(record, survival.reason or "Its holder does not answer.")
        case Life.ALIVE:
            unwanted = agent is None or agent.removed_at is not None or agent.state is AgentState.STOPPED
            return FinishStop(record) if unwanted else Reconnect(record)


def reconcile(
    *,
    host: str,
    agents: Mapping[AgentId, Agent],
    records: Iterable[TerminalRecord],
    survivals: Mapping[TerminalId, Survival],
    orphans: Iterable[Orphan],
) -> list[Decision]:
    """Decide about every recorded terminal of `host` and every live one that no record names.

    Records of other hosts are passed over: their terminals cannot be seen from here.
    """
    decisions: list[Decision] = []
    named: set[TerminalId] = set()
    taken: set[AgentId] = set()
    for record in records:
        if record.host != host:
            continue
        named.add(record.id)
        decision = judge(record, survivals.get(record.id), agents.get(record.agent_id))
        if not isinstance(decision, Prune):
            taken.add(record.agent_id)
        decisions.append(decision)
    for orphan in sorted(orphans, key=lambda orphan: -orphan.started_at):
        if orphan.terminal_id in named:
            continue
        agent = agents.get(orphan.agent_id)
        wanted = agent is not None and agent.removed_at is None and agent.state is not AgentState.STOPPED
        if wanted and orphan.agent_id not in taken:
            taken.add(orphan.agent_id)
            decisions.append(Adopt(orphan))
        else:
            decisions.append(Report(orphan))
    return decisions

"""What it means for an agent that its process has ended, that its terminal is gone, or is found again.

Everything here is pure: from what was seen to the agent and the row as they are to be stored.
"""

from __future__ import annotations

import signal
from typing import NamedTuple

import msgspec

from afx.api.model import Agent, AgentState, Exit, TerminalRecord
from afx.api.strategy import Cause, TerminalFacts

from .reconcile import Prune


class Return(NamedTuple):
    """A terminal that is connected again, and whose it is.

    Attributes:
        ended: Whether its process has ended, and nobody has dealt with that yet.
    """

    agent: Agent
    record: TerminalRecord
    ended: bool


def describe(end: Exit) -> str:
    """Say in one sentence how a process ended."""
    if end.signal is not None:
        try:
            return f"Its process was ended by {signal.Signals(end.signal).name}."
        except ValueError:
            return f"Its process was ended by signal {end.signal}."
    if end.code is None:
        return "Its process ended; how is not known."
    return f"Its process ended with exit code {end.code}."


def after_end(agent: Agent, end: Exit) -> Agent:
    """Return an agent as it is once its process has ended."""
    state = AgentState.EXITED if end.ok else AgentState.CRASHED
    return msgspec.structs.replace(agent, state=state, reason=describe(end))


def after_loss(agent: Agent, loss: Prune) -> Agent:
    """Return an agent as it is once its terminal is gone. One that was stopped, or given up, stays so."""
    if agent.state is AgentState.STOPPED or agent.removed_at is not None:
        return agent
    if loss.cause is Cause.CLOSED:
        return msgspec.structs.replace(agent, state=AgentState.EXITED, reason=loss.reason)
    if agent.state is AgentState.NEEDS_ATTENTION:
        return agent
    end = loss.exit or loss.record.exit
    if end is None or (loss.cause is Cause.SHUT_DOWN and not end.ok):
        return msgspec.structs.replace(agent, state=AgentState.LOST, reason=loss.reason)
    return after_end(agent, end)


def after_return(
    agent: Agent, record: TerminalRecord, facts: TerminalFacts, *, adopted: bool = False
) -> Return:
    """Return what is so with a terminal that is connected again, or (`adopted`) for the first time."""
    current = msgspec.structs.replace(
        record, process=facts.process or record.process, size=facts.size, exit=facts.exit
    )
    if facts.exit is None:
        if agent.state is not AgentState.RUNNING:
            agent = msgspec.structs.replace(agent, state=AgentState.RUNNING, reason="")
        return Return(agent, current, ended=False)
    if record.exit is None or adopted:
        return Return(after_end(agent, facts.exit), current, ended=True)
    # Noted by a Tower that died before it could do anything about it. Of a shell it was only told.
    return Return(agent, current, ended=agent.state is AgentState.CRASHED and agent.harness is not None)

"""What must be true of a Tower once nothing happens any more, and it had time to deal with what did."""

from __future__ import annotations

from collections.abc import Iterator

from afx.api.model import Agent, AgentState
from afx.tower.tower import Tower

from .machine import Machine


def amiss(machine: Machine, tower: Tower) -> Iterator[str]:
    """Yield a sentence for everything that is not as it should be."""
    holders = machine.world.holders
    stored = machine.stored()
    if {one.id: one for one in stored.agents} != tower.agents.by_id():
        yield "Of agents something else is stored than the Tower says."
    if {one.id: one for one in stored.terminals} != {one.id: one for one in tower.agents.terminals()}:
        yield "Of terminals something else is stored than the Tower says."
    recorded = {record.id for record in tower.agents.terminals()}
    for agent in tower.agents.all():
        yield from _of_agent(machine, tower, agent)
    for record in tower.agents.terminals():
        if record.id not in holders:
            yield f"Terminal {record.id} still has a row, and its holder is gone."
    listed = {orphan.terminal_id for orphan in machine.run(tower.survivors.seek_orphans())}
    for terminal_id, holder in holders.items():
        if terminal_id not in recorded | listed and not holder.hangs:
            yield f"Terminal {terminal_id} lives, and is invisible: neither a row nor an orphan."
    for terminal_id, program in machine.programs.living().items():
        one = program.conversation
        is_seen = terminal_id in recorded and not holders[terminal_id].hangs
        is_stored = one in machine.ledger.stored.get(program.agent_id, ())
        if is_seen and one in machine.programs.transcripts and not is_stored:
            yield f"{one} is what agent {program.agent_id} is in, and it is stored nowhere."


def _of_agent(machine: Machine, tower: Tower, agent: Agent) -> Iterator[str]:
    record = tower.agents.terminal_of(agent.id)
    holder = None if record is None else machine.world.holders.get(record.id)
    state, reason = tower.agents.state_of(agent)
    name = agent.label
    if holder is None:
        if state is AgentState.RUNNING:
            yield f"{name} counts as running, and has no terminal."
        return
    if holder.hangs:
        if state not in {AgentState.UNREACHABLE, AgentState.STOPPED} and holder.hold is None:
            yield f"{name} does not answer, and counts as {state}."
    elif holder.hold is None:
        yield f"{name} has a holder that answers, and is not connected to it: {state}. {reason}"
    elif state is AgentState.STOPPED:
        yield f"{name} was stopped on purpose, and its terminal is still there."
    elif (state is AgentState.RUNNING) is not (holder.exit is None):
        yield f"{name} counts as {state}, and its program ended with {holder.exit}."
    elif state is AgentState.CRASHED:
        yield f"{name} crashed, and nothing is done about it: {reason}"

"""The Tower's state as clients see it. Reading it asks nobody and changes nothing."""

from __future__ import annotations

import os

from afx import __version__
from afx.api.model import Agent, TerminalRecord, TerminalState
from afx.api.strategy import Orphan
from afx.installed import DIRECTORY
from afx.tower.tower import Tower

from .wire import (
    AgentView,
    BrokenPluginView,
    ConversationView,
    OrphanView,
    StateView,
    TerminalView,
    TowerView,
    WorkspaceView,
)


def state_view(tower: Tower, url: str, page_build: str) -> StateView:
    """Return everything there is to know."""
    agents = tower.agents
    return StateView(
        version=tower.version,
        tower=TowerView(
            pid=os.getpid(),
            version=__version__,
            url=url,
            started_at=tower.started_at,
            home=str(tower.home),
            host=agents.host,
            installed_in=DIRECTORY,
            page=page_build,
        ),
        workspaces=[
            WorkspaceView(
                path=workspace.path,
                name=workspace.name,
                active=workspace.active,
                agents=[agent_view(tower, agent) for agent in members],
            )
            for workspace, members in agents.by_workspace()
        ],
        orphans=[orphan_view(orphan) for orphan in tower.survivors.orphans],
        plugins=[
            BrokenPluginView(name=row.name, state=row.state, error=row.error, hint=row.hint, since=row.since)
            for row in tower.plugins.rows()
            if row.state != "active"
        ],
    )


def orphan_view(orphan: Orphan) -> OrphanView:
    """Return an orphan as clients see it."""
    return OrphanView(
        terminal_id=orphan.terminal_id,
        agent_id=orphan.agent_id,
        strategy=orphan.strategy,
        started_at=orphan.started_at,
        note=orphan.note,
        name=orphan.name,
        cwd=orphan.cwd,
    )


def agent_view(tower: Tower, agent: Agent) -> AgentView:
    """Return one agent as clients see it."""
    agents = tower.agents
    state, reason = agents.state_of(agent)
    conversation = agents.conversation_of(agent.id)
    record = agents.terminal_of(agent.id)
    return AgentView(
        id=agent.id,
        kind=agent.kind,
        name=agent.name,
        harness=agent.harness,
        state=state,
        doing=agents.doing_of(agent),
        reason=reason,
        cwd=agent.cwd,
        branch=agent.branch,
        spawned_by=agent.spawned_by,
        task=agent.task,
        created_at=agent.created_at,
        waiting_messages=len(agents.waiting(agent.id)),
        conversation=None
        if conversation is None
        else ConversationView(id=conversation.id, source=conversation.source),
        terminal=None if record is None else terminal_view(tower, record),
    )


def terminal_view(tower: Tower, record: TerminalRecord) -> TerminalView:
    """Return one terminal as clients see it."""
    hub = tower.terminals.connected(record.id)
    facts = None if hub is None else hub.facts
    ended = record.exit or (None if facts is None else facts.exit)
    if tower.agents.why_unreachable(record.id) is not None:
        state = TerminalState.UNREACHABLE
    else:
        state = TerminalState.RUNNING if ended is None else TerminalState.EXITED
    return TerminalView(
        id=record.id,
        state=state,
        strategy=record.strategy,
        pid=None if record.process is None else record.process.pid,
        size=record.size if facts is None else facts.size,
        started_at=record.started_at,
        last_output_at=None if facts is None else facts.last_output_at,
        position=None if facts is None else str(facts.end),
        exit=ended,
        predecessors=record.predecessors,
    )

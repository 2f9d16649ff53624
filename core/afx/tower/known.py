"""What is stored of agents, terminals and conversations, held in memory, with what is known and not stored.

So reading the state costs no query and has no side effect. The only writer is `agents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from afx.api.errors import NotFoundError
from afx.api.harness import Doing
from afx.api.model import (
    Agent,
    AgentId,
    AgentKind,
    AgentState,
    Conversation,
    ConversationId,
    Message,
    TerminalId,
    TerminalRecord,
    Workspace,
    WorkspacePath,
)
from afx.api.storage import Changes

_KINDS = tuple(AgentKind)


class Known:
    """All that the Tower of one host knows of its agents. Reading changes nothing and asks nobody."""

    def __init__(self) -> None:
        self._workspaces: dict[WorkspacePath, Workspace] = {}
        self._agents: dict[AgentId, Agent] = {}
        self._conversations: dict[AgentId, list[Conversation]] = {}
        self._waiting: dict[AgentId, dict[str, Message]] = {}
        self._terminals: dict[TerminalId, TerminalRecord] = {}
        self._terminal_of: dict[AgentId, TerminalId] = {}
        self._unreachable: dict[TerminalId, str] = {}
        self._doing: dict[AgentId, Doing] = {}

    def workspaces(self) -> list[Workspace]:
        """Return all workspaces, by name."""
        return sorted(self._workspaces.values(), key=lambda workspace: (workspace.name, workspace.path))

    def workspace(self, path: WorkspacePath) -> Workspace:
        """Return a workspace by its path.

        Raises:
            NotFoundError: It is not known.
        """
        try:
            return self._workspaces[path]
        except KeyError:
            raise NotFoundError(
                f"{path} is no workspace of this Tower.", hint="Run `afx workspace start` in it."
            ) from None

    def all(self) -> Iterator[Agent]:
        """Yield every agent that was not removed."""
        return (agent for agent in self._agents.values() if agent.removed_at is None)

    def by_id(self) -> dict[AgentId, Agent]:
        """Return every agent there ever was, removed ones too."""
        return dict(self._agents)

    def present(self, agent_ids: Iterable[AgentId]) -> list[Agent]:
        """Return those of some agents that were not removed."""
        found = (self._agents.get(agent_id) for agent_id in agent_ids)
        return [agent for agent in found if agent is not None and agent.removed_at is None]

    def by_workspace(self) -> list[tuple[Workspace, list[Agent]]]:
        """Return all workspaces by name, each with its agents as `of_workspace` orders them."""
        members: dict[WorkspacePath, list[Agent]] = {path: [] for path in self._workspaces}
        for agent in sorted(self.all(), key=_by_kind_and_age):
            members.setdefault(agent.workspace, []).append(agent)
        return [(workspace, members[workspace.path]) for workspace in self.workspaces()]

    def of_workspace(self, path: WorkspacePath) -> list[Agent]:
        """Return a workspace's agents: architects first, then builders, then shells, each by age."""
        return sorted((agent for agent in self.all() if agent.workspace == path), key=_by_kind_and_age)

    def removed(self, agent_ids: Iterable[AgentId]) -> list[AgentId]:
        """Return those of some agents that were removed."""
        return [one for one in agent_ids if one in self._agents and self._agents[one].removed_at is not None]

    def agent(self, agent_id: AgentId) -> Agent:
        """Return an agent by its id.

        Raises:
            NotFoundError: There is none, or it was removed.
        """
        agent = self._agents.get(agent_id)
        if agent is None or agent.removed_at is not None:
            raise NotFoundError(f"There is no agent {agent_id!r}.", hint="`afx status` lists all agents.")
        return agent

    def find(self, workspace: WorkspacePath, kind: AgentKind, name: str) -> Agent | None:
        """Return the agent of this identity, if there is one."""
        for agent in self.all():
            if (agent.workspace, agent.kind, agent.name) == (workspace, kind, name):
                return agent
        return None

    def terminal_of(self, agent_id: AgentId) -> TerminalRecord | None:
        """Return the record of an agent's terminal, if it has one."""
        terminal_id = self._terminal_of.get(agent_id)
        return None if terminal_id is None else self._terminals[terminal_id]

    def terminal(self, terminal_id: TerminalId) -> TerminalRecord:
        """Return the record of a terminal.

        Raises:
            NotFoundError: There is none of this id.
        """
        try:
            return self._terminals[terminal_id]
        except KeyError:
            raise NotFoundError(f"There is no terminal {terminal_id!r}.") from None

    def terminals(self) -> list[TerminalRecord]:
        """Return the records of all terminals."""
        return list(self._terminals.values())

    def state_of(self, agent: Agent) -> tuple[AgentState, str]:
        """Return the state to show of an agent, and the sentence about it.

        An agent whose terminal cannot be reached is shown so; what is stored of it stays, since nothing
        is known to have changed.
        """
        terminal_id = self._terminal_of.get(agent.id)
        if terminal_id in self._unreachable and agent.state is not AgentState.STOPPED:
            return AgentState.UNREACHABLE, self._unreachable[terminal_id]
        return agent.state, agent.reason

    def doing_of(self, agent: Agent) -> Doing:
        """Return what an agent does, as far as its screen tells: only of one that runs."""
        runs = self.state_of(agent)[0] is AgentState.RUNNING
        return self._doing.get(agent.id, Doing.UNKNOWN) if runs else Doing.UNKNOWN

    def why_unreachable(self, terminal_id: TerminalId) -> str | None:
        """Return why a terminal cannot be reached now, or None where it can."""
        return self._unreachable.get(terminal_id)

    def conversations(self, agent_id: AgentId) -> list[Conversation]:
        """Return all conversations an agent ever had: the one a person chose first, then newest first."""
        mine = list(reversed(self._conversations.get(agent_id, ())))
        chosen = self._agents[agent_id].conversation
        return sorted(mine, key=lambda conversation: conversation.id != chosen)

    def conversation_of(self, agent_id: AgentId) -> Conversation | None:
        """Return the conversation an agent is in, or would be resumed with."""
        mine = self.conversations(agent_id)
        return mine[0] if mine else None

    def conversation_ids(self, *, but_of: AgentId) -> frozenset[ConversationId]:
        """Return the ids of all conversations of all agents but one."""
        return frozenset(
            conversation.id
            for agent_id, mine in self._conversations.items()
            if agent_id != but_of
            for conversation in mine
        )

    def owners(self, conversation_id: ConversationId) -> list[Agent]:
        """Return every agent, removed ones too, that ever had a conversation of this id."""
        return [
            self._agents[agent_id]
            for agent_id, mine in self._conversations.items()
            if any(conversation.id == conversation_id for conversation in mine)
        ]

    def waiting(self, agent_id: AgentId) -> list[Message]:
        """Return the messages that wait for an agent, oldest first."""
        return list(self._waiting.get(agent_id, {}).values())

    def _absorb(self, changes: Changes) -> tuple[set[AgentId], set[WorkspacePath]]:
        """Take over what was stored; return the agents and workspaces that it touched."""
        agents: set[AgentId] = set()
        workspaces: set[WorkspacePath] = set(changes.forget)
        for record in changes.put:
            if isinstance(record, Workspace):
                self._workspaces[record.path] = record
                workspaces.add(record.path)
            else:
                agents.add(self._take_over(record))
        for terminal_id in changes.prune:
            gone = self._terminals.pop(terminal_id, None)
            self._unreachable.pop(terminal_id, None)
            if gone is not None and self._terminal_of.get(gone.agent_id) == terminal_id:
                del self._terminal_of[gone.agent_id]
                agents.add(gone.agent_id)
        for path in changes.forget:
            self._workspaces.pop(path, None)
        workspaces.update(self._agents[agent_id].workspace for agent_id in agents if agent_id in self._agents)
        return agents, workspaces

    def _take_over(self, record: Agent | Conversation | Message | TerminalRecord) -> AgentId:
        match record:
            case Agent():
                self._agents[record.id] = record
                return record.id
            case Conversation():
                mine = self._conversations.setdefault(record.agent_id, [])
                if all(known.id != record.id for known in mine):
                    mine.append(record)
            case Message():
                waiting = self._waiting.setdefault(record.agent_id, {})
                if record.delivered_at is None:
                    waiting[record.id] = record
                else:
                    waiting.pop(record.id, None)
            case TerminalRecord():
                self._terminals[record.id] = record
                self._terminal_of[record.agent_id] = record.id
        return record.agent_id


def _by_kind_and_age(agent: Agent) -> tuple[int, float, str]:
    return _KINDS.index(agent.kind), agent.created_at, agent.name

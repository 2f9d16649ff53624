"""Agents, their terminals and conversations: the state machine, and the only writer of storage.

What is stored is held in memory as well, so that reading the state costs no query and has no side effect.
Every change goes through `Agents.commit`: first to storage, then to memory, then to whoever listens.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import anyio
import msgspec

from afx.api.errors import ConflictError, NotFoundError
from afx.api.harness import Doing
from afx.api.model import (
    Agent,
    AgentId,
    AgentKind,
    AgentState,
    Conversation,
    ConversationId,
    Exit,
    Message,
    Size,
    TerminalId,
    TerminalRecord,
    Workspace,
    WorkspacePath,
)
from afx.api.process import identify, is_alive
from afx.api.storage import Changes, Record, Storage

from .ends import after_end

_REMEMBERED_CHANGES = 1024
_REMEMBERED_TERMINALS = 16
_KINDS = tuple(AgentKind)


class Change(msgspec.Struct, frozen=True):
    """What one commit, or one piece of news that is not stored, touched."""

    version: int
    agents: frozenset[AgentId] = frozenset()
    workspaces: frozenset[WorkspacePath] = frozenset()


class Agents:
    """All that the Tower of one host knows of its agents.

    Attributes:
        version: Grows by one with every change.
    """

    def __init__(self, storage: Storage, host: str) -> None:
        self.host = host
        self.version = 0
        self._storage = storage
        self._me = identify(os.getpid())
        self._writing = anyio.Lock()
        self._workspaces: dict[WorkspacePath, Workspace] = {}
        self._agents: dict[AgentId, Agent] = {}
        self._conversations: dict[AgentId, list[Conversation]] = {}
        self._waiting: dict[AgentId, dict[str, Message]] = {}
        self._terminals: dict[TerminalId, TerminalRecord] = {}
        self._terminal_of: dict[AgentId, TerminalId] = {}
        self._unreachable: dict[TerminalId, str] = {}
        self._doing: dict[AgentId, Doing] = {}
        self._history: deque[Change] = deque(maxlen=_REMEMBERED_CHANGES)
        self._listeners: list[Callable[[Change], None]] = []

    async def load(self) -> None:
        """Read everything of this host from storage."""
        snapshot = await self._storage.load(self.host)
        self._absorb(
            Changes(
                put=(
                    *snapshot.workspaces,
                    *snapshot.agents,
                    *snapshot.conversations,
                    *snapshot.messages,
                    *snapshot.terminals,
                )
            )
        )

    # Reading. None of it changes anything or asks anybody.

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

    def changes_since(self, version: int) -> list[Change] | None:
        """Return the changes after `version`, or None where they are not remembered that far back."""
        if version > self.version or version < self.version - len(self._history):
            return None
        return [change for change in self._history if change.version > version]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after every change, and return what stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # Writing.

    async def commit(
        self,
        *put: Record,
        prune: Iterable[TerminalId] = (),
        forget: Iterable[WorkspacePath] = (),
        outlives_power: bool = True,
    ) -> None:
        """Store a change, all of it or nothing, and only then take it over and tell the listeners.

        What is true only for as long as the machine has power need not outlive that.

        Raises:
            StorageError: It could not be stored. Nothing has changed.
        """
        changes = Changes(put=put, prune=tuple(prune), forget=tuple(forget), outlives_power=outlives_power)
        if not (changes.put or changes.prune or changes.forget):
            return
        # Half a commit must not be: once storage was asked, memory follows, even if the caller is cancelled.
        with anyio.CancelScope(shield=True):
            async with self._writing:
                await self._write(changes)

    async def amend(self, agent_id: AgentId, *also: Record, **fields: object) -> Agent:
        """Change some fields of an agent and nothing else of it, and store with it what belongs to that.

        Raises:
            NotFoundError: There is no such agent, or it was removed meanwhile.
            StorageError: It could not be stored. Nothing has changed.
        """
        with anyio.CancelScope(shield=True):
            async with self._writing:
                agent = msgspec.structs.replace(self.agent(agent_id), **fields)
                await self._write(Changes(put=(agent, *also)))
        return agent

    async def transition(self, agent_id: AgentId, state: AgentState, reason: str = "") -> Agent:
        """Move an agent to another state, and return it as it is then."""
        agent = self.agent(agent_id)
        if (agent.state, agent.reason) == (state, reason):
            return agent
        return await self.amend(agent_id, state=state, reason=reason)

    async def note_end(self, terminal_id: TerminalId, end: Exit, still: Callable[[], bool]) -> bool:
        """Note that a terminal's process ended, if that is `still` so by the time; tell whether it is.

        A stopped agent stays stopped.

        Raises:
            NotFoundError: The terminal was pruned meanwhile.
            StorageError: It could not be stored. Nothing has changed.
        """
        with anyio.CancelScope(shield=True):
            async with self._writing:
                if stands := still():
                    record = self.terminal(terminal_id)
                    agent = self._agents[record.agent_id]
                    if agent.state is not AgentState.STOPPED:
                        agent = after_end(agent, end)
                    await self._write(Changes(put=(agent, msgspec.structs.replace(record, exit=end))))
        return stands

    async def drop_terminal(
        self, terminal_id: TerminalId, state: AgentState, reason: str = "", *, removed: bool = False
    ) -> Agent:
        """Prune a terminal that is gone; its agent remembers its id and moves to `state`."""
        agent = msgspec.structs.replace(
            self.without_terminal(self.terminal(terminal_id)),
            state=state,
            reason=reason,
            removed_at=time.time() if removed else None,
        )
        await self.commit(agent, prune=[terminal_id])
        return agent

    def without_terminal(self, record: TerminalRecord) -> Agent:
        """Return the agent of a terminal as it is once that terminal belongs to its past."""
        agent = self._agents[record.agent_id]
        past = (record.id, *(old for old in agent.past_terminals if old != record.id))
        return msgspec.structs.replace(agent, past_terminals=past[:_REMEMBERED_TERMINALS], size=record.size)

    @asynccontextmanager
    async def claimed(self, agent_id: AgentId) -> AsyncIterator[None]:
        """Hold the right to start an agent's program, against every other process.

        Raises:
            ConflictError: Another live process holds it.
        """
        me = self._me
        if me is None:
            raise ConflictError("This process cannot tell who it is, so it may start nothing.")
        holder = await self._storage.claim(self.host, agent_id, me)
        if holder != me and not is_alive(holder):
            holder = await self._storage.claim(self.host, agent_id, me, displacing=holder)
        if holder != me:
            raise ConflictError(
                f"Process {holder.pid} is bringing this agent back already.", code="being-revived"
            )
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self._storage.release(self.host, agent_id, me)

    def set_unreachable(self, terminal_id: TerminalId, reason: str | None) -> None:
        """Note that a terminal cannot be reached, or (None) that it can again. This is not stored."""
        if self._unreachable.get(terminal_id) == reason:
            return
        if reason is None:
            self._unreachable.pop(terminal_id, None)
        else:
            self._unreachable[terminal_id] = reason
        record = self._terminals.get(terminal_id)
        if record is not None:
            self.touch(record.agent_id)

    def set_doing(self, agent_id: AgentId, doing: Doing) -> None:
        """Take note of what an agent's screen says of it. This is not stored."""
        if self._doing.get(agent_id, Doing.UNKNOWN) is doing:
            return
        self._doing[agent_id] = doing
        if doing is Doing.UNKNOWN:
            del self._doing[agent_id]
        if agent_id in self._agents:
            self.touch(agent_id)

    def remember_size(self, terminal_id: TerminalId, size: Size) -> None:
        """Take note of a terminal's size. It is stored with the next change of the terminal."""
        record = self._terminals[terminal_id]
        self._terminals[terminal_id] = msgspec.structs.replace(record, size=size)
        self.touch(record.agent_id)

    def announce(self) -> None:
        """Tell the listeners that something changed that belongs to no agent."""
        self._publish(set(), set())

    def touch(self, agent_id: AgentId) -> None:
        """Tell the listeners that something about an agent changed that is not stored."""
        agent = self._agents[agent_id]
        self._publish({agent_id}, {agent.workspace})

    async def _write(self, changes: Changes) -> None:
        await self._storage.apply(self.host, changes)
        self._publish(*self._absorb(changes))

    def _absorb(self, changes: Changes) -> tuple[set[AgentId], set[WorkspacePath]]:
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

    def _publish(self, agents: set[AgentId], workspaces: set[WorkspacePath]) -> None:
        self.version += 1
        change = Change(self.version, frozenset(agents), frozenset(workspaces))
        self._history.append(change)
        for listener in tuple(self._listeners):
            listener(change)


def _by_kind_and_age(agent: Agent) -> tuple[int, float, str]:
    return _KINDS.index(agent.kind), agent.created_at, agent.name

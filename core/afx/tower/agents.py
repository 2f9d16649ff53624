"""Agents, their terminals and conversations: the state machine, and the only writer of storage.

What is stored is held in memory as well, see `known`. Every change goes through `Agents.commit`: first to
storage, then to memory, then to whoever listens.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import anyio
import msgspec

from afx.api.errors import ConflictError
from afx.api.harness import Doing
from afx.api.model import (
    Agent,
    AgentId,
    AgentState,
    Exit,
    Size,
    TerminalId,
    TerminalRecord,
    WorkspacePath,
)
from afx.api.process import identify, is_alive
from afx.api.storage import Changes, Record, Storage

from .ends import after_end
from .known import Known

_REMEMBERED_CHANGES = 1024
_REMEMBERED_TERMINALS = 16


class Change(msgspec.Struct, frozen=True):
    """What one commit, or one piece of news that is not stored, touched."""

    version: int
    agents: frozenset[AgentId] = frozenset()
    workspaces: frozenset[WorkspacePath] = frozenset()


class Agents(Known):
    """What the Tower of one host knows of its agents, and the way to change it.

    Attributes:
        version: Grows by one with every change.
    """

    def __init__(self, storage: Storage, host: str) -> None:
        super().__init__()
        self.host = host
        self.version = 0
        self._storage = storage
        self._me = identify(os.getpid())
        self._writing = anyio.Lock()
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

    def changes_since(self, version: int) -> list[Change] | None:
        """Return the changes after `version`, or None where they are not remembered that far back."""
        if version > self.version or version < self.version - len(self._history):
            return None
        return [change for change in self._history if change.version > version]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after every change, and return what stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

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
        """Note that a terminal's process ended, if that is `still` so by then; tell whether it is.

        A stopped agent stays stopped.

        Raises:
            NotFoundError: The terminal was pruned meanwhile.
            StorageError: It could not be stored. Nothing has changed.
        """
        with anyio.CancelScope(shield=True):
            async with self._writing:
                if not still():
                    return False
                record = self.terminal(terminal_id)
                agent = self._agents[record.agent_id]
                if agent.state is not AgentState.STOPPED:
                    agent = after_end(agent, end)
                await self._write(Changes(put=(agent, msgspec.structs.replace(record, exit=end))))
        return True

    async def drop_terminal(self, terminal_id: TerminalId, state: AgentState, reason: str = "") -> Agent:
        """Prune a terminal that is gone; its agent remembers its id and moves to `state`."""
        agent = msgspec.structs.replace(
            self.without_terminal(self.terminal(terminal_id)), state=state, reason=reason
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
                f"Process {holder.pid} is bringing this agent back already.",
                code="being-revived",
                hint="`afx status` shows when it is back.",
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

    def _publish(self, agents: set[AgentId], workspaces: set[WorkspacePath]) -> None:
        self.version += 1
        change = Change(self.version, frozenset(agents), frozenset(workspaces))
        self._history.append(change)
        for listener in tuple(self._listeners):
            listener(change)

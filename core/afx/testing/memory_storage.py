"""A storage that keeps everything in memory, for tests of what stands on a storage.

It keeps to the contract as a real one does, refusals included, and passes `StorageSuite`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

from afx.api.errors import StorageError
from afx.api.model import Agent, AgentId, Conversation, Message, TerminalRecord, Workspace
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Record, Snapshot, Storage, StorageContext


class MemoryStorage(Storage):
    """A storage without a file. What was stored is there again for the next one of the same directory.

    Attributes:
        applied: The changes that were stored through this instance, for tests to look at.
    """

    name: ClassVar[str] = "memory"
    _places: ClassVar[dict[Path, dict[str, _Host]]] = {}

    def __init__(self, context: StorageContext) -> None:
        super().__init__(context)
        self.applied: list[Changes] = []
        self._place: dict[str, _Host] | None = None

    async def open(self) -> None:
        """Begin to use what is kept for the directory."""
        self._place = self._places.setdefault(self.context.directory, {})

    async def load(self, host: str) -> Snapshot:
        """Return what is stored about `host`."""
        return self._opened().get(host, _Host(host)).snapshot()

    async def apply(self, host: str, changes: Changes) -> None:
        """Store the changes, all or none."""
        place = self._opened()
        place[host] = place.get(host, _Host(host)).after(changes)
        self.applied.append(changes)

    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        """Claim the right to start an agent's program, and return whose right it is now."""
        claims = self._opened().setdefault(host, _Host(host)).claims
        holder = claims.get(agent_id)
        if holder is None or holder in {claimant, displacing}:
            claims[agent_id] = claimant
        return claims[agent_id]

    async def release(self, host: str, agent_id: AgentId, claimant: ProcessIdentity) -> None:
        """Give up a claim. Another's claim, or none, is left as it is."""
        claims = self._opened().setdefault(host, _Host(host)).claims
        if claims.get(agent_id) == claimant:
            del claims[agent_id]

    async def aclose(self) -> None:
        """Stop using it."""
        self._place = None

    def _opened(self) -> dict[str, _Host]:
        if self._place is None:
            raise StorageError("The storage is not open.")
        return self._place


class _Host:
    """What is stored about one host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.workspaces: dict[str, Workspace] = {}
        self.forgotten: frozenset[str] = frozenset()
        self.agents: dict[AgentId, Agent] = {}
        self.conversations: dict[tuple[AgentId, str], Conversation] = {}
        self.messages: dict[str, Message] = {}
        self.terminals: dict[str, TerminalRecord] = {}
        self.claims: dict[AgentId, ProcessIdentity] = {}

    def after(self, changes: Changes) -> _Host:
        """Return what is stored after the changes.

        Raises:
            StorageError: They contradict each other, or what is stored.
        """
        # Records are frozen, so that copies of the dicts are copies of it all.
        after = _Host(self.name)
        after.__dict__.update({name: copy.copy(value) for name, value in self.__dict__.items()})
        for record in changes.put:
            after._put(record)
        for terminal in changes.prune:
            after.terminals.pop(terminal, None)
        after.forgotten |= frozenset(changes.forget)
        after._check()
        return after

    def snapshot(self) -> Snapshot:
        """Return it in the form of the contract."""
        waiting = [message for message in self.messages.values() if message.delivered_at is None]
        return Snapshot(
            workspaces=tuple(
                workspace for path, workspace in self.workspaces.items() if path not in self.forgotten
            ),
            agents=tuple(self.agents.values()),
            conversations=tuple(sorted(self.conversations.values(), key=lambda record: record.at)),
            messages=tuple(sorted(waiting, key=lambda message: message.at)),
            terminals=tuple(self.terminals.values()),
        )

    def _put(self, record: Record) -> None:
        if isinstance(record, (Workspace, Agent, TerminalRecord)) and record.host != self.name:
            raise StorageError(f"A record of host {record.host!r} is not stored as one of {self.name!r}.")
        match record:
            case Workspace():
                self.workspaces[record.path] = record
                self.forgotten -= {record.path}
            case Agent():
                self.agents[record.id] = record
            case Conversation():
                self.conversations.setdefault((record.agent_id, record.id), record)
            case Message():
                self.messages[record.id] = record
            case TerminalRecord():
                self.terminals[record.id] = record

    def _check(self) -> None:
        taken: set[tuple[str, str, str]] = set()
        for agent in self.agents.values():
            if agent.workspace not in self.workspaces:
                raise StorageError(f"The workspace {agent.workspace} is not stored.")
            if agent.removed_at is not None:
                continue
            if agent.workspace in self.forgotten:
                raise StorageError(f"{agent.workspace} is not forgotten while it has agents.")
            identity = (agent.workspace, agent.kind, agent.name)
            if identity in taken:
                raise StorageError("There is an agent of this workspace, kind and name already.")
            taken.add(identity)
        named = {conversation.agent_id for conversation in self.conversations.values()}
        named |= {message.agent_id for message in self.messages.values()}
        named |= {terminal.agent_id for terminal in self.terminals.values()}
        for agent_id in named - self.agents.keys():
            raise StorageError(f"The agent {agent_id!r} is not stored.")

"""Everything that is stored about one host, for a storage that keeps it whole: read, changed, written back.

It does what `Storage` promises, refusals included. To the storage it leaves only where the bytes are kept.
"""

from __future__ import annotations

import copy

import msgspec

from .errors import StorageError, StorageTooNewError
from .model import Agent, AgentId, Conversation, Message, TerminalRecord, Workspace
from .process import ProcessIdentity
from .storage import Changes, Record, Snapshot

_FORMAT = 1


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored about one host. It never changes: each step returns a new one.

    Attributes:
        format: The number of its form. It grows with each form that an older afx could not read.
        workspaces: By path, the forgotten ones included.
        forgotten: The paths of workspaces that a person told afx to forget.
        conversations: By the id of the agent, a space, and their own id.
        messages: By id, the delivered ones included.
        claims: Whose right it is to start an agent's program, by the agent's id.

    Example::

        state = HostState(host="here")
        state = state.after(Changes(put=(Workspace(host="here", path="/w", name="w", added_at=0.0),)))
        assert HostState.decode(state.encode()).snapshot().workspaces[0].path == "/w"
    """

    host: str
    format: int = _FORMAT
    workspaces: dict[str, Workspace] = {}
    forgotten: frozenset[str] = frozenset()
    agents: dict[AgentId, Agent] = {}
    conversations: dict[str, Conversation] = {}
    messages: dict[str, Message] = {}
    terminals: dict[str, TerminalRecord] = {}
    claims: dict[AgentId, ProcessIdentity] = {}

    def snapshot(self) -> Snapshot:
        """Return it in the form that `Storage.load` returns."""
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

    def after(self, changes: Changes) -> HostState:
        """Return what is stored after the changes.

        Raises:
            StorageError: They contradict each other, or what is stored.
        """
        # Records are frozen, so that copies of the dicts are copies of it all.
        after = _Builder(self)
        for record in changes.put:
            after.put(record)
        for terminal in changes.prune:
            after.terminals.pop(terminal, None)
        after.forgotten.update(changes.forget)
        after.check()
        return after.built()

    def after_claim(
        self, agent_id: AgentId, claimant: ProcessIdentity, displacing: ProcessIdentity | None = None
    ) -> HostState:
        """Return what is stored after `Storage.claim`; `claims` says whose right it is then."""
        holder = self.claims.get(agent_id)
        if holder is not None and holder != displacing:
            return self
        return msgspec.structs.replace(self, claims=self.claims | {agent_id: claimant})

    def after_release(self, agent_id: AgentId, claimant: ProcessIdentity) -> HostState:
        """Return what is stored after `Storage.release`."""
        if self.claims.get(agent_id) != claimant:
            return self
        kept = {other: holder for other, holder in self.claims.items() if other != agent_id}
        return msgspec.structs.replace(self, claims=kept)

    def encode(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, text: bytes) -> HostState:
        """Read what `encode` returned, of this afx or of an older one.

        Raises:
            StorageTooNewError: A newer afx wrote it.
            StorageError: It cannot be read.
        """
        try:
            if msgspec.json.decode(text, type=_Format).format > _FORMAT:
                raise StorageTooNewError("It was written by a newer afx.", hint="Upgrade afx.")
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise StorageError(f"It cannot be read: {error}.") from error


class _Format(msgspec.Struct):
    """The one thing that is the same in every format."""

    format: int


class _Builder:
    """The state that a step makes, while it is made."""

    def __init__(self, before: HostState) -> None:
        self.before = before
        self.workspaces = copy.copy(before.workspaces)
        self.forgotten = set(before.forgotten)
        self.agents = copy.copy(before.agents)
        self.conversations = copy.copy(before.conversations)
        self.messages = copy.copy(before.messages)
        self.terminals = copy.copy(before.terminals)

    def built(self) -> HostState:
        return msgspec.structs.replace(
            self.before,
            workspaces=self.workspaces,
            forgotten=frozenset(self.forgotten),
            agents=self.agents,
            conversations=self.conversations,
            messages=self.messages,
            terminals=self.terminals,
        )

    def put(self, record: Record) -> None:
        host = self.before.host
        if isinstance(record, (Workspace, Agent, TerminalRecord)) and record.host != host:
            raise StorageError(f"A record of host {record.host!r} is not stored as one of {host!r}.")
        match record:
            case Workspace():
                self.workspaces[record.path] = record
                self.forgotten.discard(record.path)
            case Agent():
                self.agents[record.id] = record
            case Conversation():
                self.conversations.setdefault(f"{record.agent_id} {record.id}", record)
            case Message():
                self.messages[record.id] = record
            case TerminalRecord():
                self.terminals[record.id] = record

    def check(self) -> None:
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

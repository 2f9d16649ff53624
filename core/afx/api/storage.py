"""Where the Tower's state is kept: what a storage implements.

The Tower reads everything once, at boot, and then writes each change as it happens. A storage keeps
records; it decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import msgspec

from .model import Agent, AgentId, Conversation, Message, TerminalId, TerminalRecord, Workspace
from .process import ProcessIdentity

Record: TypeAlias = Workspace | Agent | Conversation | Message | TerminalRecord


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored about one host.

    Conversations come oldest first. Of the messages only those that wait, oldest first.
    """

    workspaces: tuple[Workspace, ...] = ()
    agents: tuple[Agent, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    messages: tuple[Message, ...] = ()
    terminals: tuple[TerminalRecord, ...] = ()


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """One step from a consistent state to the next. All of it is stored, or nothing.

    Attributes:
        put: Records to insert, or to replace where one of the same identity is stored. A conversation that
            is already stored stays as it is.
        prune: Terminals whose rows go. Terminal rows are the only ones that ever do.
        forget: Workspaces (paths on `host`) that a person told afx to forget. Refused while a workspace
            still has agents that are not removed.
        outlives_power: Whether all of it must be there after a sudden loss of power. Where it need not, a
            storage may save the time that takes; what a killed Tower stored must be there all the same.
    """

    put: tuple[Record, ...] = ()
    prune: tuple[TerminalId, ...] = ()
    forget: tuple[str, ...] = ()
    outlives_power: bool = True


class StorageContext(msgspec.Struct, frozen=True):
    """What a storage is given when it is made.

    Attributes:
        directory: The state directory. It exists (mode 0700).
        settings: The settings under ``[storage.NAME]``.
    """

    directory: Path
    settings: Mapping[str, Any]


class Storage(ABC):
    """A place where the Tower's state is kept. It is made as ``YourStorage(context)``.

    No method may block the event loop. One Tower uses an instance, from `open` to `aclose`; other
    Towers, of other hosts, may use the same place at the same time.
    """

    name: ClassVar[str]

    def __init__(self, context: StorageContext) -> None:
        self.context = context

    @abstractmethod
    async def open(self) -> None:
        """Open the storage, create it where it is missing, and bring it to the present format.

        Raises:
            StorageTooNewError: A newer afx wrote it. It is left untouched.
            StorageError: It cannot be opened.
        """

    async def rehearse(self) -> None:
        """Refuse what `open` is sure to refuse. Nothing is changed: this host's own Tower runs meanwhile.

        Before a Tower is stopped to be started again, as after an upgrade, this is asked for. By default
        nothing is refused.

        Raises:
            StorageTooNewError: A newer afx wrote it.
            StorageError: It cannot be opened, and nothing that `open` does helps.
        """

    @abstractmethod
    async def load(self, host: str) -> Snapshot:
        """Return everything that is stored about `host`, and nothing of any other host."""

    @abstractmethod
    async def apply(self, host: str, changes: Changes) -> None:
        """Store the changes durably, all or none.

        Raises:
            StorageError: They could not be stored; the storage is as before.
        """

    @abstractmethod
    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        """Claim the right to start an agent's program, and return whose right it is now.

        It becomes `claimant`'s where it is nobody's, `claimant`'s already, or exactly `displacing`'s, which
        the caller has found dead. This is one atomic step, whoever else asks.

        Raises:
            StorageError: It could not be stored.
        """

    @abstractmethod
    async def release(self, host: str, agent_id: AgentId, claimant: ProcessIdentity) -> None:
        """Give up a claim. Another's claim, or none, is left as it is.

        Raises:
            StorageError: It could not be stored.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the storage. What `apply` returned from stays."""

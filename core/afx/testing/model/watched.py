"""A storage and a strategy that are looked over their shoulder: what must never be done is a breach.

They stand between one Tower and what outlives it. A Tower that crashes loses its reach: from then on nothing
that its code still tries has any effect, as though the process were gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, NoReturn

import anyio.lowlevel

from afx.api.errors import ConnectionLostError, StorageError
from afx.api.model import (
    AgentId,
    Command,
    Conversation,
    ConversationId,
    TerminalId,
    TerminalRecord,
    TerminalSpec,
)
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Snapshot, Storage
from afx.api.strategy import Connection, Life, Orphan, ReconnectStrategy, Spawned, StrategyContext, Survival


class BreachError(AssertionError):
    """A promise that afx makes was about to be broken."""


class Ledger:
    """What is true, and what a Tower may do, whatever it believes.

    Attributes:
        stored: The ids of conversations that were ever stored with each agent.
        living: The holders that live, with their agents: as far as the model goes, none else may end one.
        may_end: Agents whose terminals a person has asked to be ended.
        recorded: The terminals that were ever stored.
        failures: How many of the next steps of the storage fail.
        breaches: What was done that must never be.
    """

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.stored: dict[AgentId, set[ConversationId]] = {}
        self.living: dict[TerminalId, AgentId] = {}
        self.may_end: set[AgentId] = set()
        self.failures = 0
        self.recorded: set[TerminalId] = set()
        self._proven: set[TerminalId] = set()

    def breach(self, what: str) -> NoReturn:
        """Note a breach, whoever catches it, and do not let it happen."""
        self.breaches.append(what)
        raise BreachError(what)

    def examine(self, changes: Changes) -> None:
        """Look at what is about to be stored."""
        for terminal_id in changes.prune:
            if terminal_id in self.living:
                self.breach(
                    f"Terminal {terminal_id} is pruned; its holder lives, or was ended by nobody's wish."
                )
            if terminal_id not in self._proven:
                self.breach(
                    f"The row of terminal {terminal_id} is pruned, and nothing proves that it is gone."
                )

    def note(self, changes: Changes) -> None:
        """Note what was stored."""
        for record in changes.put:
            if isinstance(record, Conversation):
                self.stored.setdefault(record.agent_id, set()).add(record.id)
            elif isinstance(record, TerminalRecord):
                self.recorded.add(record.id)

    def note_survey(self, found: Mapping[TerminalId, Survival]) -> None:
        """Note what a survey has proven."""
        self._proven |= {one for one, survival in found.items() if survival.life is Life.DEAD}

    def ending(self, record: TerminalRecord) -> None:
        """Look at a terminal that is about to be ended."""
        if record.agent_id not in self.may_end and record.id in self.recorded:
            self.breach(f"Terminal {record.id} is ended, and nobody asked for that.")

    def ended(self, terminal_id: TerminalId) -> None:
        """Note that a holder is gone."""
        self._proven.add(terminal_id)
        self.living.pop(terminal_id, None)


class Reach:
    """What one Tower can do: everything until it is cut off."""

    def __init__(self) -> None:
        self.is_cut = False

    @asynccontextmanager
    async def step(self, failure: Callable[[str], Exception]) -> AsyncIterator[None]:
        """Do something that a Tower may crash before and after, and raise `failure` where it has."""
        await anyio.lowlevel.checkpoint()
        if self.is_cut:
            raise failure("This Tower has crashed.")
        yield
        await anyio.lowlevel.checkpoint()


class WatchedStorage(Storage):
    """Another storage, watched."""

    name: ClassVar[str] = "watched"

    def __init__(self, inner: Storage, ledger: Ledger, reach: Reach) -> None:
        super().__init__(inner.context)
        self._inner = inner
        self._ledger = ledger
        self._reach = reach

    async def open(self) -> None:
        """Open it."""
        await self._inner.open()

    async def load(self, host: str) -> Snapshot:
        """Read everything."""
        async with self._reach.step(StorageError):
            return await self._inner.load(host)

    async def apply(self, host: str, changes: Changes) -> None:
        """Store the changes, unless that is to fail, or must not be."""
        async with self._reach.step(StorageError):
            if self._ledger.failures > 0:
                self._ledger.failures -= 1
                raise StorageError("No space is left on the model's device.")
            self._ledger.examine(changes)
            await self._inner.apply(host, changes)
            self._ledger.note(changes)

    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        """Claim an agent."""
        async with self._reach.step(StorageError):
            return await self._inner.claim(host, agent_id, claimant, displacing=displacing)

    async def release(self, host: str, agent_id: AgentId, claimant: ProcessIdentity) -> None:
        """Give up a claim."""
        async with self._reach.step(StorageError):
            await self._inner.release(host, agent_id, claimant)

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()


class WatchedStrategy(ReconnectStrategy):
    """Another strategy, watched."""

    def __init__(self, inner: ReconnectStrategy, ledger: Ledger, reach: Reach) -> None:
        super().__init__(StrategyContext(inner.context.directory, inner.context.settings))
        self.name = inner.name  # type: ignore[misc]  # a ClassVar of other strategies
        self._inner = inner
        self._ledger = ledger
        self._reach = reach

    async def start(self) -> None:
        """Make it ready."""
        await self._inner.start()

    async def aclose(self) -> None:
        """Let go."""
        await self._inner.aclose()

    async def spawn(self, spec: TerminalSpec) -> Spawned:
        """Start a terminal."""
        async with self._reach.step(ConnectionLostError):
            self._ledger.living[spec.id] = spec.agent_id
            try:
                return await self._inner.spawn(spec)
            except Exception:
                self._ledger.ended(spec.id)
                raise

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Find out who survived."""
        async with self._reach.step(ConnectionLostError):
            found = await self._inner.survey(records, deadline)
            self._ledger.note_survey(found)
            return found

    async def reconnect(self, record: TerminalRecord) -> Connection:
        """Connect to a terminal."""
        async with self._reach.step(ConnectionLostError):
            return await self._inner.reconnect(record)

    async def respawn(self, connection: Connection, command: Command) -> None:
        """Start another program."""
        async with self._reach.step(ConnectionLostError):
            await self._inner.respawn(connection, command)

    async def terminate(self, record: TerminalRecord) -> None:
        """End a terminal, where that was asked for."""
        async with self._reach.step(ConnectionLostError):
            self._ledger.ending(record)
            await self._inner.terminate(record)
            self._ledger.ended(record.id)

    async def forget(self, record: TerminalRecord) -> None:
        """Remove what a dead one left."""
        async with self._reach.step(ConnectionLostError):
            await self._inner.forget(record)

    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        """Look for orphans."""
        async with self._reach.step(ConnectionLostError):
            return await self._inner.orphans(known)

    async def adopt(self, record: TerminalRecord) -> Connection:
        """Take an orphan."""
        async with self._reach.step(ConnectionLostError):
            return await self._inner.adopt(record)

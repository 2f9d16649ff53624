"""The storage ``sqlite``: everything in one file, read at boot and written change by change.

SQLite is called in a worker thread, one call at a time, so that the event loop never waits for a disk or a
lock. How the file is opened is `database`'s, how records look in it `rows`'.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, TypeVar

import anyio
import anyio.to_thread
import apsw

from afx.plugin import (
    Agent,
    AgentId,
    Changes,
    Conversation,
    Message,
    ProcessIdentity,
    Record,
    Snapshot,
    Storage,
    StorageContext,
    StorageError,
    TerminalRecord,
    Workspace,
)

from .database import open_database, refuse_newer, refuse_newer_file, storage_errors, transaction
from .rescue import COPY_EVERY, has_recent_copy, is_where_it_was, open_or_rescue, put_back, refresh_copy
from .rows import AGENTS, CONVERSATIONS, MESSAGES, TERMINALS, WORKSPACES, Table
from .schema import MIGRATIONS, Migration

# A claim is a living process's, and no process outlives a loss of power.
_CLAIM_OF = "SELECT pid, process_start, boot_id FROM claims WHERE host = ? AND agent_id = ?"
_SET_CLAIM = (
    "INSERT OR REPLACE INTO claims (host, agent_id, pid, process_start, boot_id) VALUES (?, ?, ?, ?, ?)"
)
_END_CLAIM = (
    "DELETE FROM claims WHERE host = ? AND agent_id = ? AND pid = ? AND process_start = ? AND boot_id = ?"
)

FILE_NAME = "afx.db"

log = logging.getLogger("afx.storage")

_R = TypeVar("_R", bound=Record)
_T = TypeVar("_T")


class SqliteStorage(Storage):
    """One SQLite file, ``afx.db`` in the state directory. Several processes may have it open.

    Args:
        migrations: The steps to the present format.
    """

    name: ClassVar[str] = "sqlite"

    def __init__(self, context: StorageContext, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        super().__init__(context)
        self.path = context.directory / FILE_NAME
        self._migrations = migrations
        self._connection: apsw.Connection | None = None
        self._inode = 0
        self._copied_at = 0.0
        self._is_ahead = False
        """Whether something may have been stored since the last copy."""
        self._turn = anyio.CapacityLimiter(1)

    async def open(self) -> None:
        """Open the file, make it where it is missing, and migrate it where it is old."""

        def work() -> None:
            if self._connection is not None:
                raise StorageError(f"{self.path} is open already.")
            self._connection = open_or_rescue(self.path, self._migrations)
            self._inode = self.path.stat().st_ino
            if has_recent_copy(self.path):
                # A Tower that was killed made no copy of what it stored last; so one is due at the end.
                self._copied_at, self._is_ahead = time.monotonic(), True
            else:
                self._copy()

        await self._run(work)

    async def rehearse(self) -> None:
        """Refuse a file of a newer format. Whatever else is wrong with it, `open` may mend."""
        await self._run(lambda: refuse_newer_file(self.path, len(self._migrations)))

    async def load(self, host: str) -> Snapshot:
        """Return everything that is stored about `host`."""

        def work() -> Snapshot:
            connection = self._opened()
            # What another process writes meanwhile is seen whole or not at all.
            with transaction(connection, writes=False):
                return Snapshot(
                    workspaces=_read(connection, WORKSPACES, host),
                    agents=_read(connection, AGENTS, host),
                    conversations=_read(connection, CONVERSATIONS, host),
                    messages=_read(connection, MESSAGES, host),
                    terminals=_read(connection, TERMINALS, host),
                )

        return await self._run(work)

    async def apply(self, host: str, changes: Changes) -> None:
        """Store the changes, all or none. Once begun it is carried through, even if it is cancelled."""

        def work() -> None:
            connection = self._present()
            batch = _Batch(host, changes.put)
            try:
                with transaction(connection, outlives_power=changes.outlives_power):
                    refuse_newer(connection, self.path, len(self._migrations))
                    batch.write(connection)
                    _prune(connection, host, changes.prune)
                    _forget(connection, host, changes.forget)
                    _refuse_homeless_agents(connection, host)
            except apsw.ConstraintError as error:
                raise _refusal(error) from error
            except (OverflowError, TypeError, ValueError) as error:
                raise StorageError(f"A value cannot be stored: {error}.") from error
            self._is_ahead = True
            if time.monotonic() - self._copied_at > COPY_EVERY:
                self._copy()

        await self._run(work)

    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        """Claim the right to start an agent's program, and return whose right it is now."""

        def work() -> ProcessIdentity:
            connection = self._opened()
            with transaction(connection, outlives_power=False):
                refuse_newer(connection, self.path, len(self._migrations))
                row = connection.execute(_CLAIM_OF, (host, agent_id)).fetchone()
                holder = None if row is None else ProcessIdentity(pid=row[0], start=row[1], boot_id=row[2])
                if holder is not None and holder not in {claimant, displacing}:
                    return holder
                identity = (claimant.pid, claimant.start, claimant.boot_id)
                connection.execute(_SET_CLAIM, (host, agent_id, *identity))
                return claimant

        return await self._run(work)

    async def release(self, host: str, agent_id: AgentId, claimant: ProcessIdentity) -> None:
        """Give up a claim. Another's claim, or none, is left as it is."""

        def work() -> None:
            connection = self._opened()
            with transaction(connection, outlives_power=False):
                refuse_newer(connection, self.path, len(self._migrations))
                identity = (claimant.pid, claimant.start, claimant.boot_id)
                connection.execute(_END_CLAIM, (host, agent_id, *identity))

        await self._run(work)

    async def aclose(self) -> None:
        """Close the file."""

        def work() -> None:
            connection = self._connection
            if connection is None:
                return
            try:
                with storage_errors(self.path):
                    connection = self._present()
                if self._is_ahead:
                    self._copy()
            except StorageError as error:
                log.error("What was stored last may be lost: %s", error.message)
            self._connection = None
            connection.close()

        with anyio.CancelScope(shield=True):
            await self._run(work)

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            raise StorageError(f"{self.path} is not open.")
        return self._connection

    def _present(self) -> apsw.Connection:
        """Return the connection, to a file that is still there: one that was deleted is written again."""
        connection = self._opened()
        if not is_where_it_was(self.path, self._inode):
            put_back(connection, self.path)
            self._connection = None
            self._connection = connection = open_database(self.path, self._migrations)
            self._inode = self.path.stat().st_ino
        return connection

    def _copy(self) -> None:
        refresh_copy(self.path)
        self._copied_at = time.monotonic()
        self._is_ahead = False

    async def _run(self, work: Callable[[], _T]) -> _T:
        def guarded() -> _T:
            with storage_errors(self.path):
                return work()

        # A thread that has begun is waited for, even by a caller that is cancelled.
        return await anyio.to_thread.run_sync(guarded, limiter=self._turn)


class _Batch:
    """The records of one step, sorted by type, each once.

    Raises:
        StorageError: A record belongs to another host.
    """

    def __init__(self, host: str, records: Iterable[Record]) -> None:
        self.host = host
        self.workspaces: list[Workspace] = []
        self.agents: list[Agent] = []
        self.conversations: list[Conversation] = []
        self.messages: list[Message] = []
        self.terminals: list[TerminalRecord] = []
        for record in records:
            if isinstance(record, (Workspace, Agent, TerminalRecord)) and record.host != host:
                raise StorageError(
                    f"A {type(record).__name__} of host {record.host!r} is not stored as one of {host!r}."
                )
            match record:
                case Workspace():
                    self.workspaces.append(record)
                case Agent():
                    self.agents.append(record)
                case Conversation():
                    self.conversations.append(record)
                case Message():
                    self.messages.append(record)
                case TerminalRecord():
                    self.terminals.append(record)

    def write(self, connection: apsw.Connection) -> None:
        """Insert or replace the records."""
        # The last of an id wins, and agents that give their name up come before those that take it.
        agents = {agent.id: agent for agent in self.agents}
        ordered = sorted(agents.values(), key=lambda agent: agent.removed_at is None)
        _write(connection, WORKSPACES, self.host, self.workspaces)
        _write(connection, AGENTS, self.host, ordered)
        _write(connection, CONVERSATIONS, self.host, self.conversations)
        _write(connection, MESSAGES, self.host, self.messages)
        _write(connection, TERMINALS, self.host, self.terminals)


def _read(connection: apsw.Connection, table: Table[_R], host: str) -> tuple[_R, ...]:
    return tuple(table.from_row(host, row) for row in connection.execute(table.select, (host,)))


def _write(connection: apsw.Connection, table: Table[_R], host: str, records: Iterable[_R]) -> None:
    connection.executemany(table.put, ((host, *table.to_row(record)) for record in records))


def _prune(connection: apsw.Connection, host: str, terminals: Iterable[str]) -> None:
    connection.executemany(
        "DELETE FROM terminal_sessions WHERE host = ? AND id = ?", ((host, id_) for id_ in terminals)
    )


def _forget(connection: apsw.Connection, host: str, paths: Iterable[str]) -> None:
    connection.executemany(
        "UPDATE workspaces SET forgotten = 1 WHERE host = ? AND path = ?", ((host, path) for path in paths)
    )


def _refuse_homeless_agents(connection: apsw.Connection, host: str) -> None:
    """Refuse what leaves an agent in a forgotten workspace.

    Raises:
        StorageError: There is such an agent, and it is not removed.
    """
    homeless = connection.execute(
        "SELECT agents.name, path FROM workspaces JOIN agents ON agents.host = workspaces.host "
        "AND workspace = path AND removed_at IS NULL WHERE workspaces.host = ? AND forgotten LIMIT 1",
        (host,),
    ).fetchone()
    if homeless is not None:
        raise StorageError(
            f"The workspace {homeless[1]} is not forgotten while it has the agent {homeless[0]!r}.",
            hint="Clean up its agents first.",
        )


def _refusal(error: apsw.ConstraintError) -> StorageError:
    match getattr(error, "extendedresult", None):
        case apsw.SQLITE_CONSTRAINT_UNIQUE:
            return StorageError("There is an agent of this workspace, kind and name already.")
        case apsw.SQLITE_CONSTRAINT_FOREIGNKEY:
            return StorageError("A record names an agent or a workspace that is not stored.")
        case _:
            return StorageError(f"A value cannot be stored: {error}.")

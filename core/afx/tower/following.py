"""The connections to terminals, and what is heard over them, which changes the state of their agents.

They are opened and ended in `terminals`; those that are lost are asked after in `survivors`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import anyio.abc

from afx.api.errors import ConnectionLostError, NotFoundError, StorageError
from afx.api.model import Exit, TerminalId, TerminalRecord
from afx.api.strategy import Connection, Ended, Notice, Resized

from .agents import Agents
from .hub import TerminalHub
from .listeners import Listeners

log = logging.getLogger("afx.terminals")

_STORE_AGAIN_AFTER = 1.0


class Following:
    """The terminals that are connected now, each with a hub and a task that hears its notices."""

    def __init__(self, agents: Agents, listeners: Listeners, tasks: anyio.abc.TaskGroup) -> None:
        self._agents = agents
        self._listeners = listeners
        self._tasks = tasks
        self._hubs: dict[TerminalId, TerminalHub] = {}
        self._ending: set[TerminalId] = set()
        self._starting: set[TerminalId] = set()
        self._lost = anyio.Event()

    def hub(self, terminal_id: TerminalId) -> TerminalHub | None:
        """Return the hub of a terminal, or None where it is not connected."""
        return self._hubs.get(terminal_id)

    def follow(self, record: TerminalRecord, connection: Connection) -> None:
        """Hear what happens to a terminal, from now on until its connection ends."""
        self._hubs[record.id] = TerminalHub(record.id, connection, self._hear_enter)
        self._agents.set_unreachable(record.id, None)
        self._tasks.start_soon(self._hear, record.id, connection)
        if connection.facts.exit is None:
            self._listeners.tell_running(record.agent_id)

    @contextmanager
    def starting(self, terminal_id: TerminalId) -> Iterator[None]:
        """While another process is started in a terminal, note no end of the last one."""
        self._starting.add(terminal_id)
        try:
            yield
        finally:
            self._starting.discard(terminal_id)

    def expect_end(self, terminal_id: TerminalId) -> None:
        """Take the end of a terminal's connection for what is wanted, until it is let go of."""
        self._ending.add(terminal_id)

    def expects_end(self, terminal_id: TerminalId) -> bool:
        """Tell whether a terminal is being let go of."""
        return terminal_id in self._ending

    async def let_go(self, terminal_id: TerminalId) -> None:
        """End the connection to a terminal, which lives on."""
        hub = self._hubs.pop(terminal_id, None)
        if hub is not None:
            await hub.connection.aclose()
        self._ending.discard(terminal_id)

    def note_lost(self, terminal_id: TerminalId, reason: str) -> None:
        """Take note that a terminal cannot be reached, so that it is asked after again."""
        self._agents.set_unreachable(terminal_id, reason)
        self._lost.set()

    async def until_lost(self) -> None:
        """Wait until a terminal gets out of reach, or has since this was last called."""
        await self._lost.wait()
        self._lost = anyio.Event()

    async def aclose(self) -> None:
        """Let go of every terminal. All of them live on."""
        hubs = list(self._hubs.values())
        self._ending.update(hub.terminal_id for hub in hubs)
        self._hubs.clear()
        for hub in hubs:
            await hub.connection.aclose()

    def _hear_enter(self, terminal_id: TerminalId) -> None:
        self._listeners.tell_enter(self._agents.terminal(terminal_id).agent_id)

    async def _hear(self, terminal_id: TerminalId, connection: Connection) -> None:
        """Turn a terminal's notices into changes of its agent, until the connection ends."""
        try:
            async for notice in connection.notices():
                await self._heed(terminal_id, connection, notice)
        except NotFoundError:
            return  # The terminal was ended and pruned while a notice of it was on its way.
        except ConnectionLostError as lost:
            if terminal_id in self._ending:
                return
            self._hubs.pop(terminal_id, None)
            await connection.aclose()
            self.note_lost(terminal_id, lost.message)
        except Exception:
            # One terminal's trouble must not end the Tower. It is let go of, and connected to again.
            log.exception("Terminal %s could not be followed.", terminal_id)
            self._hubs.pop(terminal_id, None)
            await connection.aclose()
            self.note_lost(terminal_id, "Its notices could not be dealt with.")

    async def _heed(self, terminal_id: TerminalId, connection: Connection, notice: Notice) -> None:
        match notice:
            case Ended(end):
                record = self._agents.terminal(terminal_id)
                if record.exit != end and await self._store_until_done(terminal_id, connection, end):
                    self._listeners.tell_ended(record.agent_id)
                await connection.acknowledge(end)
            case Resized(size):
                self._agents.remember_size(terminal_id, size)
            case _:
                self._agents.touch(self._agents.terminal(terminal_id).agent_id)

    async def _store_until_done(self, terminal_id: TerminalId, connection: Connection, end: Exit) -> bool:
        """Note an end, and tell whether it is noted. A full disk delays that; the holder keeps the end.

        An end that another process in the terminal has overtaken meanwhile is none any more. While one is
        being started there that is open.
        """
        while connection.facts.exit == end:
            try:
                if await self._agents.note_end(
                    terminal_id,
                    end,
                    lambda: connection.facts.exit == end and terminal_id not in self._starting,
                ):
                    return True
            except StorageError:
                log.exception("An end could not be stored; trying again.")
            await anyio.sleep(_STORE_AGAIN_AFTER)
        return False

"""The agents' terminals: opened, given another process, and ended.

What is heard from them is in `following`; how they are found again in `survivors`.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress

import anyio
import msgspec

from afx.api.errors import AfxError, SpawnError, StorageError, UnreachableError
from afx.api.model import Agent, AgentId, AgentState, Command, TerminalId, TerminalRecord, TerminalSpec
from afx.api.storage import Record

from .agents import Agents
from .following import Following
from .hub import TerminalHub
from .listeners import Listeners
from .strategies import Strategies

log = logging.getLogger("afx.terminals")

_ENDED_UNSTORED = "It was ended, and that could not be stored yet."
_UNSTORED = "What runs in it could not be stored yet."


class Terminals:
    """Opens and ends the agents' terminals, and gives their hubs to whoever looks or types."""

    def __init__(
        self, agents: Agents, strategies: Strategies, following: Following, listeners: Listeners
    ) -> None:
        self._agents = agents
        self._strategies = strategies
        self._following = following
        self._listeners = listeners

    def hub(self, terminal_id: TerminalId) -> TerminalHub:
        """Return the hub of a connected terminal.

        Raises:
            NotFoundError: There is no such terminal.
            UnreachableError: There is, and it does not answer.
        """
        self._agents.terminal(terminal_id)
        hub = self._following.hub(terminal_id)
        if hub is None:
            why = self._agents.why_unreachable(terminal_id) or "It is being ended."
            raise UnreachableError(
                f"Terminal {terminal_id} does not answer. {why}", hint="Try again in a while."
            )
        return hub

    def connected(self, terminal_id: TerminalId) -> TerminalHub | None:
        """Return the hub of a terminal, or None where it is not connected."""
        return self._following.hub(terminal_id)

    def connected_of(self, agent_id: AgentId) -> TerminalHub | None:
        """Return the hub of an agent's terminal, or None where it has none that is connected."""
        record = self._agents.terminal_of(agent_id)
        return None if record is None else self._following.hub(record.id)

    def expect(self, agent: Agent) -> None:
        """Hear that a terminal for an agent is about to be opened."""
        with suppress(UnreachableError):  # That is said when it is opened.
            self._strategies.named(agent.strategy).expect_spawn()

    async def open(self, agent: Agent, spec: TerminalSpec) -> None:
        """Start a terminal for an agent, and store it, and the agent as running.

        Raises:
            SpawnError: It could not be started.
            StorageError: It could not be stored; it was ended again.
        """
        strategy = self._strategies.named(agent.strategy)
        began = time.time()  # The program may have written something by the time that it is known to run.
        try:
            spawned = await strategy.spawn(spec)
        except OSError as error:
            raise _refused_by_system(agent, error) from error
        connection = spawned.connection
        record = TerminalRecord(
            id=spec.id,
            agent_id=agent.id,
            host=agent.host,
            strategy=agent.strategy,
            handle=spawned.handle,
            process=connection.facts.process,
            size=spec.size,
            started_at=began,
            predecessors=agent.past_terminals,
        )
        running = msgspec.structs.replace(agent, state=AgentState.RUNNING, reason="")
        # Without power there is no terminal either, and that its agent is lost then is stored already.
        outlives_power = agent.state is not AgentState.LOST
        try:
            await self._agents.commit(running, record, outlives_power=outlives_power)
        except StorageError:
            with anyio.CancelScope(shield=True):
                await strategy.terminate(record)
                await connection.aclose()
            raise
        self._following.follow(record, connection)

    async def respawn(self, agent: Agent, record: TerminalRecord, command: Command) -> None:
        """Start a new process in an agent's terminal, whose last one has ended, and store that it runs.

        Raises:
            UnreachableError: The terminal does not answer.
            SpawnError: The process could not be started; the terminal is as before.
            StorageError: It could not be stored. What runs is found out by connecting anew.
        """
        hub = self.hub(record.id)
        hub.note_start()
        with self._following.starting(record.id):
            await self._respawn(hub, agent, record, command)
        self._listeners.tell_running(agent.id)

    async def _respawn(
        self, hub: TerminalHub, agent: Agent, record: TerminalRecord, command: Command
    ) -> None:
        running = msgspec.structs.replace(agent, state=AgentState.RUNNING, reason="")
        # Stored before it is done: the new process may end, and its end be noted, before this goes on.
        await self._agents.commit(running, msgspec.structs.replace(record, exit=None))
        try:
            await self._strategies.named(record.strategy).respawn(hub.connection, command)
        except (AfxError, OSError) as error:
            await self._store_or_look_again(record.id, agent, record)
            if isinstance(error, OSError):
                raise _refused_by_system(agent, error) from error
            raise
        now = msgspec.structs.replace(self._agents.terminal(record.id), process=hub.facts.process)
        await self._store_or_look_again(record.id, now)

    async def _store_or_look_again(self, terminal_id: TerminalId, *records: Record) -> None:
        """Store what is so with a terminal. What cannot be stored now is found out by connecting anew.

        Raises:
            StorageError: It could not be stored.
        """
        try:
            await self._agents.commit(*records)
        except StorageError:
            self._following.expect_end(terminal_id)
            await self._following.let_go(terminal_id)
            self._following.note_lost(terminal_id, _UNSTORED)
            raise

    async def end(self, record: TerminalRecord, state: AgentState, reason: str = "") -> Agent:
        """End a terminal and its process, and prune its row; its agent moves to `state`.

        Raises:
            UnreachableError: Its holder does not answer, so it could not be ended.
            StorageError: It was ended, and that is stored as soon as it can be.
        """
        await self._end(record)
        try:
            return await self._agents.drop_terminal(record.id, state, reason)
        except StorageError:
            self._following.note_lost(record.id, _ENDED_UNSTORED)
            raise

    async def finish_stop(self, record: TerminalRecord) -> None:
        """End the terminal of an agent that was stopped while it did not answer. A failure is tried again."""
        try:
            await self._end(record)
        except UnreachableError as error:
            log.warning("A stopped agent's terminal could not be ended yet: %s", error.message)
            return
        try:
            await self._agents.commit(self._agents.without_terminal(record), prune=[record.id])
        except StorageError as error:
            log.warning("That a stopped agent's terminal ended could not be stored: %s", error.message)
            self._following.note_lost(record.id, _ENDED_UNSTORED)

    async def _end(self, record: TerminalRecord) -> None:
        await self._listeners.tell_ending(record.agent_id)
        self._following.expect_end(record.id)
        try:
            await self._strategies.named(record.strategy).terminate(record)
        except UnreachableError:
            # Let go of, it is asked for again and again, and ended once it answers, if that is still wanted.
            await self._following.let_go(record.id)
            self._following.note_lost(record.id, "It was to be ended and its holder did not answer.")
            raise
        await self._following.let_go(record.id)


def _refused_by_system(agent: Agent, error: OSError) -> SpawnError:
    return SpawnError(
        f"No terminal can be started for {agent.label}: {error.strerror or error}.",
        hint="`afx doctor` says what is short.",
    )

"""The terminals that are connected now: started, found again at boot, followed, regained when lost.

This is where the decisions of `reconcile` are carried out, and where each terminal's notices are turned into
changes of its agent's state. It asks strategies and knows none of them by name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import anyio
import anyio.abc
import msgspec

from afx.api.errors import (
    AfxError,
    ConnectionLostError,
    NotFoundError,
    SpawnError,
    StorageError,
    UnreachableError,
)
from afx.api.model import Agent, AgentId, AgentState, Command, Exit, TerminalId, TerminalRecord, TerminalSpec
from afx.api.storage import Record
from afx.api.strategy import (
    Cause,
    Connection,
    Ended,
    Notice,
    Orphan,
    ReconnectStrategy,
    Resized,
    Survival,
)

from .agents import Agents
from .ends import after_loss, after_return
from .hub import TerminalHub
from .reconcile import Adopt, Decision, FinishStop, Prune, Reconnect, Report, Wait, judge, reconcile
from .strategies import Strategies

log = logging.getLogger("afx.terminals")

Told: TypeAlias = Callable[[AgentId], Coroutine[Any, Any, None]]

_RETRY_FIRST = 0.1
_RETRY_LONGEST = 1.0
_RETRY_DEADLINE = 1.0
_SEEK_DEADLINE = 3.0
_STORE_AGAIN_AFTER = 1.0
_NO_RECORD = "Nothing is known of its terminal any more."
_UNSTORED = "What runs in it could not be stored yet."
_ENDED_UNSTORED = "It was ended, and that could not be stored yet."


class ToldWhy(Protocol):
    """Who is told of an agent whose terminal is gone, and why it is."""

    def __call__(self, agent_id: AgentId, cause: Cause) -> Coroutine[Any, Any, None]:
        """Be told."""


class _Outcome(NamedTuple):
    """What comes of decisions, gathered to be stored at once."""

    put: list[Record]
    gone: list[TerminalRecord]
    connected: list[tuple[TerminalRecord, Connection]]
    ended: set[TerminalId]
    """Of those connected: whose process ended and nobody has dealt with it yet."""


class Terminals:
    """The live side of the agents' terminals.

    Attributes:
        orphans: Live terminals that no record names and that could not be adopted.
    """

    def __init__(
        self,
        agents: Agents,
        strategies: Mapping[str, ReconnectStrategy],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self.orphans: list[Orphan] = []
        self._agents = agents
        self._strategies = Strategies(strategies)
        self._tasks = tasks
        self._on_running: Sequence[Told] = ()
        self._on_ended: Sequence[Told] = ()
        self._on_lost: Sequence[ToldWhy] = ()
        self._on_enter: Sequence[Told] = ()
        self._before_ending: Told | None = None
        self._hubs: dict[TerminalId, TerminalHub] = {}
        self._ending: set[TerminalId] = set()
        self._starting: set[TerminalId] = set()
        self._lost = anyio.Event()

    def told(
        self,
        *,
        running: Sequence[Told],
        ended: Sequence[Told],
        lost: Sequence[ToldWhy],
        enter: Sequence[Told],
        ending: Told | None = None,
    ) -> None:
        """Say who is told of an agent whose process runs or has ended, and of Enter typed where none runs.

        `lost` are told of one whose terminal is gone that was there when the Tower booted, or came later, and
        why. Each is called in a task of its own, with the agent's id; but `ending` is waited for before the
        Tower ends a terminal.
        """
        self._on_running, self._on_ended, self._on_lost, self._on_enter = running, ended, lost, enter
        self._before_ending = ending

    async def boot(self, deadline: float) -> None:
        """Find every recorded terminal again, or find out why it is gone.

        Returns within about `deadline` seconds, whatever the holders do.
        """
        records = self._records()
        survivals: dict[TerminalId, Survival] = {}
        orphans: list[Orphan] = []

        async def survey() -> None:
            survivals.update(await self._strategies.survey(records, deadline))

        async def seek() -> None:
            orphans.extend(await self._strategies.orphans(records, deadline))

        async with anyio.create_task_group() as probes:
            probes.start_soon(seek)
            probes.start_soon(survey)
        await self._carry_out(
            reconcile(
                host=self._agents.host,
                agents=self._agents.by_id(),
                records=records,
                survivals=survivals,
                orphans=orphans,
            )
        )
        await self._agents.commit(
            *(
                msgspec.structs.replace(agent, state=AgentState.LOST, reason=_NO_RECORD)
                for agent in self._agents.all()
                if agent.state is AgentState.RUNNING and self._agents.terminal_of(agent.id) is None
            )
        )
        self._tasks.start_soon(self._regain_lost)

    async def seek_orphans(self) -> Sequence[Orphan]:
        """Look again for live terminals that no record names, and return them."""
        found = await self._strategies.orphans(self._records(), _SEEK_DEADLINE)
        named = {record.id for record in self._agents.terminals()}
        before, self.orphans = self.orphans, [one for one in found if one.terminal_id not in named]
        if before != self.orphans:
            self._agents.announce()
        return self.orphans

    @property
    def expects_orphans(self) -> bool:
        """Whether something did not answer the last search for orphans, and may be one."""
        return self._strategies.expects_orphans

    async def adopt(self, orphan: Orphan, agent: Agent) -> None:
        """Make an orphan the terminal of an agent that has none.

        Raises:
            ConnectionLostError: It does not answer.
        """
        if agent.strategy != orphan.strategy:
            await self._agents.commit(msgspec.structs.replace(agent, strategy=orphan.strategy))
        record = self._record_of(msgspec.structs.replace(orphan, agent_id=agent.id))
        outcome = _Outcome([], [], [], set())
        await self._take_back(record, outcome, adopted=True)
        if not outcome.connected:
            raise ConnectionLostError("The orphan does not answer (any more).")
        await self._settle(outcome)
        self.orphans = [one for one in self.orphans if one.terminal_id != orphan.terminal_id]

    def _records(self) -> list[TerminalRecord]:
        return [record for record in self._agents.terminals() if record.host == self._agents.host]

    def hub(self, terminal_id: TerminalId) -> TerminalHub:
        """Return the hub of a connected terminal.

        Raises:
            NotFoundError: There is no such terminal.
            UnreachableError: There is, and it does not answer.
        """
        self._agents.terminal(terminal_id)
        hub = self._hubs.get(terminal_id)
        if hub is None:
            why = self._agents.why_unreachable(terminal_id) or "It is being ended."
            raise UnreachableError(
                f"Terminal {terminal_id} does not answer. {why}", hint="Try again in a while."
            )
        return hub

    def connected(self, terminal_id: TerminalId) -> TerminalHub | None:
        """Return the hub of a terminal, or None where it is not connected."""
        return self._hubs.get(terminal_id)

    def connected_of(self, agent_id: AgentId) -> TerminalHub | None:
        """Return the hub of an agent's terminal, or None where it has none that is connected."""
        record = self._agents.terminal_of(agent_id)
        return None if record is None else self._hubs.get(record.id)

    def expect(self, agent: Agent) -> None:
        """Hear that a terminal for an agent is about to be opened."""
        with suppress(UnreachableError):  # That is said when it is opened.
            self._strategies.named(agent.strategy).expect_spawn()

    async def open(self, agent: Agent, spec: TerminalSpec, *also: Record) -> TerminalRecord:
        """Start a terminal for an agent, and store it, the agent as running, and what else belongs to it.

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
        outlives_power = bool(also) or agent.state is not AgentState.LOST
        try:
            await self._agents.commit(running, *also, record, outlives_power=outlives_power)
        except StorageError:
            with anyio.CancelScope(shield=True):
                await strategy.terminate(record)
                await connection.aclose()
            raise
        self._follow(record, connection)
        return record

    async def respawn(self, agent: Agent, record: TerminalRecord, command: Command, *also: Record) -> None:
        """Start a new process in an agent's terminal, whose last one has ended, and store that it runs.

        Raises:
            UnreachableError: The terminal does not answer.
            SpawnError: The process could not be started; the terminal is as before.
            StorageError: It could not be stored. What runs is found out by connecting anew.
        """
        hub = self.hub(record.id)
        hub.note_start()
        self._starting.add(record.id)
        try:
            await self._respawn(hub, agent, record, command, *also)
        finally:
            self._starting.discard(record.id)
        self._tell(self._on_running, agent.id)

    async def _respawn(
        self, hub: TerminalHub, agent: Agent, record: TerminalRecord, command: Command, *also: Record
    ) -> None:
        running = msgspec.structs.replace(agent, state=AgentState.RUNNING, reason="")
        # Stored before it is done: the new process may end, and its end be noted, before this goes on.
        await self._agents.commit(running, *also, msgspec.structs.replace(record, exit=None))
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
            self._ending.add(terminal_id)
            await self._let_go(terminal_id)
            self._note_lost(terminal_id, _UNSTORED)
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
            self._note_lost(record.id, _ENDED_UNSTORED)
            raise

    async def _end(self, record: TerminalRecord) -> None:
        if self._before_ending is not None:
            await self._before_ending(record.agent_id)
        self._ending.add(record.id)
        try:
            await self._strategies.named(record.strategy).terminate(record)
        except UnreachableError:
            # Let go of, it is asked for again and again, and ended once it answers, if that is still wanted.
            await self._let_go(record.id)
            self._note_lost(record.id, "It was to be ended and its holder did not answer.")
            raise
        await self._let_go(record.id)

    async def _let_go(self, terminal_id: TerminalId) -> None:
        hub = self._hubs.pop(terminal_id, None)
        if hub is not None:
            await hub.connection.aclose()
        self._ending.discard(terminal_id)

    async def aclose(self) -> None:
        """Let go of every terminal. All of them live on."""
        hubs = list(self._hubs.values())
        self._ending.update(hub.terminal_id for hub in hubs)
        self._hubs.clear()
        for hub in hubs:
            await hub.connection.aclose()

    async def _carry_out(self, decisions: Iterable[Decision]) -> None:
        """Do what was decided, with one write to storage for all of it."""
        outcome = _Outcome([], [], [], set())
        for decision in decisions:
            await self._prepare(decision, outcome)
        await self._settle(outcome)

    async def _settle(self, outcome: _Outcome) -> None:
        await self._agents.commit(*outcome.put, prune=[record.id for record in outcome.gone])
        for record, connection in outcome.connected:
            self._follow(record, connection)
            if record.id in outcome.ended:
                self._tell(self._on_ended, record.agent_id)
        for record in outcome.gone:
            await self._strategies.named(record.strategy).forget(record)

    async def _prepare(self, decision: Decision, outcome: _Outcome) -> None:
        match decision:
            case Reconnect(record):
                await self._take_back(record, outcome)
            case Adopt(orphan):
                connected = len(outcome.connected)
                await self._take_back(self._record_of(orphan), outcome, adopted=True)
                if len(outcome.connected) == connected:
                    self.orphans.append(orphan)
            case Wait(record, reason):
                self._note_lost(record.id, reason)
            case Prune(record):
                agent = self._agents.without_terminal(decision.record)
                outcome.put.append(after_loss(agent, decision))
                outcome.gone.append(record)
            case FinishStop(record):
                self._tasks.start_soon(self._finish_stop, record)
            case Report(orphan):
                self.orphans.append(orphan)

    async def _take_back(
        self,
        record: TerminalRecord,
        outcome: _Outcome,
        *,
        adopted: bool = False,
    ) -> None:
        try:
            strategy = self._strategies.named(record.strategy)
            connection = await (strategy.adopt(record) if adopted else strategy.reconnect(record))
        except ConnectionLostError as lost:
            if adopted:
                log.warning("An orphan could not be adopted: %s", lost.message)
            else:
                self._note_lost(record.id, lost.message)
            return
        before = self._agents.agent(record.agent_id)
        agent, current, ended = after_return(before, record, connection.facts, adopted=adopted)
        if ended:
            outcome.ended.add(record.id)
        if agent != before:
            outcome.put.append(agent)
        if adopted or current != record:
            outcome.put.append(current)
        outcome.connected.append((current, connection))

    def _record_of(self, orphan: Orphan) -> TerminalRecord:
        return TerminalRecord(
            id=orphan.terminal_id,
            agent_id=orphan.agent_id,
            host=self._agents.host,
            strategy=orphan.strategy,
            handle=orphan.handle,
            started_at=orphan.started_at,
            predecessors=tuple(
                old for old in self._agents.agent(orphan.agent_id).past_terminals if old != orphan.terminal_id
            ),
        )

    async def _finish_stop(self, record: TerminalRecord) -> None:
        try:
            await self._end(record)
        except UnreachableError as error:
            log.warning("A stopped agent's terminal could not be ended yet: %s", error.message)
            return
        try:
            await self._agents.commit(self._agents.without_terminal(record), prune=[record.id])
        except StorageError as error:
            log.warning("That a stopped agent's terminal ended could not be stored: %s", error.message)
            self._note_lost(record.id, _ENDED_UNSTORED)

    def _follow(self, record: TerminalRecord, connection: Connection) -> None:
        self._hubs[record.id] = TerminalHub(record.id, connection, self._hear_enter)
        self._agents.set_unreachable(record.id, None)
        self._tasks.start_soon(self._hear, record.id, connection)
        if connection.facts.exit is None:
            self._tell(self._on_running, record.agent_id)

    def _hear_enter(self, terminal_id: TerminalId) -> None:
        self._tell(self._on_enter, self._agents.terminal(terminal_id).agent_id)

    def _tell(self, those: Sequence[Told], agent_id: AgentId) -> None:
        for told in those:
            self._tasks.start_soon(self._tell_one, told, agent_id)

    async def _tell_one(self, told: Told, agent_id: AgentId) -> None:
        try:
            await told(agent_id)
        except Exception:
            log.exception("What was to be done about agent %s failed.", agent_id)

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
            self._note_lost(terminal_id, lost.message)
        except Exception:
            # One terminal's trouble must not end the Tower. It is let go of, and connected to again.
            log.exception("Terminal %s could not be followed.", terminal_id)
            self._hubs.pop(terminal_id, None)
            await connection.aclose()
            self._note_lost(terminal_id, "Its notices could not be dealt with.")

    async def _heed(self, terminal_id: TerminalId, connection: Connection, notice: Notice) -> None:
        match notice:
            case Ended(end):
                record = self._agents.terminal(terminal_id)
                if record.exit != end and await self._store_until_done(terminal_id, connection, end):
                    self._tell(self._on_ended, record.agent_id)
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

    def _note_lost(self, terminal_id: TerminalId, reason: str) -> None:
        self._agents.set_unreachable(terminal_id, reason)
        self._lost.set()

    async def _regain_lost(self) -> None:
        """Ask again after every terminal that cannot be reached, for as long as there is one."""
        while True:
            await self._lost.wait()
            self._lost = anyio.Event()
            pause = _RETRY_FIRST
            while lost := self._out_of_reach():
                await self._ask_again(lost)
                with anyio.move_on_after(pause):
                    await self._lost.wait()
                pause = min(pause * 2, _RETRY_LONGEST)

    async def _ask_again(self, lost: Sequence[TerminalRecord]) -> None:
        found = await self._strategies.survey(lost, _RETRY_DEADLINE)
        by_id = self._agents.by_id()
        decisions = [judge(record, found.get(record.id), by_id.get(record.agent_id)) for record in lost]
        try:
            await self._carry_out(one for one in decisions if not isinstance(one, Wait))
        except StorageError:
            log.exception("What became of lost terminals could not be stored; trying again.")
            return
        for decision in decisions:
            if isinstance(decision, Prune):
                told = [partial(told, cause=decision.cause) for told in self._on_lost]
                self._tell(told, decision.record.agent_id)

    def _out_of_reach(self) -> list[TerminalRecord]:
        return [
            record
            for record in self._agents.terminals()
            if self._agents.why_unreachable(record.id) is not None
            and record.strategy in self._strategies
            and record.id not in self._ending
        ]


def _refused_by_system(agent: Agent, error: OSError) -> SpawnError:
    return SpawnError(
        f"No terminal can be started for {agent.kind}/{agent.name}: {error.strerror or error}.",
        hint="`afx doctor` says what is short.",
    )

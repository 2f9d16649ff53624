"""Terminals found again: at boot, when they were lost for a while, and those that no record names.

This is where the decisions of `reconcile` are carried out. It asks strategies and knows none of them by name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import anyio
import anyio.abc
import msgspec

from afx.api.errors import ConnectionLostError, StorageError
from afx.api.model import Agent, AgentState, TerminalId, TerminalRecord
from afx.api.storage import Record
from afx.api.strategy import Connection, Orphan, Survival

from .agents import Agents
from .ends import after_loss, after_return
from .following import Following
from .listeners import Listeners
from .reconcile import Adopt, Decision, FinishStop, Prune, Reconnect, Report, Wait, judge, reconcile
from .strategies import Strategies
from .terminals import Terminals

log = logging.getLogger("afx.terminals")

_RETRY_FIRST = 0.1
_RETRY_LONGEST = 1.0
_RETRY_DEADLINE = 1.0
_SEEK_DEADLINE = 3.0
_NO_RECORD = "Nothing is known of its terminal any more."


class _Outcome(NamedTuple):
    """What comes of decisions, gathered to be stored at once."""

    put: list[Record]
    gone: list[TerminalRecord]
    connected: list[tuple[TerminalRecord, Connection]]
    ended: set[TerminalId]
    """Of those connected: whose process ended and nobody has dealt with it yet."""


class Survivors:
    """Finds terminals again and has them followed, or finds out that they are gone.

    Attributes:
        orphans: Live terminals that no record names and that could not be adopted.
    """

    def __init__(
        self,
        *,
        agents: Agents,
        strategies: Strategies,
        terminals: Terminals,
        following: Following,
        listeners: Listeners,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self.orphans: list[Orphan] = []
        self._agents = agents
        self._strategies = strategies
        self._terminals = terminals
        self._following = following
        self._listeners = listeners
        self._tasks = tasks

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

    async def _carry_out(self, decisions: Iterable[Decision]) -> None:
        """Do what was decided, with one write to storage for all of it."""
        outcome = _Outcome([], [], [], set())
        for decision in decisions:
            await self._prepare(decision, outcome)
        await self._settle(outcome)

    async def _settle(self, outcome: _Outcome) -> None:
        await self._agents.commit(*outcome.put, prune=[record.id for record in outcome.gone])
        for record, connection in outcome.connected:
            self._following.follow(record, connection)
            if record.id in outcome.ended:
                self._listeners.tell_ended(record.agent_id)
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
                self._agents.set_unreachable(record.id, reason)
            case Prune(record):
                agent = self._agents.without_terminal(decision.record)
                outcome.put.append(after_loss(agent, decision))
                outcome.gone.append(record)
            case FinishStop(record):
                self._tasks.start_soon(self._terminals.finish_stop, record)
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
                self._agents.set_unreachable(record.id, lost.message)
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

    async def _regain_lost(self) -> None:
        """Ask again after every terminal that cannot be reached, for as long as there is one."""
        while True:
            pause = _RETRY_FIRST
            while lost := self._out_of_reach():
                await self._ask_again(lost)
                with anyio.move_on_after(pause):
                    await self._following.until_lost()
                pause = min(pause * 2, _RETRY_LONGEST)
            await self._following.until_lost()

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
                self._listeners.tell_lost(decision.record.agent_id, decision.cause)

    def _out_of_reach(self) -> list[TerminalRecord]:
        return [
            record
            for record in self._agents.terminals()
            if self._agents.why_unreachable(record.id) is not None
            and record.strategy in self._strategies
            and not self._following.expects_end(record.id)
        ]

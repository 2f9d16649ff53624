"""Brings back many agents at once, as after a reboot: who may be, in which order, a few at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import anyio
import anyio.abc
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from afx.api.errors import AfxError, NotFoundError
from afx.api.model import Agent, AgentId, AgentKind, AgentState, WorkspacePath

from .agents import Agents
from .pace import wait_for_room
from .resume import Action, ResumePlan
from .revival import Revival
from .terminals import Terminals

log = logging.getLogger("afx.recovery")

_DAY = 24 * 3600.0
_COUNTED_AS = {"revived": "revived", "attached": "skipped", "skipped": "skipped", "failed": "failed"}


class Eligibility(StrEnum):
    """Whether an agent is brought back by a recovery, or why not."""

    LIVE = "live"
    UNREACHABLE = "unreachable"
    STOPPED = "stopped on purpose"
    EXITED = "exited"
    WORKTREE_MISSING = "worktree missing"
    STALE = "stale"
    ELIGIBLE = "eligible"


class RecoveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One agent that does not run: whether it is brought back, and how it would be.

    Attributes:
        reason: What is known of why it does not run, in a sentence; empty where that is nothing.
    """

    agent: AgentId
    name: str
    eligibility: Eligibility
    reason: str = ""
    plan: ResumePlan


class RecoveryNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happens during a recovery, as it happens; see ``POST /api/recover/apply``."""

    event: str
    agent: AgentId | None = None
    name: str | None = None
    plan: ResumePlan | None = None
    message: str = ""
    agents: tuple[AgentId, ...] | None = None
    revived: int | None = None
    failed: int | None = None
    skipped: int | None = None


def eligibility(
    agent: Agent,
    *,
    runs: bool,
    answers: bool,
    directory_is_there: bool,
    last_seen: float,
    now: float,
    max_age: float,
) -> Eligibility:
    """Say whether an agent is to be brought back.

    Args:
        agent: The agent.
        runs: Whether its process runs.
        answers: Whether its terminal, if it has one, answers.
        directory_is_there: Whether the directory it works in exists.
        last_seen: When it last is known to have done something.
        now: The time now.
        max_age: After how many seconds without a sign of life it is stale.
    """
    is_stopped = agent.state is AgentState.STOPPED
    if not answers and not is_stopped:
        return Eligibility.UNREACHABLE
    if runs and not is_stopped:
        return Eligibility.LIVE
    if not directory_is_there:
        return Eligibility.WORKTREE_MISSING
    if is_stopped:
        return Eligibility.STOPPED
    if agent.state is AgentState.EXITED:
        return Eligibility.EXITED
    return Eligibility.STALE if now - last_seen > max_age else Eligibility.ELIGIBLE


def in_order(agents: Sequence[Agent]) -> list[Agent]:
    """Put agents in the order in which they are brought back: architects first, parents before children."""
    kinds = list(AgentKind)
    by_age = sorted(agents, key=lambda agent: (kinds.index(agent.kind), agent.created_at, agent.name))
    placed: dict[AgentId, Agent] = {}
    known = {agent.id: agent for agent in by_age}

    def place(agent: Agent, above: frozenset[AgentId]) -> None:
        if agent.id in placed:
            return
        parent = known.get(agent.spawned_by or "")
        if parent is not None and parent.id not in placed and parent.id not in above:
            place(parent, above | {agent.id})
        placed.setdefault(agent.id, agent)

    for agent in by_age:
        if agent.kind is AgentKind.ARCHITECT:
            placed.setdefault(agent.id, agent)
    for agent in by_age:
        place(agent, frozenset())
    return list(placed.values())


class Recovery:
    """Looks at all agents that do not run, and brings back those that are eligible."""

    def __init__(
        self, agents: Agents, terminals: Terminals, revival: Revival, tasks: anyio.abc.TaskGroup
    ) -> None:
        self._tasks = tasks
        self._agents = agents
        self._terminals = terminals
        self._revival = revival

    async def survey(
        self, *, workspace: WorkspacePath | None = None, max_age_days: float, include_stale: bool = False
    ) -> list[RecoveryRow]:
        """Return a row for every agent that does not run, in the order of a recovery. Changes nothing."""
        if workspace is not None:
            self._agents.workspace(workspace)
        rows: list[RecoveryRow] = []
        chosen = [agent for agent in self._agents.all() if workspace in {None, agent.workspace}]
        for agent in in_order(chosen):
            found = await self._eligibility(agent, max_age_days * _DAY)
            if found is Eligibility.STALE and include_stale:
                found = Eligibility.ELIGIBLE
            if found is not Eligibility.LIVE:
                made = await self._revival.make_plan(agent)
                rows.append(
                    RecoveryRow(
                        agent=agent.id,
                        name=agent.label,
                        eligibility=found,
                        reason=self._agents.state_of(agent)[1],
                        plan=made,
                    )
                )
        return rows

    def apply(
        self,
        rows: Sequence[RecoveryRow],
        *,
        jobs: int,
        only: frozenset[AgentId] | None = None,
        most_load: float | None = None,
    ) -> MemoryObjectReceiveStream[RecoveryNews]:
        """Bring back those who are eligible, `jobs` at a time, and return a stream that tells what happens.

        They are started in order; one that fails does not stop the others. It goes on when nobody listens.

        Args:
            rows: What a survey found.
            jobs: How many at the same time.
            only: Nobody but these.
            most_load: Each waits until there is memory for it, and the load for each processor is no higher;
                None: none waits.
        """
        todo = [
            row
            for row in rows
            if row.eligibility is Eligibility.ELIGIBLE and (only is None or row.agent in only)
        ]
        news, heard = anyio.create_memory_object_stream[RecoveryNews](len(todo) * 2 + 2)
        self._tasks.start_soon(self._bring_back_all, todo, jobs, news, most_load)
        return heard

    async def after_boot(self, *, jobs: int, max_age_days: float, most_load: float) -> None:
        """Bring back those whose terminals are gone though nobody asked for that, and log what happens.

        Agents that crashed are left to the supervisor, and those that were given up need a person.
        """
        lost = frozenset(agent.id for agent in self._agents.all() if agent.state is AgentState.LOST)
        if not lost:
            return
        rows = await self.survey(max_age_days=max_age_days)
        async with self.apply(rows, jobs=jobs, only=lost, most_load=most_load) as news:
            async for item in news:
                match item.event:
                    case "begin":
                        log.info("Bringing back %d agents that were lost.", len(item.agents or ()))
                    case "end":
                        log.info("%s came back, %s did not.", item.revived, item.failed)
                    case _:
                        log.info("%s: %s", item.name, f"{item.event}. {item.message}".strip())

    async def _bring_back_all(
        self,
        todo: Sequence[RecoveryRow],
        jobs: int,
        news: MemoryObjectSendStream[RecoveryNews],
        most_load: float | None,
    ) -> None:
        counts = {"revived": 0, "failed": 0, "skipped": 0}

        def tell(item: RecoveryNews) -> None:
            with suppress(anyio.BrokenResourceError):
                news.send_nowait(item)

        async def one(row: RecoveryRow) -> None:
            try:
                tell(RecoveryNews(event="starting", agent=row.agent, name=row.name))
                outcome = await self._bring_back(row)
                counts[_COUNTED_AS[outcome.event]] += 1
                tell(outcome)
            finally:
                turns.release_on_behalf_of(row.agent)

        turns = anyio.CapacityLimiter(jobs)
        with news:
            tell(RecoveryNews(event="begin", agents=tuple(row.agent for row in todo)))
            async with anyio.create_task_group() as revivals:
                for row in todo:
                    await turns.acquire_on_behalf_of(row.agent)
                    if most_load is not None and (reason := await wait_for_room(most_load)):
                        log.info("%s had to wait: %s.", row.name, reason)
                    revivals.start_soon(one, row)
            tell(
                RecoveryNews(
                    event="end",
                    revived=counts["revived"],
                    failed=counts["failed"],
                    skipped=counts["skipped"],
                )
            )

    async def _bring_back(self, row: RecoveryRow) -> RecoveryNews:
        try:
            made, notes = await self._revival.bring_back(row.agent)
        except NotFoundError as error:
            return RecoveryNews(event="skipped", agent=row.agent, name=row.name, message=error.message)
        except AfxError as error:
            return RecoveryNews(event="failed", agent=row.agent, name=row.name, message=error.message)
        event = "attached" if made.action is Action.ATTACH else "revived"
        return RecoveryNews(event=event, agent=row.agent, name=row.name, plan=made, message=" ".join(notes))

    async def _eligibility(self, agent: Agent, max_age: float) -> Eligibility:
        record = self._agents.terminal_of(agent.id)
        hub = None if record is None else self._terminals.connected(record.id)
        seen = [agent.created_at, *(one.at for one in self._agents.conversations(agent.id))]
        if record is not None:
            seen.append(record.started_at)
        return eligibility(
            agent,
            runs=hub is not None and hub.facts.exit is None,
            answers=record is None or hub is not None,
            directory_is_there=await anyio.Path(Path(agent.cwd)).is_dir(),
            last_seen=max(seen),
            now=time.time(),
            max_age=max_age,
        )

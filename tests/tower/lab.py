"""The live side of the Tower over storage and a strategy in memory, which outlive the Towers on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from afx.api.errors import StorageError
from afx.api.model import Agent, AgentState, Command, TerminalSpec
from afx.api.storage import Changes, StorageContext
from afx.api.strategy import Cause, StrategyContext
from afx.testing import storage_records
from afx.testing.memory_storage import MemoryStorage
from afx.testing.memory_strategy import MemoryStrategy, World
from afx.tower.agents import Agents
from afx.tower.following import Following
from afx.tower.listeners import Listeners
from afx.tower.strategies import Strategies
from afx.tower.survivors import Survivors
from afx.tower.terminals import Terminals

HOST = storage_records.HOST
WORKSPACE = storage_records.a_workspace()


def an_agent(name: str = "a", state: AgentState = AgentState.LOST) -> Agent:
    return storage_records.an_agent(name, state=state)


def a_spec(name: str = "a") -> TerminalSpec:
    return TerminalSpec(
        id=f"t-{name}", agent_id=name, label=name, command=Command(argv=("true",), env={}, cwd="/")
    )


class FailingStorage(MemoryStorage):
    """A storage whose disk is full for a while, after some changes that are `spared`."""

    failures = 0
    spared = 0

    async def apply(self, host: str, changes: Changes) -> None:
        if self.spared:
            self.spared -= 1
        elif self.failures:
            self.failures -= 1
            raise StorageError("The disk is full.")
        await super().apply(host, changes)


class Lab:
    """A storage and a world that outlive the Towers that are opened on them."""

    def __init__(self, directory: Path) -> None:
        self.world = World()
        self.storage = FailingStorage(StorageContext(directory, {}))
        self.directory = directory
        self.ran: list[str] = []
        self.ended: list[str] = []
        self.lost: list[str] = []
        self.causes: list[Cause] = []
        self.listeners: Listeners
        self.survivors: Survivors

    @asynccontextmanager
    async def tower(self, deadline: float = 0.2) -> AsyncIterator[tuple[Agents, Terminals]]:
        await self.storage.open()
        agents = Agents(self.storage, HOST)
        await agents.load()
        strategy = MemoryStrategy(StrategyContext(self.directory, {}), self.world)

        async def on_running(agent_id: str) -> None:
            self.ran.append(agent_id)

        async def on_ended(agent_id: str) -> None:
            self.ended.append(agent_id)

        async def on_lost(agent_id: str, cause: Cause) -> None:
            self.lost.append(agent_id)
            self.causes.append(cause)

        async with anyio.create_task_group() as tasks:
            self.listeners = Listeners(tasks)
            self.listeners.are(running=(on_running,), ended=(on_ended,), lost=(on_lost,), enter=())
            following = Following(agents, self.listeners, tasks)
            strategies = Strategies({"memory": strategy})
            terminals = Terminals(agents, strategies, following, self.listeners)
            self.survivors = Survivors(
                agents=agents,
                strategies=strategies,
                terminals=terminals,
                following=following,
                listeners=self.listeners,
                tasks=tasks,
            )
            await self.survivors.boot(deadline)
            yield agents, terminals
            await following.aclose()
            tasks.cancel_scope.cancel()

    async def begin(self, *names: str) -> None:
        """Have agents with terminals, and no Tower."""
        async with self.tower() as (agents, terminals):
            await agents.commit(WORKSPACE, *(an_agent(name) for name in names))
            for name in names:
                await terminals.open(an_agent(name), a_spec(name))


async def until(look: Callable[[], object], timeout: float = 5) -> None:
    with anyio.fail_after(timeout):
        while not look():  # noqa: ASYNC110  (what is looked at has no event)
            await anyio.sleep(0.005)

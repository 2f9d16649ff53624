"""Who is told of what happens to the agents' terminals, each in a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import anyio.abc

from afx.api.model import AgentId
from afx.api.strategy import Cause

log = logging.getLogger("afx.terminals")

Told: TypeAlias = Callable[[AgentId], Coroutine[Any, Any, None]]


class ToldWhy(Protocol):
    """What is called with an agent whose terminal is gone, and why it is."""

    def __call__(self, agent_id: AgentId, cause: Cause) -> Coroutine[Any, Any, None]:
        """Deal with the loss of the agent's terminal."""


class Listeners:
    """Those who are told; nobody until `are` names them."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._running: Sequence[Told] = ()
        self._ended: Sequence[Told] = ()
        self._lost: Sequence[ToldWhy] = ()
        self._enter: Sequence[Told] = ()
        self._ending: Told | None = None

    def are(
        self,
        *,
        running: Sequence[Told],
        ended: Sequence[Told],
        lost: Sequence[ToldWhy],
        enter: Sequence[Told],
        ending: Told | None = None,
    ) -> None:
        """Name those who are told, each of which is called with the agent's id in a task of its own.

        Args:
            running: Told of an agent whose process runs.
            ended: Told of an agent whose process has ended.
            lost: Told of an agent whose terminal is gone, and why. Terminals that were gone when the Tower
                booted are no news.
            enter: Told of an agent in whose terminal Enter was typed while no process ran there.
            ending: Told that the Tower is about to end an agent's terminal, which waits until this returns.
        """
        self._running, self._ended, self._lost, self._enter = running, ended, lost, enter
        self._ending = ending

    def tell_running(self, agent_id: AgentId) -> None:
        """Tell that an agent's process runs."""
        self._tell(self._running, agent_id)

    def tell_ended(self, agent_id: AgentId) -> None:
        """Tell that an agent's process has ended."""
        self._tell(self._ended, agent_id)

    def tell_lost(self, agent_id: AgentId, cause: Cause) -> None:
        """Tell that an agent's terminal is gone, and why."""
        self._tell([partial(told, cause=cause) for told in self._lost], agent_id)

    def tell_enter(self, agent_id: AgentId) -> None:
        """Tell that Enter was typed where no process of the agent runs."""
        self._tell(self._enter, agent_id)

    async def tell_ending(self, agent_id: AgentId) -> None:
        """Tell that the Tower is about to end an agent's terminal, and wait until that was dealt with."""
        if self._ending is not None:
            await self._ending(agent_id)

    def _tell(self, those: Sequence[Told], agent_id: AgentId) -> None:
        for told in those:
            self._tasks.start_soon(self._tell_one, told, agent_id)

    async def _tell_one(self, told: Told, agent_id: AgentId) -> None:
        try:
            await told(agent_id)
        except Exception:
            log.exception("What was to be done about agent %s failed.", agent_id)

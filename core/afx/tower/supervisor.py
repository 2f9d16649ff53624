"""What happens when an agent's process ends by itself.

A quit is left alone: the terminal shows it, and Enter begins a new conversation. A crash is resumed in the
same terminal, with a growing pause; a rung that fails three times in a row, each time at once, is given up
for the next; and where none is left, the agent needs attention and the reason stands on its screen. An agent
whose terminal is lost while the Tower looks on has crashed, too: it is resumed in a new terminal, unless a
person is known to have ended that, or what held it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Sequence

import anyio
import msgspec

from afx.api.errors import AfxError, NotFoundError, StorageError, UninstalledError
from afx.api.harness import ExitInfo, ExitKind, Rung
from afx.api.model import Agent, AgentId, AgentState
from afx.api.strategy import Cause

from .agents import Agents
from .resume import ResumePlan
from .revival import Revival
from .starter import Starter
from .terminals import Terminals

log = logging.getLogger("afx.supervisor")

FAST = 15.0
"""An end within so many seconds of the start counts against the rung."""
TRIES = 3
"""So many such ends in a row, and the rung is given up."""
_FIRST_PAUSE = 0.25
_AT_ONCE = 4
_AGAIN_AFTER = 1.0
_DOWN = frozenset({AgentState.CRASHED, AgentState.LOST})
_TAIL = 4096
_TAIL_WITHIN = 2.0


class Failure(msgspec.Struct, frozen=True):
    """The end of a process that this rung had started: within `FAST` seconds, or refused by its program."""

    rung: Rung
    kind: ExitKind


class Leave(msgspec.Struct, frozen=True):
    """Do nothing: the end was wanted, and whoever wanted it says what comes next."""


class TryAgain(msgspec.Struct, frozen=True):
    """Bring the agent back after `pause` seconds, by none of the rungs that `failed`."""

    pause: float
    failed: frozenset[Rung]


class GiveUp(msgspec.Struct, frozen=True):
    """Leave it to a person."""

    reason: str


def decide(
    kind: ExitKind, failures: Sequence[Failure], cause: Cause = Cause.FAILURE
) -> Leave | TryAgain | GiveUp:
    """Decide what is done about an end.

    Args:
        kind: What the harness makes of it; the loss of a terminal is a crash.
        failures: The fast failures in a row up to this one, oldest first; empty where it had run for long.
        cause: Where the terminal is gone, why.
    """
    if kind is ExitKind.QUIT or cause is not Cause.FAILURE:
        return Leave()
    if kind is ExitKind.AUTH:
        return GiveUp("Its program is not signed in. Sign in, and start it again.")
    failed = set()
    for rung in Rung:
        mine = [failure for failure in failures if failure.rung is rung]
        refused = any(failure.kind is ExitKind.UNRESUMABLE for failure in mine)
        if len(mine) >= TRIES or (refused and rung is not Rung.FRESH):
            failed.add(rung)
    if Rung.FRESH in failed:
        return GiveUp(f"Its program ended at once, {TRIES} times in a row.")
    pause = _FIRST_PAUSE * 2 ** max(0, len(failures) - 1)
    return TryAgain(min(pause, FAST), frozenset(failed))


class Supervisor:
    """Watches over agents whose processes end."""

    def __init__(self, agents: Agents, terminals: Terminals, revival: Revival, starter: Starter) -> None:
        self._agents = agents
        self._terminals = terminals
        self._revival = revival
        self._starter = starter
        self._began: dict[AgentId, float] = {}
        self._failures: dict[AgentId, list[Failure]] = {}
        # Many may end at once, as when memory runs out, or when what held them all is killed.
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    def forget(self, agent_id: AgentId) -> None:
        """Forget about an agent that was removed."""
        self._began.pop(agent_id, None)
        self._failures.pop(agent_id, None)

    async def on_running(self, agent_id: AgentId) -> None:
        """Note when a process began, as far as this Tower has seen it."""
        record = self._agents.terminal_of(agent_id)
        if record is not None:
            is_first = agent_id not in self._began and not self._failures.get(agent_id)
            self._began[agent_id] = record.started_at if is_first else time.time()

    async def on_ended(self, agent_id: AgentId) -> None:
        """Deal with the end of an agent's process."""
        await self._see_to(agent_id, self._deal_with(agent_id))

    async def on_lost(self, agent_id: AgentId, cause: Cause) -> None:
        """Deal with the loss of an agent's terminal under a running Tower: as with a crash, in a new one."""
        await self._see_to(agent_id, self._deal_with_loss(agent_id, cause))

    async def _see_to(self, agent_id: AgentId, dealing: Awaitable[None]) -> None:
        """Wait for an end to be dealt with; where that fails, the agent is left to a person."""
        try:
            await dealing
        except NotFoundError:
            return  # It was removed meanwhile.
        except AfxError as error:
            log.warning("Agent %s could not be brought back: %s", agent_id, error.message)
            await self._give_up(agent_id, error.message)

    async def on_enter(self, agent_id: AgentId) -> None:
        """Begin a new conversation for an agent whose process has ended, as a person asked by Enter."""
        try:
            async with self._revival.alone_with(agent_id):
                agent = self._agents.agent(agent_id)
                if agent.state in {AgentState.EXITED, AgentState.NEEDS_ATTENTION, AgentState.CRASHED}:
                    self._failures.pop(agent_id, None)
                    await self._revival.bring_back_alone(agent_id, only_fresh=True)
        except NotFoundError:
            return
        except AfxError as error:
            await self._show(agent_id, error.message)

    async def _deal_with(self, agent_id: AgentId) -> None:
        agent = self._agents.agent(agent_id)
        harness = self._starter.harness_of(agent)
        record = self._agents.terminal_of(agent_id)
        if record is None or record.exit is None or agent.state is AgentState.STOPPED:
            return
        label = agent.harness or "The shell"
        if harness is None:
            await self._show(agent_id, f"{label} has ended. Enter starts another.")
            return
        ran_for = record.exit.at - self._began.pop(agent_id, record.started_at)
        info = ExitInfo(exit=record.exit, ran_for=max(0.0, ran_for), tail=await self._tail(record.id))
        kind = harness.classify_exit(info)
        if kind is ExitKind.QUIT:
            self._failures.pop(agent_id, None)
            await self._agents.transition(agent_id, AgentState.EXITED, agent.reason)
            await self._show(agent_id, f"{label} has ended. Enter begins a new conversation.")
            return
        await self._decide(agent, kind, info.ran_for)

    async def _deal_with_loss(self, agent_id: AgentId, cause: Cause) -> None:
        agent = self._agents.agent(agent_id)
        is_gone = agent.state in _DOWN and self._agents.terminal_of(agent_id) is None
        if is_gone and self._starter.harness_of(agent) is not None:
            ran_for = time.time() - self._began.pop(agent_id, 0.0)
            await self._decide(agent, ExitKind.CRASH, max(0.0, ran_for), cause)

    async def _decide(
        self, agent: Agent, kind: ExitKind, ran_for: float, cause: Cause = Cause.FAILURE
    ) -> None:
        failures = self._note_failure(agent, kind, ran_for)
        match decide(kind, failures, cause):
            case GiveUp(reason):
                await self._give_up(agent.id, f"{reason} {agent.reason}")
            case TryAgain(pause, failed):
                await self._show(agent.id, f"{agent.reason} It is being brought back.")
                await anyio.sleep(pause)
                said, wait = "", _AGAIN_AFTER
                while (hindrance := await self._bring_back(agent, failed)) is not None:
                    if hindrance.message != said:
                        said = hindrance.message
                        log.warning("Agent %s cannot be brought back yet: %s", agent.id, said)
                        await self._show(agent.id, f"It cannot be brought back yet. {said} {hindrance.hint}")
                    await anyio.sleep(wait)
                    wait = min(2 * wait, FAST)
            case Leave():
                self._failures.pop(agent.id, None)

    def _note_failure(self, agent: Agent, kind: ExitKind, ran_for: float) -> list[Failure]:
        """Return the fast failures in a row, with this one if it is one."""
        failures = self._failures.setdefault(agent.id, [])
        if ran_for >= FAST and kind is not ExitKind.UNRESUMABLE:
            failures.clear()
        else:
            failures.append(Failure(_last_rung(agent), kind))
        return failures

    async def _bring_back(self, agent: Agent, failed: frozenset[Rung]) -> AfxError | None:
        """Bring an agent back, or return what delays that and passes: a full disk, an upgrade of afx."""
        try:
            async with self._turns:
                await self._revival.until_let_go(agent)
                async with self._revival.alone_with(agent.id):
                    # A person may have been quicker: it runs, was stopped, or its terminal was ended.
                    if self._agents.agent(agent.id).state is agent.state:
                        await self._revival.bring_back_alone(agent.id, failed=failed)
        except (StorageError, UninstalledError) as error:
            return error
        return None

    async def _give_up(self, agent_id: AgentId, reason: str) -> None:
        """Leave an agent to a person, as soon as that can be stored and if nobody has taken it up by then."""
        try:
            given_up = self._agents.agent(agent_id).state
            while not await self._is_given_up(agent_id, reason):
                await anyio.sleep(_AGAIN_AFTER)
                if self._agents.agent(agent_id).state is not given_up:
                    return
        except NotFoundError:
            return  # It was removed meanwhile.
        await self._show(agent_id, f"{reason} Enter begins a new conversation.")

    async def _is_given_up(self, agent_id: AgentId, reason: str) -> bool:
        try:
            await self._agents.transition(agent_id, AgentState.NEEDS_ATTENTION, reason)
        except StorageError as error:
            log.warning("Agent %s needs attention, which cannot be stored yet: %s", agent_id, error.message)
            return False
        return True

    async def _show(self, agent_id: AgentId, text: str) -> None:
        record = self._agents.terminal_of(agent_id)
        hub = None if record is None else self._terminals.connected(record.id)
        if hub is None or hub.facts.exit is None:
            return
        try:
            await hub.show(text)
        except AfxError as error:
            log.info("Agent %s could not be shown a line: %s", agent_id, error.message)

    async def _tail(self, terminal_id: str) -> str:
        """Return the last output of a terminal; what cannot be had in time is left out."""
        hub = self._terminals.connected(terminal_id)
        if hub is None:
            return ""
        data = b""
        with anyio.move_on_after(_TAIL_WITHIN):
            try:
                data = await hub.connection.glance(_TAIL)
            except AfxError:
                return ""
        return data[-_TAIL:].decode(errors="replace")


def _last_rung(agent: Agent) -> Rung:
    """Return the rung by which an agent's process was started; a first start counts as fresh."""
    if agent.plan is None:
        return Rung.FRESH
    made = msgspec.convert(agent.plan["plan"], ResumePlan)
    return made.rung or Rung.FRESH

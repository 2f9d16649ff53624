"""What people want of a model's Tower. Whatever it answers with a sentence is an answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import anyio

from afx.api.errors import AfxError
from afx.api.model import AgentId, AgentKind
from afx.tower.lifecycle import AgentRequest
from afx.tower.tower import Tower

from .machine import Machine

WISHES = (
    "resume", "resume", "stop", "recover", "press Enter", "begin anew", "take an older one", "send", "remove",
)  # fmt: skip
"""What may be wanted of an agent; what is wanted more often stands here twice."""


async def spawn(machine: Machine, kind: AgentKind, name: str, harness: str) -> None:
    """Start an agent: an architect in the repository, or a builder in a directory of its own."""
    tower = machine.tower
    assert tower is not None  # noqa: S101 - the rule's precondition
    request = AgentRequest(workspace=str(machine.repository), kind=kind, name=name, harness=harness)
    with suppress(AfxError):
        if kind is AgentKind.ARCHITECT:
            await tower.lifecycle.spawn(request)
            return
        # Its directory stands for the worktree, which takes a git of this machine.
        agent = tower.lifecycle.design(tower.agents.workspace(request.workspace), request)
        await anyio.Path(agent.cwd).mkdir(parents=True, exist_ok=True)
        await tower.agents.commit(agent)
        await tower.revival.bring_back(agent.id, only_fresh=True)


async def fulfil(machine: Machine, wishes: Sequence[tuple[str, AgentId]]) -> None:
    """Ask the Tower for what is wanted, all at the same time."""
    tower = machine.tower
    assert tower is not None  # noqa: S101 - the rule's precondition
    async with anyio.create_task_group() as people:
        for wish, agent_id in wishes:
            if wish in {"stop", "remove"}:
                machine.ledger.may_end.add(agent_id)
            people.start_soon(_ask, tower, wish, agent_id)
    started = {agent_id for wish, agent_id in wishes if wish in {"resume", "begin anew", "take an older one"}}
    for agent_id in started - {agent_id for wish, agent_id in wishes if wish in {"stop", "remove"}}:
        if tower.agents.present([agent_id]) and tower.agents.agent(agent_id).state == "running":
            machine.ledger.may_end.discard(agent_id)


async def _ask(tower: Tower, wish: str, agent_id: AgentId) -> None:
    with suppress(AfxError):
        agent = tower.agents.agent(agent_id)
        match wish:
            case "stop":
                await tower.lifecycle.stop(agent_id)
            case "resume":
                await tower.revival.bring_back(agent_id)
            case "begin anew":
                await tower.revival.bring_back(agent_id, only_fresh=True)
            case "take an older one":
                had = tower.agents.conversations(agent_id)
                await tower.revival.bring_back(agent_id, wanted=had[-1].id if had else None)
            case "remove" if agent.kind is AgentKind.ARCHITECT:
                await tower.lifecycle.remove(agent_id)
            case "recover":
                rows = await tower.recovery.survey(max_age_days=7)
                async with tower.recovery.apply(rows, jobs=2) as news:
                    async for _ in news:
                        pass
            case "press Enter":
                await _press_enter(tower, agent_id)
            case _:
                await tower.inbox.send(agent_id, "Go on.")


async def _press_enter(tower: Tower, agent_id: AgentId) -> None:
    record = tower.agents.terminal_of(agent_id)
    if record is None:
        return
    hub = tower.terminals.hub(record.id)
    onlooker = await hub.join()
    await hub.type(onlooker, b"\r")
    await hub.leave(onlooker)
    await onlooker.aclose()

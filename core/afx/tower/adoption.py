"""Terminals that no record names: looked for when a person asks, and made an agent's where they say so.

One whose holder says which agent it belongs to is adopted without anybody's asking: at boot, see `reconcile`,
or here, when its holder did not answer then and does later.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from afx.api.errors import AfxError, BadInputError, ConflictError, NotFoundError
from afx.api.model import Agent, AgentKind, AgentState, Workspace
from afx.api.strategy import Orphan

from .agents import Agents
from .lifecycle import AgentRequest, Lifecycle
from .reconcile import Adopt, reconcile
from .repository import branch_of, repository_of
from .revival import Revival
from .survivors import Survivors

log = logging.getLogger("afx.adoption")

_AGAIN_FIRST = 0.2
_AGAIN_LONGEST = 5.0
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class AdoptRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An orphan that is to become an agent's terminal, see ``POST /api/orphans/adopt``.

    Attributes:
        orphan: Its terminal id, or the name it has where it lives.
        workspace: Of the agent; None for the repository that the orphan's program works in.
        kind: Of the agent; None, as is `name`, for what the orphan's name says.
        harness: Of an agent that is made for it.
    """

    orphan: str
    workspace: str | None = None
    kind: AgentKind | None = None
    name: str | None = None
    harness: str | None = None


class Adoption:
    """Finds orphans and gives them to agents."""

    def __init__(self, agents: Agents, survivors: Survivors, lifecycle: Lifecycle, revival: Revival) -> None:
        self._agents = agents
        self._survivors = survivors
        self._lifecycle = lifecycle
        self._revival = revival
        self._sought = anyio.Event()

    async def run(self) -> None:
        """Search again for as long as that may bring an agent its terminal. Never returns."""
        while True:
            pause = _AGAIN_FIRST
            while self._survivors.expects_orphans or self._wanted(self._survivors.orphans):
                await anyio.sleep(pause)
                for orphan in self._wanted(await self._survivors.seek_orphans()):
                    await self._adopt_by_identity(orphan)
                pause = min(pause * 2, _AGAIN_LONGEST)
            self._sought = anyio.Event()
            await self._sought.wait()

    async def seek(self) -> Sequence[Orphan]:
        """Return all orphans there are now."""
        found = await self._survivors.seek_orphans()
        self._sought.set()
        return found

    def _wanted(self, orphans: Sequence[Orphan]) -> list[Orphan]:
        """Return the orphans that say of themselves which agent they belong to, and it has no terminal."""
        decisions = reconcile(
            host=self._agents.host,
            agents=self._agents.by_id(),
            records=self._agents.terminals(),
            survivals={},
            orphans=orphans,
        )
        return [decision.orphan for decision in decisions if isinstance(decision, Adopt)]

    async def _adopt_by_identity(self, orphan: Orphan) -> None:
        try:
            async with self._revival.alone_with(orphan.agent_id):
                if self._agents.terminal_of(orphan.agent_id) is None:
                    await self._survivors.adopt(orphan, self._agents.agent(orphan.agent_id))
        except AfxError as error:
            log.warning("An orphan could not be adopted: %s", error.message)

    async def adopt(self, request: AdoptRequest) -> Agent:
        """Make an orphan the terminal of an agent, which is made where there is none of its name.

        Raises:
            NotFoundError: There is no such orphan.
            BadInputError: Whose it is to be cannot be told.
            ConflictError: The agent has a terminal already.
            ConnectionLostError: The orphan does not answer.
        """
        orphan = self._find(request.orphan, await self.seek())
        agent = await self._agent_for(orphan, request)
        async with self._revival.alone_with(agent.id):
            if self._agents.terminal_of(agent.id) is not None:
                raise ConflictError(
                    f"{agent.label} has a terminal already.",
                    hint="Adopt it under another name with --as KIND/NAME.",
                )
            await self._survivors.adopt(orphan, agent)
        return self._agents.agent(agent.id)

    def _find(self, wanted: str, orphans: Sequence[Orphan]) -> Orphan:
        found = [one for one in orphans if wanted in {one.terminal_id, one.name}]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.terminal_id for one in found)
            raise BadInputError(f"Several orphans are called {wanted!r}.", hint=f"Give one of the ids {ids}.")
        raise NotFoundError(f"There is no orphan {wanted!r}.", hint="`afx orphans` lists those there are.")

    async def _agent_for(self, orphan: Orphan, request: AdoptRequest) -> Agent:
        if request.kind is None and request.name is None:
            for agent in self._agents.all():
                if agent.id == orphan.agent_id:
                    return agent
        workspace = await self._workspace_for(orphan, request)
        kind, name = request.kind, request.name
        if kind is None or name is None:
            kind, name = _read_name(orphan, workspace)
        known = self._agents.find(workspace.path, kind, name)
        if known is not None:
            return known
        return await self._made_for(orphan, workspace, kind, name, request.harness)

    async def _workspace_for(self, orphan: Orphan, request: AdoptRequest) -> Workspace:
        path = request.workspace
        if path is None:
            try:
                path = str(await repository_of(Path(orphan.cwd)))
            except AfxError:
                raise BadInputError(
                    f"The orphan's program works in {orphan.cwd or 'no known directory'}, which is in no "
                    "repository.",
                    hint="Say with --workspace which one it belongs to.",
                ) from None
        return await self._lifecycle.add_workspace(path)

    async def _made_for(
        self, orphan: Orphan, workspace: Workspace, kind: AgentKind, name: str, harness: str | None
    ) -> Agent:
        wanted = AgentRequest(
            workspace=workspace.path, kind=kind, name=name, harness=harness, strategy=orphan.strategy
        )
        agent = self._lifecycle.design(workspace, wanted)
        cwd = orphan.cwd or agent.cwd
        branch = None
        if kind is AgentKind.BUILDER:
            branch = await branch_of(Path(workspace.path), Path(cwd))
            if branch is None:
                raise BadInputError(
                    f"A builder works in a git worktree of its workspace, and {cwd} is none.",
                    hint=f"Adopt it as another kind, such as --as shell/{name}.",
                )
        agent = msgspec.structs.replace(
            agent, cwd=cwd, branch=branch, state=AgentState.LOST, reason="It is being adopted."
        )
        await self._agents.commit(agent)
        return agent


def _read_name(orphan: Orphan, workspace: Workspace) -> tuple[AgentKind, str]:
    """Read ``KIND-WORKSPACE-NAME``, as terminals are labelled; an architect's name may be left out.

    Raises:
        BadInputError: It is no such name.
    """
    for kind in AgentKind:
        for place in dict.fromkeys((workspace.name, _UNSAFE.sub("-", workspace.name).strip("-"))):
            whole = f"{kind}-{place}"
            if kind is AgentKind.ARCHITECT and orphan.name == whole:
                return kind, "main"
            if orphan.name.startswith(f"{whole}-") and len(orphan.name) > len(whole) + 1:
                return kind, orphan.name.removeprefix(f"{whole}-")
    raise BadInputError(
        f"Which agent {orphan.name or orphan.terminal_id!r} belongs to cannot be told from its name.",
        hint="Say it with --as KIND/NAME.",
    )

"""What a person can ask for: workspaces added and stopped, agents started, stopped and removed.

Each request either happens as a whole or leaves nothing half-made, and says in a sentence why not. What is
wanted is stored before it is done, so that a Tower killed in between finishes it at its next boot.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from afx.api.errors import AfxError, BadInputError, ConflictError, NotFoundError, UnreachableError
from afx.api.harness import HarnessProvider, Rung
from afx.api.model import (
    Agent,
    AgentId,
    AgentKind,
    AgentState,
    ConversationId,
    Size,
    Workspace,
)

from . import worktree
from .agents import Agents
from .harnesses import Harnesses, SettingsView
from .losses import Losses
from .names import check_branch, check_name, with_article
from .repository import branch_of, repository_of
from .resume import Action, ResumePlan
from .revival import Revival
from .starter import Starter
from .terminals import Terminals

log = logging.getLogger("afx.lifecycle")

_LONGEST_PATH = 4000
_FIRST_START = ResumePlan(action=Action.BEGIN, rung=Rung.FRESH, why="It is a new agent.")


class AgentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent that is wanted, see ``POST /api/agents``."""

    workspace: str
    kind: AgentKind
    name: str | None = None
    harness: str | None = None
    task: str | None = None
    branch: str | None = None
    args: tuple[str, ...] = ()
    spawned_by: AgentId | None = None
    strategy: str | None = None
    size: Size | None = None
    resume: bool = False
    session_id: ConversationId | None = None
    fresh: bool = False


class Lifecycle:
    """Carries out what people ask for, one request at a time for each agent."""

    def __init__(
        self,
        *,
        agents: Agents,
        terminals: Terminals,
        harnesses: Harnesses,
        revival: Revival,
        starter: Starter,
        strategies: Mapping[str, object],
        settings_for: Callable[[Path | None], SettingsView],
        env: Mapping[str, str],
    ) -> None:
        self._agents = agents
        self._terminals = terminals
        self._harnesses = harnesses
        self._revival = revival
        self._starter = starter
        self._strategies = strategies
        self._settings_for = settings_for
        self._env = env
        self._locks: dict[str, anyio.Lock] = {}

    # Workspaces.

    async def add_workspace(self, path: str, name: str | None = None) -> Workspace:
        """Make a git repository known, or active again.

        Raises:
            BadInputError: `path` is not in a git repository, or not absolute.
        """
        if not path.startswith("/") or len(path) > _LONGEST_PATH:
            raise BadInputError(
                f"{path[:80]!r} is no absolute path of a repository.",
                hint="Give the whole path, from / on.",
            )
        repository = str(await repository_of(Path(path)))
        if name is not None:
            check_name(name, "workspace")
        async with self._one_at_a_time(repository):
            try:
                known = self._agents.workspace(repository)
            except NotFoundError:
                known = Workspace(
                    host=self._agents.host, path=repository, name=Path(repository).name, added_at=time.time()
                )
            wanted = msgspec.structs.replace(known, active=True, name=name or known.name)
            await self._agents.commit(wanted)
        return wanted

    async def stop_workspace(self, path: str) -> tuple[list[AgentId], list[tuple[Agent, AfxError]]]:
        """Stop a workspace's agents and make it inactive; return who was stopped, and who could not be."""
        workspace = self._agents.workspace(path)
        await self._agents.commit(msgspec.structs.replace(workspace, active=False))
        stopped: list[AgentId] = []
        failed: list[tuple[Agent, AfxError]] = []

        async def stop(agent: Agent) -> None:
            try:
                await self.stop(agent.id)
            except AfxError as error:
                failed.append((agent, error))
            else:
                stopped.append(agent.id)

        async with anyio.create_task_group() as stops:
            for agent in self._agents.of_workspace(path):
                if self._agents.terminal_of(agent.id) is not None:
                    stops.start_soon(stop, agent)
        return stopped, failed

    async def forget_workspace(self, path: str) -> None:
        """Forget a workspace that has no agents.

        Raises:
            ConflictError: It still has agents.
        """
        self._agents.workspace(path)
        names = [agent.label for agent in self._agents.of_workspace(path)]
        if names:
            count = "an agent" if len(names) == 1 else f"{len(names)} agents"
            raise ConflictError(
                f"The workspace {path} still has {count}: {', '.join(names[:5])}.",
                hint="Remove each with `afx cleanup AGENT` first.",
            )
        await self._agents.commit(forget=[path])

    # Agents.

    async def spawn(self, request: AgentRequest) -> tuple[Agent, list[str]]:
        """Make a new agent and start it; return it with notes for the person.

        Raises:
            BadInputError: The request cannot be met as it is.
            ConflictError: The name is taken.
            SpawnError: The program could not be started. Nothing is left of the attempt.
        """
        workspace = self._agents.workspace(request.workspace)
        async with self._one_at_a_time(f"{workspace.path}\n{request.kind}"):
            agent = self.design(workspace, request)
            passed_over = self._passed_over(request, agent.harness)
            made = None
            if agent.kind is AgentKind.BUILDER:
                made = await worktree.add(Path(workspace.path), Path(agent.cwd), str(agent.branch))
                agent = msgspec.structs.replace(agent, owns_branch=made.created_branch)
            try:
                async with self._revival.alone_with(agent.id):
                    notes = await self._starter.start(agent, _FIRST_START, request.size)
            except BaseException:
                # A task that was taken on and never begun leaves neither agent nor worktree.
                with anyio.CancelScope(shield=True):
                    await self._undo(agent, made)
                raise
        return self._agents.agent(agent.id), [*passed_over, *notes]

    def _passed_over(self, request: AgentRequest, chosen: str | None) -> list[str]:
        """Say which harnesses could not be chosen, where nobody has named one."""
        settings = self._settings_for(Path(request.workspace))
        if chosen is None or request.harness or settings["agent.harness"]:
            return []
        return [
            f"The harness {row.name} is passed over, for it is broken: {row.error.rstrip('.')}. {row.hint}"
            for row in self._harnesses.broken_before(chosen)
        ]

    async def _undo(self, agent: Agent, made: worktree.Worktree | None) -> None:
        """Take back what a spawn that failed has made, as far as that is possible."""
        if made is not None:
            try:
                await worktree.remove(
                    Path(agent.workspace),
                    made.path,
                    force=True,
                    delete_branch=made.created_branch,
                    branch=agent.branch,
                )
            except AfxError as error:
                log.warning("The worktree of a failed spawn could not be removed: %s", error.message)
        try:
            if self._agents.terminal_of(agent.id) is None:
                await self._agents.commit(msgspec.structs.replace(agent, removed_at=time.time()))
        except AfxError as error:
            log.warning("A failed spawn could not be taken back in storage: %s", error.message)

    async def resume(self, request: AgentRequest) -> tuple[Agent, ResumePlan, list[str]]:
        """Bring back the agent of this kind and name; one of which only the worktree exists is taken in.

        Raises:
            NotFoundError: There is neither an agent nor a worktree of this name.
            ConflictError: It cannot be brought back.
        """
        if request.name is None:
            raise BadInputError("Which agent is to be brought back?", hint="Give its name.")
        workspace = self._agents.workspace(request.workspace)
        agent = self._agents.find(workspace.path, request.kind, request.name)
        if agent is None:
            agent = await self._take_in(workspace, request)
        made, notes = await self._revival.bring_back(
            agent.id, wanted=request.session_id, only_fresh=request.fresh
        )
        return self._agents.agent(agent.id), made, notes

    async def _take_in(self, workspace: Workspace, request: AgentRequest) -> Agent:
        """Make an agent of a worktree that is there already."""
        async with self._one_at_a_time(f"{workspace.path}\n{request.kind}"):
            agent = self.design(workspace, request)
            branch = None
            if request.kind is AgentKind.BUILDER:
                branch = await branch_of(Path(workspace.path), Path(agent.cwd))
            if branch is None:
                kind = with_article(request.kind)
                raise NotFoundError(
                    f"There is neither {kind} {request.name!r} nor a worktree of it.",
                    hint="`afx status` lists all agents; `afx spawn` makes a new one.",
                )
            agent = msgspec.structs.replace(agent, branch=branch, reason="It was found as a worktree.")
            await self._agents.commit(agent)
            return agent

    async def stop(self, agent_id: AgentId) -> Agent:
        """Stop an agent on purpose: it stays stopped through crashes and reboots.

        Raises:
            NotFoundError: There is no such agent.
            UnreachableError: Its terminal does not answer. It is ended as soon as it does.
        """
        async with self._revival.alone_with(agent_id):
            return await self._stop(self._agents.agent(agent_id), "A person stopped it.")

    async def losses(self, agent_id: AgentId) -> Losses:
        """Return the work that would be lost if an agent were removed now."""
        return await self._at_stake(self._agents.agent(agent_id)) or Losses()

    async def remove(self, agent_id: AgentId, *, force: bool = False) -> tuple[Agent, list[str]]:
        """Remove an agent with its terminal and, for a builder, its worktree; return it with notes.

        Raises:
            ConflictError: Work would be lost, and `force` is not set.
            UnreachableError: Its terminal does not answer. It is ended as soon as it does; nothing was
                removed.
        """
        async with self._revival.alone_with(agent_id):
            agent = self._agents.agent(agent_id)
            notes: list[str] = []
            repository = Path(agent.workspace)
            losses = await self._at_stake(agent)
            if losses is not None and losses.anything and not force:
                raise ConflictError(
                    f"Removing {agent.label} would lose work: {losses.sentence()}",
                    hint="Commit and merge or push it, or add --force to lose it.",
                    code="would-lose-work",
                )
            agent = await self._stop(agent, "A person removed it.")
            if losses is not None:
                was_deleted = await worktree.remove(
                    repository,
                    Path(agent.cwd),
                    force=force,
                    delete_branch=agent.owns_branch,
                    branch=agent.branch,
                )
                gone = f" and its branch {agent.branch} are" if was_deleted else " is"
                notes.append(f"Its worktree {agent.cwd}{gone} gone.")
            if losses is not None and losses.anything:
                notes.append(f"Lost: {losses.sentence()}")
            agent = msgspec.structs.replace(agent, removed_at=time.time())
            await self._agents.commit(agent)
            await self._starter.forget(agent)
            return agent, notes

    async def _at_stake(self, agent: Agent) -> Losses | None:
        """Return what would be lost with an agent's worktree; None where it has none to remove."""
        repository = Path(agent.workspace)
        # Where the repository itself is gone there is nothing left to lose.
        if agent.kind is not AgentKind.BUILDER or not await anyio.Path(repository).is_dir():
            return None
        return await worktree.at_stake(
            repository, Path(agent.cwd), delete_branch=agent.owns_branch, branch=agent.branch
        )

    def design(self, workspace: Workspace, request: AgentRequest) -> Agent:
        """Turn a request into the agent it asks for; nothing is made yet.

        Raises:
            BadInputError: The request cannot be met as it is.
            ConflictError: The name is taken.
        """
        settings = self._settings_for(Path(workspace.path))
        name = request.name if request.name is not None else self._free_name(workspace, request.kind)
        check_name(name, str(request.kind))
        if self._agents.find(workspace.path, request.kind, name) is not None:
            raise ConflictError(
                f"{workspace.name} already has {with_article(request.kind)} named {name!r}.",
                hint=f"`afx attach {request.kind}/{name}` shows it; choose another name for a new one.",
                code="name-taken",
            )
        if request.spawned_by is not None:
            self._agents.agent(request.spawned_by)
        harness = self._choose_harness(request, settings)
        branch = None
        cwd = Path(workspace.path)
        if request.kind is AgentKind.BUILDER:
            branch = request.branch or f"{settings['builder.branch_prefix']}{name}"
            check_branch(branch)
            cwd = cwd / _below(str(settings["builder.directory"])) / name
        return Agent(
            id=secrets.token_hex(8),
            host=self._agents.host,
            workspace=workspace.path,
            kind=request.kind,
            name=name,
            harness=None if harness is None else harness.name,
            strategy=self._choose_strategy(request, settings),
            state=AgentState.LOST,
            reason="It was being started.",
            cwd=str(cwd),
            branch=branch,
            spawned_by=request.spawned_by,
            task=request.task,
            args=request.args,
            created_at=time.time(),
        )

    def _choose_harness(self, request: AgentRequest, settings: SettingsView) -> HarnessProvider | None:
        if request.kind is AgentKind.SHELL:
            if request.harness is not None:
                raise BadInputError(
                    "A shell has no harness.", hint="Leave --harness out, or spawn a builder."
                )
            return None
        wanted = request.harness or str(settings["agent.harness"] or "")
        if wanted:
            return self._harnesses.named(wanted, request.workspace)
        for harness in self._harnesses.all(request.workspace):
            if harness.find(self._env) is not None:
                return harness
        names = ", ".join(self._harnesses.names(request.workspace))
        raise BadInputError(
            "No agent program is installed that a harness knows.",
            hint=f"Install one of: {names}. Or open a plain shell with `afx shell`.",
            code="no-harness",
        )

    def _choose_strategy(self, request: AgentRequest, settings: SettingsView) -> str:
        wanted = request.strategy or str(
            settings[f"terminal.strategy_{request.kind}"] or settings["terminal.strategy"]
        )
        if wanted not in self._strategies:
            raise BadInputError(
                f"There is no reconnect strategy {wanted!r}.",
                hint=f"There are: {', '.join(sorted(self._strategies))}.",
            )
        return wanted

    def _free_name(self, workspace: Workspace, kind: AgentKind) -> str:
        if kind is AgentKind.ARCHITECT:
            return "main"
        taken = {agent.name for agent in self._agents.of_workspace(workspace.path) if agent.kind is kind}
        prefix = "" if kind is AgentKind.SHELL else "task-"
        return next(name for number in range(1, 10**9) if (name := f"{prefix}{number}") not in taken)

    async def _stop(self, agent: Agent, reason: str) -> Agent:
        record = self._agents.terminal_of(agent.id)
        agent = await self._agents.transition(agent.id, AgentState.STOPPED, reason)
        if record is None:
            return agent
        try:
            return await self._terminals.end(record, AgentState.STOPPED, reason)
        except UnreachableError:
            # What was asked of the holder may reach it yet, so the wish stays: once it answers it is ended.
            raise UnreachableError(
                f"The terminal of {agent.label} does not answer. It is ended as soon as it does.",
                hint="If its holder was stopped, continue it (SIGCONT); `afx status` shows when it is gone.",
            ) from None

    @asynccontextmanager
    async def _one_at_a_time(self, what: str) -> AsyncIterator[None]:
        async with self._locks.setdefault(what, anyio.Lock()):
            yield


def _below(directory: str) -> Path:
    """Return the directory of the worktrees, relative to the workspace.

    Raises:
        BadInputError: It is not below the workspace. A repository's own settings may say what they like.
    """
    path = Path(directory)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise BadInputError(
            f"The setting builder.directory is {directory!r}, which is not below the workspace.",
            hint='Set it to a relative path such as ".builders".',
        )
    return path

"""Starts an agent's program: the command, the conversation it begins or resumes, the terminal it runs in.

Where the agent's terminal is there and only its process has ended, the new one runs in the same PTY under the
same terminal id; else in a new terminal that names its predecessors.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from afx.api.errors import SpawnError
from afx.api.harness import HarnessProvider, Place
from afx.api.model import (
    Agent,
    Command,
    Conversation,
    ConversationId,
    ConversationSource,
    Size,
    TerminalSpec,
)
from afx.api.storage import Record

from . import launch
from .agents import Agents
from .harnesses import Harnesses, SettingsView
from .resume import Action, ResumePlan
from .terminals import Terminals

DEFAULT_SIZE = Size(cols=120, rows=40)


class Starter:
    """Starts programs of agents. The caller sees to it that it is asked once at a time for each agent."""

    def __init__(
        self,
        *,
        home: Path,
        agents: Agents,
        terminals: Terminals,
        harnesses: Harnesses,
        settings_for: Callable[[Path | None], SettingsView],
        env: Mapping[str, str],
    ) -> None:
        self._home = home
        self._agents = agents
        self._terminals = terminals
        self._harnesses = harnesses
        self._settings_for = settings_for
        self._env = env

    def harness_of(self, agent: Agent) -> HarnessProvider | None:
        """Return an agent's harness; None for a plain shell.

        Raises:
            PluginError: It is not available.
        """
        return self._harnesses.of(agent)

    def environment(self, agent: Agent) -> dict[str, str]:
        """Return the environment of an agent's program."""
        own = {"AFX_HOME": str(self._home), "AFX_AGENT": agent.id, "AFX_WORKSPACE": agent.workspace}
        harness = self.harness_of(agent)
        return launch.agent_environment(agent, harness, self._env, self._harnesses.all(agent.workspace), own)

    def place_of(self, agent: Agent) -> Place:
        """Return where an agent's program keeps its conversations.

        Raises:
            PluginError: Its harness is not available.
        """
        return Place(cwd=Path(agent.cwd), env=self.environment(agent))

    async def forget(self, agent: Agent) -> None:
        """Remove the files that were written for a removed agent's program."""
        directory = self._home / "agents" / agent.id
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(directory, ignore_errors=True))

    async def start(
        self, agent: Agent, plan: ResumePlan, size: Size | None = None, also: Sequence[Record] = ()
    ) -> list[str]:
        """Start an agent's program as a plan says, and return notes for the person.

        Args:
            agent: The agent, stored already or to be stored.
            plan: What to begin or resume.
            size: Of a new terminal; None for the size the agent's last one had.
            also: What is to be stored before its program starts.

        Raises:
            SpawnError: It could not be started. What the agent was before, it is still.
            UnreachableError: Its terminal does not answer.
        """
        if self._agents.terminal_of(agent.id) is None:
            self._terminals.expect(agent)
        harness = self.harness_of(agent)
        notes: list[str] = []
        conversation: Conversation | None = None
        if plan.action is Action.BEGIN:
            agent = msgspec.structs.replace(agent, conversation=None)
        # The arguments are stored as they were given: what is withdrawn now may be granted again.
        allowed = self._granted(agent, harness, notes)
        if harness is None:
            command = launch.shell_command(allowed, self.environment(agent))
        else:
            conversation, session_args = self._conversation(agent, harness, plan)
            if plan.session_id is not None:
                agent = msgspec.structs.replace(agent, conversation=plan.session_id)
            agent = msgspec.structs.replace(agent, env=launch.lasting_environment(agent, harness, self._env))
            command = self._command(allowed, harness, plan, session_args)
        # Stored before the program starts: should the Tower die in between, the live terminal that is then
        # found without a record says whose it is, and is adopted.
        agent = msgspec.structs.replace(agent, plan=msgspec.to_builtins({"at": time.time(), "plan": plan}))
        await self._agents.commit(agent, *([] if conversation is None else [conversation]), *also)
        await self._run(agent, command, size)
        return notes

    def _command(
        self, agent: Agent, harness: HarnessProvider, plan: ResumePlan, session_args: tuple[str, ...]
    ) -> Command:
        settings = self._settings_for(Path(agent.workspace))
        is_resumed = plan.action is Action.RESUME
        return launch.harness_command(
            msgspec.structs.replace(agent, task=None) if is_resumed else agent,
            harness,
            self.environment(agent),
            role=launch.read_role(agent.kind, str(settings[f"{agent.kind}.role"] or "")),
            session_args=session_args,
            directory=self._home / "agents" / agent.id,
        )

    def _conversation(
        self, agent: Agent, harness: HarnessProvider, plan: ResumePlan
    ) -> tuple[Conversation | None, tuple[str, ...]]:
        """Return the conversation to store, if it is a new one, and the arguments that begin or resume it."""
        wanted: ConversationId | None = plan.session_id
        if wanted is None:
            return launch.new_conversation(agent, harness, time.time())
        if harness.session is None or not harness.session.is_id(wanted):
            raise SpawnError(
                f"{wanted!r} is no conversation id of {harness.name}.",
                hint=f"`afx conversations {agent.label}` lists those that it has.",
            )
        args = tuple(harness.session.resume_args(wanted))
        if any(known.id == wanted for known in self._agents.conversations(agent.id)):
            return None, args
        given = plan.rung is None or plan.rung.value == "stored"
        source = ConversationSource.GIVEN if given else ConversationSource.DISCOVERED
        return (
            Conversation(agent_id=agent.id, id=wanted, harness=harness.name, source=source, at=time.time()),
            args,
        )

    def _granted(self, agent: Agent, harness: HarnessProvider | None, notes: list[str]) -> Agent:
        """Return the agent without the arguments that the settings do not, or no longer, grant."""
        settings = self._settings_for(Path(agent.workspace))
        if harness is None or settings["agent.allow_unattended"]:
            return agent
        kept, withdrawn = harness.split_unattended(agent.args)
        if withdrawn:
            notes.append(
                f"Left out, as the setting agent.allow_unattended does not grant it: {' '.join(withdrawn)}."
            )
        return msgspec.structs.replace(agent, args=kept)

    async def _run(self, agent: Agent, command: Command, size: Size | None) -> None:
        record = self._agents.terminal_of(agent.id)
        if record is not None:
            await self._terminals.respawn(agent, record, command)
            return
        settings = self._settings_for(Path(agent.workspace))
        await self._terminals.open(
            agent,
            TerminalSpec(
                id=secrets.token_hex(8),
                agent_id=agent.id,
                label=f"{agent.kind}-{Path(agent.workspace).name}-{agent.name}",
                command=command,
                size=size or agent.size or DEFAULT_SIZE,
                scrollback=int(str(settings["terminal.scrollback"])),
            ),
        )

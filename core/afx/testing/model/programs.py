"""The programs of a model: who runs where and in which conversation, and the transcripts they leave.

They are played, not run: a program is what a terminal's command says it is, and does what a rule says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from afx.api.harness import (
    Evidence,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    HarnessSession,
    Launched,
    LaunchRequest,
    Place,
    Transcript,
)
from afx.api.model import AgentId, Command, ConversationId, TerminalId
from afx.api.process import ProcessIdentity
from afx.testing.harness_bench import contains
from afx.testing.memory_strategy import Holder, World

from .watched import Ledger

UNKNOWN_ID, TAKEN_ID = 3, 4
"""Exit codes of programs that were told to resume what is not there, or to begin what is."""


class Program(msgspec.Struct):
    """One live program.

    Attributes:
        agent_id: Whose it is; empty where a person started it by hand.
        harness: What kind of program it is; None for a shell.
        conversation: The one it is in; None where it has begun none yet.
    """

    agent_id: AgentId
    harness: HarnessProvider | None
    cwd: Path
    env: dict[str, str]
    process: ProcessIdentity
    conversation: ConversationId | None = None


class Programs:
    """All the programs of a machine.

    Attributes:
        by_terminal: Those that were last started in terminals.
        by_hand: Those that a person has started beside.
        transcripts: What they have written of their conversations.
    """

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._ledger = ledger
        self.harnesses: dict[str, HarnessProvider] = {}
        self.by_terminal: dict[TerminalId, Program] = {}
        self.by_hand: dict[ConversationId, ProcessIdentity] = {}
        self.transcripts: dict[ConversationId, Transcript] = {}

    def know(self, harnesses: Sequence[HarnessProvider]) -> None:
        """Say which programs there are: by the base names of their commands."""
        self.harnesses = {command: harness for harness in harnesses for command in harness.commands}

    def begin(self, holder: Holder) -> int | None:
        """Let the program of a terminal begin; return the exit code with which it refuses its command."""
        command = holder.spec.command
        program = Program(
            agent_id=holder.spec.agent_id,
            harness=self.harnesses.get(Path(command.argv[0]).name),
            cwd=Path(command.cwd),
            env=dict(command.env),
            process=holder.process,
        )
        self.by_terminal.pop(holder.spec.id, None)
        session = None if program.harness is None else program.harness.session
        named = None if session is None else _named(command.argv, session)
        if session is not None and named is not None:
            is_resumed = contains(command.argv, tuple(session.resume_args(named)))
            if is_resumed is not (named in self.transcripts):
                return UNKNOWN_ID if is_resumed else TAKEN_ID
            self._may_be_in(program, named)
            program.conversation = named
        self.by_terminal[holder.spec.id] = program
        return None

    def turn(self, program: Program, conversation: ConversationId) -> None:
        """Let something be said in a conversation; it is the one that the program is in from now on."""
        if conversation != program.conversation and self.holder_of(conversation) is not None:
            self._ledger.breach(f"Two live programs are in one conversation, {conversation}.")
        program.conversation = conversation
        real = os.path.realpath(program.cwd)
        self.transcripts[conversation] = Transcript(
            session_id=conversation, path=f"{real}/{conversation}", cwd=real, modified_at=time.time()
        )

    def living(self) -> dict[TerminalId, Program]:
        """Return the programs in terminals that live."""
        holders = self._world.holders
        return {
            one: program
            for one, program in self.by_terminal.items()
            if one in holders and holders[one].exit is None and holders[one].process == program.process
        }

    def holder_of(self, conversation: ConversationId) -> ProcessIdentity | None:
        """Return who has a conversation open."""
        for program in self.living().values():
            if program.conversation == conversation:
                return program.process
        return self.by_hand.get(conversation)

    def _may_be_in(self, program: Program, conversation: ConversationId) -> None:
        if self.holder_of(conversation) is not None:
            self._ledger.breach(f"Two live programs are in one conversation, {conversation}.")
        if conversation not in self._ledger.stored.get(program.agent_id, ()):
            self._ledger.breach(
                f"Agent {program.agent_id} was started with the conversation {conversation}, which is not "
                "stored as its own: after a crash it would be lost."
            )


def _named(argv: Sequence[str], session: HarnessSession) -> ConversationId | None:
    """Return the conversation that a command line begins or resumes."""
    for word in argv[1:]:
        one = word.rpartition("=")[2]
        if not session.is_id(one):
            continue
        if contains(argv, tuple(session.resume_args(one))):
            return one
        if session.mints_ids and contains(argv, tuple(session.new_session_args(one))):
            return one
    return None


class ModelSession(HarnessSession):
    """Conversations of the model's programs.

    Attributes:
        mints_ids: Whether the program is told the ids of its conversations, or chooses them.
        tells_holders: Whether it leaves a trace of who has a conversation open.
    """

    def __init__(self, name: str, programs: Programs, *, mints_ids: bool, tells_holders: bool) -> None:
        self.mints_ids = mints_ids
        self.tells_holders = tells_holders
        self._name = name
        self._programs = programs
        self._count = 0

    def mint(self) -> ConversationId:
        """Return an id that no other run has."""
        self._count += 1
        return f"{self._name}.{self._count}"

    def is_id(self, text: str) -> bool:
        """Tell whether it is one of ours."""
        return text.startswith(f"{self._name}.")

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Begin a conversation under an id."""
        return ("--begin", session_id)

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Resume a conversation."""
        return ("--resume", session_id)

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look at the disk."""
        del place
        return Evidence.FOUND if session_id in self._programs.transcripts else Evidence.MISSING

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return what is on the disk."""
        del place
        return self._programs.transcripts.get(session_id)

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return what was recorded here."""
        here = str(await anyio.Path(place.cwd).resolve())
        ours = [one for one in self._programs.transcripts.values() if self.is_id(one.session_id)]
        found = [one for one in ours if one.cwd == here]
        return sorted(found, key=lambda one: -one.modified_at)

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return what the process is in, once there is something on the disk."""
        for program in self._programs.living().values():
            if program.process == launched.process and program.conversation in self._programs.transcripts:
                return program.conversation
        return None

    async def held_by(self, session_id: ConversationId, place: Place) -> ProcessIdentity | None:
        """Say who has a conversation open, if the program tells."""
        del place
        return self._programs.holder_of(session_id) if self.tells_holders else None


class ModelHarness(HarnessProvider):
    """A program of the model."""

    def __init__(self, name: str, session: HarnessSession | None) -> None:
        super().__init__()
        self.name = name
        self.commands = (name,)
        self.session = session

    def find(self, env: object) -> str | None:
        """Say where it is installed."""
        del env
        return f"/model/{self.name}"

    def launch(self, request: LaunchRequest) -> Command:
        """Return its command."""
        return Command(argv=(f"/model/{self.name}", *request.session_args), env=request.env, cwd=request.cwd)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Know a refused id."""
        if info.exit.code in {UNKNOWN_ID, TAKEN_ID}:
            return ExitKind.UNRESUMABLE
        return super().classify_exit(info)


def model_harnesses(programs: Programs, *, tells_holders: bool) -> list[HarnessProvider]:
    """Return a program of each kind: told its ids, choosing them, and without conversations."""
    told = ModelSession("told", programs, mints_ids=True, tells_holders=tells_holders)
    chooses = ModelSession("chosen", programs, mints_ids=False, tells_holders=tells_holders)
    return [ModelHarness("told", told), ModelHarness("chooses", chooses), ModelHarness("plain", None)]

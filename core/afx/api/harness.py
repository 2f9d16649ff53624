"""The adapter for one agent program: what a harness implements.

A harness knows how its program is launched and told its role, which of its marks must not reach a child,
and, where the program can resume a conversation by an id, how that is asked for.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from .errors import BadInputError, SpawnError
from .model import AgentKind, Command, ConversationId, Exit
from .process import ProcessIdentity

# Linux refuses a single argument of 128 KiB.
_LONGEST_ARGUMENT = 100_000


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID in its usual form, with hyphens and without braces, in either case."""
    import uuid

    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


class Evidence(StrEnum):
    """What can be said of a conversation's transcript."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Rung(StrEnum):
    """One step of the chain by which an agent is brought back."""

    STORED = "stored"
    """Resume the newest conversation whose id is stored."""
    DISCOVERED = "discovered"
    """Resume a conversation whose transcript was found on disk."""
    FRESH = "fresh"
    """Begin a new conversation. The older ids are kept."""


class Doing(StrEnum):
    """What an agent's screen says of it."""

    WORKING = "working"
    WAITING = "waiting"
    """It waits for the person: for an answer, a permission, or the next task."""
    UNKNOWN = "unknown"


class ExitKind(StrEnum):
    """Why an agent's process ended, as far as its harness can tell."""

    QUIT = "quit"
    CRASH = "crash"
    AUTH = "auth"
    """It is not signed in, or no longer."""
    UNRESUMABLE = "unresumable"
    """It refused the conversation id that it was given."""
    UNKNOWN = "unknown"


class ExitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An end that a harness is asked to explain: how it came, after how long, and the last of the output.

    Attributes:
        ran_for: How many seconds the process lived.
        tail: The last output, at most a few KiB, as text.
    """

    exit: Exit
    ran_for: float
    tail: str = ""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its program keeps it on disk.

    Attributes:
        path: The file, or the database, that holds it.
        cwd: The real path of the directory it was recorded for.
        began_at: When it began; None where that is not recorded.
        modified_at: When something was last added to it.
        size: Of the file, in bytes; 0 where it has no file of its own.
        first: The first thing the person said, at most 200 characters of it on one line.
        last: The last thing that was said by anybody, likewise.
    """

    session_id: ConversationId
    path: str
    cwd: str
    began_at: float | None = None
    modified_at: float
    size: int = 0
    first: str = ""
    last: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an agent's program looks for its conversations: what a harness goes by to find them as well.

    Attributes:
        cwd: The directory that the agent works in, as it was given; it may be a link.
        env: The environment that the agent's program is launched with. The Tower's own may be another: an
            agent keeps what its harness names in `HarnessProvider.home_env` from its first launch on.
    """

    cwd: Path
    env: Mapping[str, str]


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """A program that runs, and whose conversation is to be captured.

    Attributes:
        place: Where it runs.
        at: When it was started.
        process: The process that was started; the program itself may be a child of it.
        directory: The agent's own directory, see `LaunchRequest.directory`.
        taken: Ids that are known to belong to other agents. None of them is the one that is looked for.
    """

    place: Place
    at: float
    process: ProcessIdentity | None = None
    directory: str
    taken: frozenset[ConversationId] = frozenset()


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the Tower wants launched.

    Attributes:
        name: The agent's name.
        cwd: Where the program is to run.
        env: The environment, already scrubbed of every harness's nesting marks.
        role: The text that tells the agent who it is and how this workspace works; empty for none.
        task: What to do first; None for nothing.
        args: Arguments that a person added.
        session_args: What this harness's session said to add to begin or resume a conversation.
        directory: A directory of this agent's own for files, such as a role prompt. It exists (mode 0700).
    """

    kind: AgentKind
    name: str
    cwd: str
    env: dict[str, str]
    role: str = ""
    task: str | None = None
    args: tuple[str, ...] = ()
    session_args: tuple[str, ...] = ()
    directory: str

    def task_argument(self, files: dict[str, str]) -> str:
        """Return the task as one argument, empty where there is none.

        What is too long for one argument goes into a file of `directory`, which the argument names.

        Args:
            files: The files of the command that is being made, see `Command.files`. That file is added.
        """
        task = self.task or ""
        if len(task.encode()) <= _LONGEST_ARGUMENT:
            return task
        path = str(Path(self.directory, "task.md"))
        files[path] = task
        return f"Your task is in the file {path}. Read all of it, then do it."


def _nowhere(*_: str | int) -> str:
    return "the settings"


class HarnessContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a harness is given when it is made.

    Attributes:
        name: The name it was asked for by.
        settings: What stands under ``[harness.NAME]``, that of the workspace laid over the person's own.
        place: Says where something in the settings is written, as ``"FILE, line 3, column 5"``.
    """

    name: str = ""
    settings: Mapping[str, Any] = {}
    place: Callable[..., str] = _nowhere

    def mistake(self, path: Sequence[str | int], expected: str, hint: str = "") -> BadInputError:
        """Return the error to raise for a setting that cannot be used.

        Args:
            path: Keys, and numbers of elements, from the section on, such as ``("transcripts", "files")``.
            expected: How the sentence goes on after the setting's name: ``"is 3, and must be a text"``.
            hint: What to do about it.
        """
        where = self.place("harness", self.name, *path)
        name = ".".join(str(part) for part in ("harness", self.name, *path))
        return BadInputError(f"{where}: {name} {expected}.", hint=hint)


class HarnessSession(ABC):
    """How conversations of one program are begun and resumed by an id.

    Nothing here asks for the process's own environment: what counts is that of the agent, see `Place`.
    """

    chain: tuple[Rung, ...] = (Rung.STORED, Rung.DISCOVERED, Rung.FRESH)
    """The rungs that are tried, in this order."""
    mints_ids: bool
    """True where the program can be told the id of a new conversation."""

    def mint(self) -> ConversationId:
        """Return an id for a new conversation, in the form the program wants. The default is a UUID.

        Only asked of a session that mints ids.
        """
        import uuid

        return str(uuid.uuid4())

    @abstractmethod
    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that begin a conversation under this id."""

    @abstractmethod
    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""

    @abstractmethod
    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Tell whether the program has a conversation of this id that can be resumed in `place`.

        MISSING says that it is certain that there is none; whatever could not be read is UNKNOWN.
        """

    def is_id(self, text: str) -> bool:
        """Tell whether `text` has the form of the program's ids. Nothing else is ever passed to it."""
        return bool(text) and not text.startswith("-") and text.isprintable()

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return the transcript of a conversation, or None where none is found."""
        del session_id, place
        return None

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the resumable conversations that were recorded for exactly `place.cwd`, newest first."""
        del place
        return ()

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the id of the conversation that the program is in now, or None where it cannot be told.

        Of a session that does not mint ids this is asked again and again after a launch, until it can be
        told. Of any session it is asked now and then while the program is used, since a person may begin
        another conversation in it, as by ``/clear``. An id that is returned must be certain: of
        `launched.process` itself, or the only one that began in `launched.place.cwd` since the launch.
        """
        del launched
        return None

    async def held_by(self, session_id: ConversationId, place: Place) -> ProcessIdentity | None:
        """Return a live process that has this conversation open, where the program leaves a trace of it."""
        del session_id, place
        return None


class HarnessProvider(ABC):
    """The adapter for one agent program. It is made as ``YourHarness(context)``, and kept.

    Where the settings under ``[harness.NAME]`` differ between workspaces, one is made for each.

    Raises:
        BadInputError: A setting cannot be used, see `HarnessContext.mistake`.
    """

    name: str
    commands: tuple[str, ...]
    """The program's executables by base name, the preferred one first."""
    install: str = ""
    """A command that installs the program, told where it is missing; empty where none is known."""
    nesting_marks: tuple[str, ...] = ()
    """Environment variables by which the program knows that it runs inside itself. Neither this harness's
    children nor anybody else's ever see them. A trailing ``*`` stands for any ending."""
    set_when_nested: tuple[str, ...] = ()
    """Variables that the program also sets for its children and that mean something else elsewhere, such
    as PAGER. They are removed only where a nesting mark shows that they came from the program."""
    home_env: tuple[str, ...] = ()
    """Environment variables that say where the program keeps its conversations. An agent has the values of
    its first launch for good; one that was not set then is not set later."""
    lasting_env: tuple[str, ...] = ()
    """Other environment variables that a later launch of the same agent needs with the same values, such as
    the one that names the model. A trailing ``*`` stands for any ending. Variables whose names speak of a
    key, a token, a secret or a password are never kept."""
    unattended_args: tuple[str, ...] = ()
    """Arguments that let the program act without asking the person. They are passed only where the setting
    ``agent.allow_unattended`` grants it, at a resume as well. A flag with a value is one entry with a blank
    between the two, such as ``--mode never-ask``. See `split_unattended`."""
    checked_versions: tuple[str, ...] = ()
    """Versions of the program that this harness was tried with."""
    session: HarnessSession | None = None
    """None where the program has no conversations that can be resumed by an id: it always starts fresh."""

    def __init__(self, context: HarnessContext | None = None) -> None:
        self.context = HarnessContext() if context is None else context

    def find(self, env: Mapping[str, str]) -> str | None:
        """Return the path of the installed program, or None where it is not on the PATH of `env`."""
        for command in self.commands:
            found = shutil.which(command, path=env.get("PATH"))
            if found is not None:
                return found
        return None

    def require(self, env: Mapping[str, str]) -> str:
        """Return the path of the installed program.

        Raises:
            SpawnError: It is not on the PATH of `env`. The hint says what installs it, see `install`.
        """
        found = self.find(env)
        if found is None:
            raise SpawnError(
                f"The program `{self.commands[0]}` is not on the PATH.",
                hint=f"Install it with `{self.install}`." if self.install else "Install it, or correct PATH.",
            )
        return found

    @abstractmethod
    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program as requested.

        Raises:
            SpawnError: It cannot be started, for a reason a person can mend.
        """

    def split_unattended(self, args: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Part the arguments that let the program act without asking from all others.

        The default goes by `unattended_args`. An entry ``FLAG VALUE`` is found as two arguments and as one,
        ``FLAG=VALUE``. What follows a ``--`` is no option, and is kept.

        Returns:
            The arguments that may always be passed, and those that only a grant allows, both in their order.
        """
        kept: list[str] = []
        unattended: list[str] = []
        rest = list(args)
        while rest and rest[0] != "--":
            pair = " ".join(rest[:2])
            if len(rest) > 1 and pair in self.unattended_args:
                unattended += rest[:2]
                del rest[:2]
                continue
            one = rest.pop(0)
            is_unattended = one in self.unattended_args or one.replace("=", " ", 1) in self.unattended_args
            (unattended if is_unattended else kept).append(one)
        return (*kept, *rest), tuple(unattended)

    async def takes_messages(self, process: ProcessIdentity | None, screen: str | None) -> bool | None:
        """Tell whether what is typed now reaches the program as a message; None where that cannot be told.

        False while it shows a dialog, where Enter would confirm something nobody has read, and while it
        still comes up. It is asked once the program has written something and paused; where it cannot tell,
        that has to do.

        Args:
            process: The process that runs in the terminal.
            screen: The text that the terminal shows, rows separated by newlines; None where it cannot be had.
        """
        del process, screen
        return None

    def doing(self, screen: str) -> Doing:
        """Say what the agent does, from the text that its terminal shows, rows separated by newlines."""
        del screen
        return Doing.UNKNOWN

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type so that the running program takes `text` as one message and acts on it.

        The parts are typed with a short pause between them, the second once the program shows the first,
        or after three seconds. The default is a bracketed paste, and then Enter. `text` holds no control
        characters but newlines and tabs.
        """
        return (b"\x1b[200~" + text.encode() + b"\x1b[201~", b"\r")

    def shows_draft(self, screen: str) -> bool:
        """Tell whether the program's input field holds text, from what its terminal shows.

        It is asked before the last of the `keystrokes`, and again after it. Where both times it does, a
        second apart, the last one is typed again: a program that a busy machine holds up may take an Enter
        for a part of the text. False, the default, where that cannot be told.

        Args:
            screen: The text that the terminal shows, rows separated by newlines.
        """
        del screen
        return False

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended. The default knows exit code 0 as a quit and all else as a crash."""
        return ExitKind.QUIT if info.exit.ok else ExitKind.CRASH

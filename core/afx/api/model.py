"""The data that the Tower, its plugins and its storage share. All of it is frozen; a change makes a copy.

Times are seconds since the epoch (UTC), as floats. Paths are absolute and, where they name a workspace or
the directory an agent works in, real paths without symlinks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import msgspec

from .errors import BadInputError
from .process import ProcessIdentity

AgentId: TypeAlias = str
TerminalId: TypeAlias = str
ConversationId: TypeAlias = str
WorkspacePath: TypeAlias = str


class AgentKind(StrEnum):
    """What an agent is for: one who plans, one who builds in a worktree, or a plain shell."""

    ARCHITECT = "architect"
    BUILDER = "builder"
    SHELL = "shell"


class AgentState(StrEnum):
    """What is known of an agent now."""

    RUNNING = "running"
    """Its process runs and its terminal is connected."""
    EXITED = "exited"
    """Its process ended by itself with exit code 0, and its terminal stays to be read; or a person ended
    that, by another way than afx."""
    CRASHED = "crashed"
    """Its process ended by a signal or with another exit code. The terminal stays to be read."""
    STOPPED = "stopped"
    """A person stopped it. It stays stopped through crashes and reboots."""
    UNREACHABLE = "unreachable"
    """Its terminal's holder lives, or may live, and does not answer. Nothing is done to it but ask again."""
    LOST = "lost"
    """Its terminal is provably gone, and nobody asked for that."""
    NEEDS_ATTENTION = "needs-attention"
    """All that could be done by itself was done. A person has to look; `Agent.reason` says at what."""


class ConversationSource(StrEnum):
    """How an agent's conversation id became known."""

    MINTED = "minted"
    """The Tower chose the id and told the program to use it."""
    CAPTURED = "captured"
    """The program chose the id, and it was read from the program after its launch."""
    DISCOVERED = "discovered"
    """The id was found in a transcript on disk."""
    GIVEN = "given"
    """A person named the id."""


class TerminalState(StrEnum):
    """What is known of a terminal now."""

    RUNNING = "running"
    EXITED = "exited"
    UNREACHABLE = "unreachable"


class Size(msgspec.Struct, frozen=True):
    """The size of a terminal in character cells."""

    cols: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 80
    rows: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 24


class Position(msgspec.Struct, frozen=True):
    """A place in a terminal's output: a byte offset that counts from the beginning of an epoch.

    Offsets of two epochs cannot be compared. An epoch ends where output may have been lost unseen, such as
    with the holder itself.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read ``EPOCH:OFFSET``.

        Raises:
            BadInputError: `text` has another form.
        """
        epoch, colon, offset = text.rpartition(":")
        if not colon or not epoch or not (offset.isascii() and offset.isdigit()) or len(offset) > 18:
            raise BadInputError(
                f"{text!r} is no position in a terminal's output.", hint="Write EPOCH:OFFSET."
            )
        return cls(epoch, int(offset))


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How and when a terminal's process ended.

    Exactly one of `code` and `signal` is set, or neither where the end is known and its manner is not.

    Attributes:
        code: The exit code.
        signal: The number of the signal that killed it.
        at: When it ended.
    """

    code: int | None = None
    signal: int | None = None
    at: float

    @property
    def ok(self) -> bool:
        """Whether the process said that all was well."""
        return self.code == 0


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A git repository that the Tower of one host knows.

    Attributes:
        path: Its real path; with `host` it is the workspace's identity.
        name: What a person calls it: the last part of the path unless they chose another.
        active: False after `afx workspace stop`, until it is started again.
    """

    host: str
    path: str
    name: str
    added_at: float
    active: bool = True


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A durable identity: (workspace, kind, name). It outlives its terminals.

    Attributes:
        workspace: Path of its workspace.
        harness: Name of its harness; None for a plain shell.
        cwd: The directory its program runs in.
        branch: The git branch of a builder's worktree.
        owns_branch: Whether that branch was made for it, so that it may be deleted with it.
        spawned_by: Id of the agent that asked for this one.
        task: What it was told to do at the start.
        args: Arguments a person added to the program's command line.
        past_terminals: Ids of the terminals it had and that are gone, newest first, so that whoever still
            looks at one of them finds its successor.
        conversation: The conversation it is in, where that is not its newest; None for the newest.
        conversation_before: What `conversation` was before a person last chose one.
        env: The part of the environment it was first launched with that a later launch needs again, such as
            where its program keeps its files. No secrets.
        size: The size its terminal last had; None where it never had one.
        plan: How it was last brought back, as `afx.tower.resume` wrote it; None where it never was.
        reason: One sentence about `state`, where there is more to say than its word.
        removed_at: When a person cleaned it up. Such an agent is shown nowhere; its conversations stay.
    """

    id: AgentId
    host: str
    workspace: str
    kind: AgentKind
    name: str
    harness: str | None = None
    strategy: str
    state: AgentState
    reason: str = ""
    cwd: str
    branch: str | None = None
    owns_branch: bool = False
    spawned_by: AgentId | None = None
    task: str | None = None
    args: tuple[str, ...] = ()
    conversation: ConversationId | None = None
    conversation_before: ConversationId | None = None
    env: dict[str, str] = {}
    size: Size | None = None
    plan: dict[str, Any] | None = None
    past_terminals: tuple[TerminalId, ...] = ()
    created_at: float
    removed_at: float | None = None

    @property
    def label(self) -> str:
        """What people call it: its kind and its name, such as ``builder/fix``."""
        return f"{self.kind}/{self.name}"


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """An id by which a harness's program can resume what was said. Never erased once stored.

    Attributes:
        agent_id: Whose conversation it is; with `id` it is the identity of this row.
        harness: The harness whose program the id belongs to.
        at: When the agent got it. An agent's newest is its current one.
    """

    agent_id: AgentId
    id: ConversationId
    harness: str
    source: ConversationSource
    at: float


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was sent to an agent. While the agent is down it waits.

    Attributes:
        delivered_at: When it was typed into the agent's terminal; None while it waits.
    """

    id: str
    agent_id: AgentId
    text: str
    at: float
    delivered_at: float | None = None


class TerminalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about one terminal, enough to find it again after the Tower went away.

    Attributes:
        handle: What the strategy needs to find it, opaque to everybody else and made of JSON's types.
        process: Identity of the program in it, as last known; None before the first launch.
        predecessors: Ids of the terminals that this one replaced, newest first.
        exit: The end of its process, once it was noted.
    """

    id: TerminalId
    agent_id: AgentId
    host: str
    strategy: str
    handle: dict[str, Any]
    process: ProcessIdentity | None = None
    size: Size = Size()
    started_at: float
    predecessors: tuple[TerminalId, ...] = ()
    exit: Exit | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: arguments, the whole environment, and files that must exist first.

    Attributes:
        argv: The program and its arguments. The program is looked up on the PATH of `env`.
        env: The complete environment; nothing is inherited beside it.
        cwd: The directory to run in.
        files: Absolute path -> content of files to write (mode 0600) before the launch.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    files: dict[str, str] = {}


class TerminalSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal that is to be started.

    Attributes:
        id: The id it shall have.
        agent_id: The agent it belongs to, which the holder keeps, so that a terminal that no record names
            can be adopted.
        label: A short name for process lists and session names, such as ``builder-myrepo-fix``.
        scrollback: How many of the last bytes of output the holder keeps.
    """

    id: TerminalId
    agent_id: AgentId
    label: str
    command: Command
    size: Size = Size()
    scrollback: int = 4 * 1024 * 1024

"""How terminals outlive the Tower: what a reconnect strategy implements.

A strategy starts terminals that do not die with the Tower, says which of the recorded ones survived, and
connects to them. Each connected terminal is a `Connection`; each onlooker of its output has a `Watch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import msgspec

from .model import AgentId, Command, Exit, Position, Size, TerminalId, TerminalRecord, TerminalSpec
from .process import ProcessIdentity


class Life(Enum):
    """What a survey found out about one terminal."""

    ALIVE = "alive"
    """Its holder answered, and it is the terminal that the record speaks of."""
    DEAD = "dead"
    """It is proven that the holder is gone. Only this lets a record be pruned."""
    NO_ANSWER = "no answer"
    """Neither. The terminal is left alone and asked again later."""


class Cause(Enum):
    """Why a terminal is gone, as far as its strategy can prove it. It decides what becomes of the agent."""

    FAILURE = "failure"
    """Its holder failed, or nothing is known. A Tower that looked on brings the agent back at once."""
    CLOSED = "closed"
    """A person ended just this terminal, by another way than afx. Its agent has exited, and is left alone."""
    SHUT_DOWN = "shut down"
    """A person ended what held it, and all else with it. Its agent is lost, and waits to be recovered."""


class Survival(msgspec.Struct, frozen=True):
    """The finding about one terminal: a reason in words and, for a dead one, its process's end if known.

    Attributes:
        cause: Of a dead one: why it is gone.
    """

    life: Life
    reason: str = ""
    exit: Exit | None = None
    cause: Cause = Cause.FAILURE


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A live terminal of ours that no record names.

    Attributes:
        terminal_id: The id that its holder keeps.
        agent_id: The agent that its holder keeps, which lets the Tower adopt it.
        handle: What a record of it would have as handle.
        note: What it is, in words for a person.
        name: What it is called where it lives, such as a session's name; empty where it has no such name.
        cwd: The directory its program works in, where that is known.
    """

    terminal_id: TerminalId
    agent_id: AgentId
    strategy: str
    handle: dict[str, Any]
    started_at: float
    note: str
    name: str = ""
    cwd: str = ""


class TerminalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a terminal's holder says of it when it is connected to.

    Attributes:
        process: The program in it, or None where it ended and its identity is gone.
        end: Where its output ends now.
        last_output_at: When it last wrote something; None where it never did.
        exit: The end of its process, if it ended.
    """

    process: ProcessIdentity | None
    size: Size
    end: Position
    last_output_at: float | None = None
    exit: Exit | None = None


class Activity(msgspec.Struct, frozen=True):
    """The terminal wrote output, up to `offset`. Rate-limited: about one a second at most."""

    at: float
    offset: int


class Ended(msgspec.Struct, frozen=True):
    """The terminal's process ended; all of its output is in the stream before this."""

    exit: Exit


class Resized(msgspec.Struct, frozen=True):
    """The terminal has a new size."""

    size: Size


class Respawned(msgspec.Struct, frozen=True):
    """A new process runs in the terminal after the last one ended."""

    process: ProcessIdentity | None


class Reset(msgspec.Struct, frozen=True):
    """The onlooker's picture of the terminal begins anew.

    What was shown before is to be discarded. `prologue` restores the terminal's modes and counts for no
    offset; the output that follows begins at `start`, which is no place inside an escape sequence or a
    character. Output before the end that was current at the time contains no queries that an onlooker's
    terminal would answer.
    """

    start: Position
    prologue: bytes = b""


class Resumed(msgspec.Struct, frozen=True):
    """The onlooker gets exactly what followed `start`, the position it asked for."""

    start: Position


Notice: TypeAlias = Activity | Ended | Resized | Respawned
WatchItem: TypeAlias = bytes | Reset | Resumed | Ended | Resized | Respawned


class Watch(ABC):
    """One onlooker's stream of a terminal's output.

    The first item is `Resumed` or `Reset`. Each `bytes` item continues where the last one ended. `Reset`
    comes again when the onlooker was so slow that the output it lacks is no longer kept. An onlooker that
    does not read holds the terminal's program back for a moment, and then no more.
    """

    @property
    @abstractmethod
    def end(self) -> Position:
        """Where the output ended when the onlooker came."""

    @abstractmethod
    async def receive(self) -> WatchItem:
        """Return the next item.

        Raises:
            ConnectionLostError: The terminal can no longer be heard.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Stop watching. The terminal is not affected. Whoever calls this may be cancelled already."""


async def read_to_end(watch: Watch) -> bytes:
    """Read the output up to where it ended when the watch began, and close the watch.

    Raises:
        ConnectionLostError: The terminal can no longer be heard.
    """
    data = bytearray()
    begun = False
    start = 0
    try:
        while not begun or start + len(data) < watch.end.offset:
            match await watch.receive():
                case bytes(piece):
                    data += piece
                case Reset(position, prologue):
                    begun, start = True, position.offset - len(prologue)
                    data[:] = prologue
                case Resumed(position):
                    begun, start = True, position.offset
                case _:
                    pass
        return bytes(data)
    finally:
        await watch.aclose()


class Connection(ABC):
    """The Tower's hold on one terminal. It ends with `aclose`, and the terminal lives on."""

    @property
    @abstractmethod
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now, kept current by `notices`."""

    @abstractmethod
    def notices(self) -> AsyncIterator[Notice]:
        """Yield what happens to the terminal, for as long as it is connected.

        There is one reader. An end that the Tower has not acknowledged comes first, again after every
        reconnect, so that none is missed.

        Raises:
            ConnectionLostError: The connection ended without `aclose`.
        """

    @abstractmethod
    async def watch(self, since: Position | None = None, *, tail: int | None = None) -> Watch:
        """Begin to watch the output.

        It continues at `since` where that is still kept, else begins about `tail` bytes before the end
        (None: at the oldest that is kept).

        Raises:
            ConnectionLostError: The terminal does not answer.
        """

    async def glance(self, tail: int) -> bytes:
        """Return about the last `tail` bytes of the output, for the Tower to judge and not for showing.

        They begin at a safe cut, with what restores the modes there. The default watches for a moment. A
        strategy whose watches have full-screen programs repaint themselves does it without that here: the
        program is not to notice.

        Raises:
            ConnectionLostError: The terminal does not answer.
        """
        return await read_to_end(await self.watch(tail=tail))

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Type `data` into the terminal.

        Raises:
            ConnectionLostError: It could not be delivered.
        """

    @abstractmethod
    async def resize(self, size: Size) -> None:
        """Give the terminal another size."""

    @abstractmethod
    async def signal(self, number: int) -> None:
        """Send a signal to the terminal's foreground process group."""

    async def show(self, data: bytes) -> None:
        """Put `data` into the output as though the terminal's program had written it.

        Asked only while no process runs in it. The default does nothing.
        """
        del data

    @abstractmethod
    async def acknowledge(self, end: Exit) -> None:
        """Say that `end` has been noted in storage and need not be kept any longer."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of the terminal without ending it."""


class Spawned(msgspec.Struct, frozen=True):
    """A terminal that has just been started: the hold on it, and what to store to find it again."""

    connection: Connection
    handle: dict[str, Any]


class StrategyContext(msgspec.Struct, frozen=True):
    """What a strategy is given when it is made.

    Attributes:
        directory: A directory of this strategy's own in the state directory (mode 0700). It exists.
        settings: The settings under ``[strategy.NAME]``.
    """

    directory: Path
    settings: Mapping[str, Any]


class ReconnectStrategy(ABC):
    """A way for terminals to outlive the Tower.

    One instance serves one Tower, from `start` to `aclose`, and is made as ``YourStrategy(context)``.
    """

    name: ClassVar[str]

    def __init__(self, context: StrategyContext) -> None:
        self.context = context

    async def start(self) -> None:
        """Make ready. Called once, before everything else; must not take long."""

    async def aclose(self) -> None:
        """Let go of everything. No terminal may end because of it."""

    def expect_spawn(self) -> None:
        """Hear that a terminal will most likely be wanted in a moment, and begin what takes long.

        It must not wait for anything, and nothing may be left if no terminal is wanted after all. The default
        does nothing.
        """

    @abstractmethod
    async def spawn(self, spec: TerminalSpec) -> Spawned:
        """Start a terminal.

        Raises:
            SpawnError: It could not be started; nothing of it is left behind.
        """

    @abstractmethod
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Find out which of these terminals survived: one call for all of them.

        Returns within about `deadline` seconds whatever the holders do. A record that is left out counts
        as `Life.NO_ANSWER`.
        """

    @abstractmethod
    async def reconnect(self, record: TerminalRecord) -> Connection:
        """Connect to a terminal that the last survey found alive.

        Raises:
            ConnectionLostError: It does not answer (any more).
        """

    @abstractmethod
    async def respawn(self, connection: Connection, command: Command) -> None:
        """Start a new process in the same terminal, whose last one has ended. Its id stays.

        Raises:
            SpawnError: It could not be started; the terminal is as before.
        """

    @abstractmethod
    async def terminate(self, record: TerminalRecord) -> None:
        """End the terminal and its process, politely first (SIGHUP), and return when both are gone.

        Raises:
            UnreachableError: Its holder does not answer, so nothing could be ended.
        """

    async def forget(self, record: TerminalRecord) -> None:
        """Remove what a terminal that was found dead left behind, such as its socket."""

    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        """Return live terminals of ours that none of `known` names."""
        del known
        return ()

    @property
    def expects_orphans(self) -> bool:
        """Whether the last search for orphans met something that did not answer, and may be one.

        The Tower searches again for as long as it does.
        """
        return False

    async def adopt(self, record: TerminalRecord) -> Connection:
        """Connect to a terminal that was an orphan. A person, or its own id of an agent, says whose it is.

        The default reconnects. A strategy whose terminals know their agent notes the agent there.

        Raises:
            ConnectionLostError: It does not answer (any more).
        """
        return await self.reconnect(record)

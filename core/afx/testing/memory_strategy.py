"""A reconnect strategy whose terminals exist only in memory, for tests of what stands on strategies.

Its terminals outlive the strategy object, as real ones outlive the Tower: they live in a `World` that several
strategy objects may share, one after the other. The world can be told to let a holder hang, die or answer,
and may be given a stand-in for the program that runs in its terminals.
"""

from __future__ import annotations

import itertools
import math
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import anyio
import msgspec

from afx.api.errors import ConnectionLostError, SpawnError, UnreachableError
from afx.api.model import Command, Exit, Position, Size, TerminalId, TerminalRecord, TerminalSpec
from afx.api.process import ProcessIdentity
from afx.api.strategy import (
    Activity,
    Cause,
    Connection,
    Ended,
    Life,
    Notice,
    Orphan,
    ReconnectStrategy,
    Reset,
    Resized,
    Respawned,
    Resumed,
    Spawned,
    StrategyContext,
    Survival,
    TerminalFacts,
    Watch,
    WatchItem,
)

EPOCH = "memory"
_BETWEEN_NOTICES = 1.0
_numbers = itertools.count(1)


def _a_process() -> ProcessIdentity:
    """Return a process that there never was."""
    number = next(_numbers)
    return ProcessIdentity(pid=number, start=str(number), boot_id="memory")


class Holder:
    """One terminal of a `World`.

    Attributes:
        hangs: While set, it answers nobody, and what it has to tell waits.
        process: Who its program is, or was; no process of this machine.
        connections: How often it was connected to.
        signals: What it was sent.
        acknowledged: The ends that the Tower said it had noted.
        news: What those who watch are told, and after how much of the output.
    """

    def __init__(self, spec: TerminalSpec) -> None:
        self.spec = spec
        self.size = spec.size
        self.output = bytearray()
        self.typed = bytearray()
        self.exit: Exit | None = None
        self.process = _a_process()
        self.started_at = time.time()
        self.last_output_at: float | None = None
        self.connections = 0
        self.signals: list[int] = []
        self.acknowledged: list[Exit] = []
        self.hold: MemoryConnection | None = None
        self.news: list[tuple[int, Ended | Resized | Respawned]] = []
        self._hangs = False
        self._changed = anyio.Event()

    @property
    def hangs(self) -> bool:
        """Whether it answers nobody."""
        return self._hangs

    @hangs.setter
    def hangs(self, hangs: bool) -> None:
        self._hangs = hangs
        if self.hold is not None and not hangs:
            self.hold.hear()

    def say(self, notice: Ended | Resized | Respawned) -> None:
        """Tell those who watch, and the Tower, if it is connected."""
        self.news.append((len(self.output), notice))
        self._wake()
        if self.hold is not None:
            self.hold.tell(notice)

    def write(self, output: bytes) -> None:
        """Let the program write."""
        self.output += output
        self._wake()
        now, last = time.time(), self.last_output_at
        self.last_output_at = now
        if self.hold is not None and (last is None or now - last >= _BETWEEN_NOTICES):
            self.hold.tell(Activity(now, len(self.output)))

    def begin(self, command: Command) -> None:
        """Let another program begin, whose last one has ended."""
        self.spec = msgspec.structs.replace(self.spec, command=command)
        self.exit, self.process = None, _a_process()
        self.say(Respawned(self.process))

    def end(self, end: Exit) -> None:
        """Let the program end."""
        self.exit = end
        self.say(Ended(end))

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait until there is output or news."""
        await self._changed.wait()


class World:
    """All the holders there are, by terminal id.

    Attributes:
        refuses: While set, nothing can be started, and this is why.
        program: What stands in for a terminal's program: it is called with what is typed, and at the start
            with nothing. None: nothing happens.
        causes: Why holders are gone.
    """

    def __init__(self) -> None:
        self.holders: dict[TerminalId, Holder] = {}
        self.refuses: str = ""
        self.program: Callable[[Holder, bytes], None] | None = None
        self.causes: dict[TerminalId, Cause] = {}

    def type(self, holder: Holder, data: bytes) -> None:
        """Let the program have what is typed."""
        if self.program is not None and holder.exit is None:
            self.program(holder, data)

    def kill(self, terminal_id: TerminalId, cause: Cause = Cause.FAILURE) -> None:
        """Let a holder die without a word; a survey says why."""
        self.causes[terminal_id] = cause
        hold = self.holders.pop(terminal_id).hold
        if hold is not None:
            hold.lose()

    def reboot(self) -> None:
        """Let every holder be gone, as after a reboot of the machine."""
        for terminal_id in list(self.holders):
            self.kill(terminal_id)


class MemoryWatch(Watch):
    """Everything a holder puts out, and what happens to it in between."""

    def __init__(self, holder: Holder, since: Position | None) -> None:
        known = since is not None and since.epoch == EPOCH and since.offset <= len(holder.output)
        self._holder = holder
        self._offset = since.offset if since is not None and known else 0
        self._told = len(holder.news)
        start = Position(EPOCH, self._offset)
        self._end = Position(EPOCH, len(holder.output))
        self._first: WatchItem | None = Resumed(start) if known else Reset(start)
        if holder.exit is not None:
            self._told -= 1  # The news that it ended is the last there is.

    @property
    def end(self) -> Position:
        """Where the output ended when the onlooker came."""
        return self._end

    async def receive(self) -> WatchItem:
        """Return the next item as soon as there is one."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        holder = self._holder
        while True:
            news = holder.news[self._told] if self._told < len(holder.news) else None
            until = len(holder.output) if news is None else max(news[0], self._offset)
            if self._offset < until:
                piece = bytes(holder.output[self._offset : until])
                self._offset = until
                return piece
            if news is not None:
                self._told += 1
                return news[1]
            await holder.change()

    async def aclose(self) -> None:
        """Stop watching."""


class MemoryConnection(Connection):
    """A hold on a `Holder`."""

    def __init__(self, holder: Holder, world: World) -> None:
        self._holder = holder
        self._world = world
        self._news, self._heard = anyio.create_memory_object_stream[Notice](math.inf)
        self._untold: list[Notice] = []
        holder.connections += 1
        holder.hold = self
        if holder.exit is not None and holder.exit not in holder.acknowledged:
            self.tell(Ended(holder.exit))

    def tell(self, notice: Notice) -> None:
        """Let the Tower know, once the holder answers."""
        self._untold.append(notice)
        if not self._holder.hangs:
            self.hear()

    def hear(self) -> None:
        """Let the Tower know what has waited for that."""
        while self._untold:
            self._news.send_nowait(self._untold.pop(0))

    @property
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now."""
        holder = self._holder
        return TerminalFacts(
            process=holder.process,
            size=holder.size,
            end=Position(EPOCH, len(holder.output)),
            last_output_at=holder.last_output_at,
            exit=holder.exit,
        )

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what happens to the terminal."""
        with suppress(anyio.ClosedResourceError):
            async for notice in self._heard:
                yield notice
            raise ConnectionLostError("The holder is gone.")

    async def watch(self, since: Position | None = None, *, tail: int | None = None) -> Watch:
        """Begin to watch the output."""
        del tail
        return MemoryWatch(self._holder, since)

    async def write(self, data: bytes) -> None:
        """Remember what was typed."""
        self._holder.typed += data
        self._world.type(self._holder, data)

    async def resize(self, size: Size) -> None:
        """Give the terminal another size."""
        self._holder.size = size
        self._holder.say(Resized(size))

    async def signal(self, number: int) -> None:
        """Remember the signal. One that nothing can stand ends the program."""
        self._holder.signals.append(number)
        if number == signal.SIGKILL and self._holder.exit is None:
            self._holder.end(Exit(signal=number, at=time.time()))

    async def show(self, data: bytes) -> None:
        """Put `data` into the output."""
        self._holder.write(data)

    async def acknowledge(self, end: Exit) -> None:
        """Remember that the end was noted."""
        self._holder.acknowledged.append(end)

    async def aclose(self) -> None:
        """Let go."""
        if self._holder.hold is self:
            self._holder.hold = None
        self._news.close()
        self._heard.close()

    def lose(self) -> None:
        """Let the connection end from the other side."""
        self._holder.hold = None
        self._news.close()


class MemoryStrategy(ReconnectStrategy):
    """Terminals in memory. A record finds its holder by its id, as long as the `World` has it."""

    name: ClassVar[str] = "memory"

    def __init__(self, context: StrategyContext, world: World) -> None:
        super().__init__(context)
        self.world = world
        self._held: list[MemoryConnection] = []
        self._is_silent = False

    async def spawn(self, spec: TerminalSpec) -> Spawned:
        """Start a terminal, unless the world refuses."""
        if self.world.refuses:
            raise SpawnError(self.world.refuses)
        if spec.id in self.world.holders:
            raise SpawnError(f"There is a terminal {spec.id} that is alive.")
        holder = self.world.holders[spec.id] = Holder(spec)
        connection = self._hold(holder)
        self.world.type(holder, b"")
        return Spawned(connection, {})

    def _hold(self, holder: Holder) -> MemoryConnection:
        connection = MemoryConnection(holder, self.world)
        self._held.append(connection)
        return connection

    async def aclose(self) -> None:
        """Let go of every holder."""
        while self._held:
            await self._held.pop().aclose()

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Say who is there; wait the deadline out where somebody hangs."""
        found: dict[TerminalId, Survival] = {}
        for record in records:
            holder = self.world.holders.get(record.id)
            if holder is None:
                cause = self.world.causes.get(record.id, Cause.FAILURE)
                found[record.id] = Survival(Life.DEAD, "Its holder is gone.", cause=cause)
            elif holder.hangs:
                found[record.id] = Survival(Life.NO_ANSWER, "Its holder does not answer.")
            else:
                found[record.id] = Survival(Life.ALIVE)
        if any(survival.life is Life.NO_ANSWER for survival in found.values()):
            await anyio.sleep(deadline)
        return found

    async def reconnect(self, record: TerminalRecord) -> Connection:
        """Connect to a terminal."""
        holder = self.world.holders.get(record.id)
        if holder is None or holder.hangs:
            raise ConnectionLostError("The holder does not answer.")
        return self._hold(holder)

    async def respawn(self, connection: Connection, command: Command) -> None:
        """Run a new command in a terminal."""
        holder = next((one for one in self.world.holders.values() if one.hold is connection), None)
        if holder is None:
            raise ConnectionLostError("The holder is gone.")
        if holder.exit is None:
            raise SpawnError("The terminal's program still runs.", hint="Stop it first.")
        if self.world.refuses:
            raise SpawnError(self.world.refuses)
        if holder.hangs:
            raise UnreachableError("The holder does not answer.")
        holder.begin(command)
        self.world.type(holder, b"")

    async def terminate(self, record: TerminalRecord) -> None:
        """End a terminal."""
        holder = self.world.holders.get(record.id)
        if holder is not None and holder.hangs:
            raise UnreachableError("The holder does not answer.")
        if holder is not None:
            self.world.kill(record.id)

    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        """Return the holders that no record names."""
        named = {record.id for record in known}
        named |= {one for one, holder in self.world.holders.items() if holder.hold in self._held}
        strangers = {one: holder for one, holder in self.world.holders.items() if one not in named}
        self._is_silent = any(holder.hangs for holder in strangers.values())
        return [
            Orphan(
                terminal_id=terminal_id,
                agent_id=holder.spec.agent_id,
                strategy=self.name,
                handle={},
                started_at=holder.started_at,
                note=holder.spec.label,
            )
            for terminal_id, holder in strangers.items()
            if not holder.hangs
        ]

    @property
    def expects_orphans(self) -> bool:
        """Whether a holder that no record names hung when it was asked."""
        return self._is_silent

"""Where the terminals of a strategy's tests live, and the Towers that come and go over them."""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec
import pytest

from afx.api.errors import AfxError
from afx.api.model import Command, Exit, Position, Size, TerminalId, TerminalRecord, TerminalSpec
from afx.api.process import is_alive
from afx.api.strategy import (
    Connection,
    Ended,
    Life,
    Notice,
    ReconnectStrategy,
    Survival,
    Watch,
    WatchItem,
)

PATIENCE = 20.0
"""Seconds after which something that should have happened counts as not happening."""

_HANG_UP = 2.0

PUPPET = """
stty -echo
echo ready
while read -r word rest; do
    case $word in
        say) echo "$rest" ;;
        count) i=1; while [ "$i" -le "$rest" ]; do echo "number $i"; i=$((i + 1)); done ;;
        exit) exit "$rest" ;;
    esac
done
"""
"""The program in the suite's terminals. It begins with ``ready``; ``say TEXT`` is answered by TEXT and
``count N`` by N lines, and ``exit N`` ends it."""

Item = TypeVar("Item")


class Stage(ABC):
    """Where a strategy's terminals live during a test, and what may happen to them there.

    Subclass it for your strategy. Everything that the strategies of one stage start belongs to it.
    """

    @abstractmethod
    def strategy(self) -> ReconnectStrategy:
        """Make a strategy, not started yet, as the next Tower of the same state directory does."""

    @abstractmethod
    def hang(self, record: TerminalRecord) -> None:
        """Let what holds this terminal, and perhaps others, answer nobody until `go_on`."""

    @abstractmethod
    def go_on(self, record: TerminalRecord) -> None:
        """Let it answer again."""

    @abstractmethod
    def kill(self, record: TerminalRecord) -> None:
        """Let what holds this terminal, and perhaps others, be gone without a word; return when it is."""

    def close(self, record: TerminalRecord) -> None:
        """Let a person end just this terminal, by another way than afx, see `StrategySuite.can_be_closed`."""
        raise NotImplementedError

    def shut_down(self, record: TerminalRecord) -> None:
        """Let a person end what holds this terminal and others, and return when it is gone.

        See `StrategySuite.can_be_closed`.
        """
        raise NotImplementedError

    @abstractmethod
    def clear(self) -> None:
        """Leave nothing behind, whatever state things are in."""

    def puppet(self) -> Command:
        """Return the command of the suite's program."""
        return Command(argv=("/bin/sh", "-c", PUPPET), env={"PATH": os.environ["PATH"]}, cwd="/")

    def impossible(self) -> Command:
        """Return a command that cannot be started."""
        return Command(argv=("no-such-program-anywhere",), env={"PATH": os.environ["PATH"]}, cwd="/")


class Theatre:
    """The Towers that come and go over one stage, at most one at a time, and the records they keep."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.records: dict[TerminalId, TerminalRecord] = {}
        self._strategy: ReconnectStrategy | None = None
        self._watches: list[Watch] = []

    async def tower(self) -> ReconnectStrategy:
        """Return the started strategy of a new Tower; the last one has stopped."""
        await self.tower_stops()
        self._strategy = self.stage.strategy()
        await self._strategy.start()
        return self._strategy

    async def tower_stops(self) -> None:
        """Let the Tower, and all who watch by way of it, let go of everything."""
        while self._watches:
            await self._watches.pop().aclose()
        if self._strategy is not None:
            await self._strategy.aclose()
            self._strategy = None

    async def spawn(
        self,
        strategy: ReconnectStrategy,
        terminal_id: TerminalId = "t1",
        command: Command | None = None,
        size: Size = Size(80, 24),  # noqa: B008 - frozen
    ) -> Connection:
        """Start a terminal, and keep its record as storage does."""
        spec = TerminalSpec(
            id=terminal_id,
            agent_id=f"agent-of-{terminal_id}",
            label=f"shell-theatre-{terminal_id}",
            command=command or self.stage.puppet(),
            size=size,
        )
        spawned = await strategy.spawn(spec)
        stored = msgspec.json.decode(msgspec.json.encode(spawned.handle))
        self.records[terminal_id] = TerminalRecord(
            id=terminal_id,
            agent_id=spec.agent_id,
            host="here",
            strategy=strategy.name,
            handle=stored,
            process=spawned.connection.facts.process,
            size=size,
            started_at=time.time(),
        )
        return spawned.connection

    async def watch(self, connection: Connection, since: Position | None = None) -> Watch:
        """Watch a terminal until the Tower stops."""
        watch = await connection.watch(since)
        self._watches.append(watch)
        return watch

    async def survey(self, strategy: ReconnectStrategy, deadline: float = PATIENCE) -> dict[str, Survival]:
        """Return what a survey of all records finds."""
        return dict(await strategy.survey(list(self.records.values()), deadline))

    async def back(self, terminal_id: TerminalId = "t1") -> tuple[ReconnectStrategy, Connection]:
        """Let a new Tower come and connect to a terminal."""
        strategy = await self.tower()
        found = await self.survey(strategy)
        assert found[terminal_id].life is Life.ALIVE, found[terminal_id].reason
        return strategy, await strategy.reconnect(self.records[terminal_id])


async def output_until(watch: Watch, wanted: bytes) -> bytes:
    """Return the output that comes up to and including the first piece after which it contains `wanted`."""
    got = b""
    with anyio.fail_after(PATIENCE):
        while wanted not in got:
            item = await watch.receive()
            if isinstance(item, bytes):
                got += item
    return got


async def first_item(watch: Watch) -> WatchItem:
    """Return the next item of a watch."""
    with anyio.fail_after(PATIENCE):
        return await watch.receive()


async def next_item(watch: Watch, kind: type[Item]) -> Item:
    """Return the next item of this kind; output and others are passed over."""
    with anyio.fail_after(PATIENCE):
        while True:
            item = await watch.receive()
            if isinstance(item, kind):
                return item


async def next_notice(connection: Connection, kind: type[Item]) -> Item:
    """Return the next notice of this kind; others are passed over."""
    with anyio.fail_after(PATIENCE):
        async for notice in connection.notices():
            if isinstance(notice, kind):
                return notice
    raise AssertionError("the connection was closed")


async def notices_of(connection: Connection, seconds: float) -> list[Notice]:
    """Return the notices that come within so many seconds."""
    found: list[Notice] = []
    with anyio.move_on_after(seconds):
        async for notice in connection.notices():
            found.append(notice)  # noqa: PERF401 - it is cancelled in the middle
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, and fail where it does not in good time."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - other processes send no events
            await anyio.sleep(0.005)


async def ended(connection: Connection, command: bytes) -> Exit:
    """Let the program end, and return how the Tower hears of it."""
    await connection.write(command)
    return (await next_notice(connection, Ended)).exit


async def until_lost(connection: Connection) -> None:
    """Hear that a connection is lost, and let go of it."""
    with pytest.raises(AfxError), anyio.fail_after(PATIENCE):
        async for _ in connection.notices():
            pass
    await connection.aclose()


async def outlives(record: TerminalRecord) -> bool:
    """Tell whether a terminal's program lives on without what held it, for longer than a hang-up takes."""
    if record.process is None:
        return False
    deadline = anyio.current_time() + _HANG_UP
    while is_alive(record.process):
        if anyio.current_time() > deadline:
            return True
        await anyio.sleep(0.02)
    return False


async def settled(theatre: Theatre, strategy: ReconnectStrategy) -> dict[str, Survival]:
    """Survey as the Tower does: a holder that is about to be gone does not answer for a moment."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = await theatre.survey(strategy)
            if all(one.life is not Life.NO_ANSWER for one in found.values()):
                return found
            await anyio.sleep(0.02)

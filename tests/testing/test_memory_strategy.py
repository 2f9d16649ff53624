"""The strategy in memory does what every reconnect strategy must do, so tests may stand on it."""

from __future__ import annotations

import time
from pathlib import Path

from afx.api.model import Command, Exit, TerminalRecord, TerminalSpec
from afx.api.strategy import Cause, Connection, Spawned, StrategyContext
from afx.testing.memory_strategy import Holder, MemoryStrategy, World
from afx.testing.strategy_suite import Stage, StrategySuite


def puppet(holder: Holder, typed: bytes) -> None:
    """Stand in for the suite's program."""
    if not typed:
        holder.write(b"ready\r\n")
    for line in typed.split(b"\r"):
        word, _, rest = line.partition(b" ")
        if word == b"say":
            holder.write(rest + b"\r\n")
        elif word == b"count":
            for number in range(1, int(rest) + 1):
                holder.write(b"number %d\r\n" % number)
        elif word == b"exit":
            holder.end(Exit(code=int(rest), at=time.time()))


class PuppetStrategy(MemoryStrategy):
    """Refuses the one command that the suite says is impossible."""

    def _refuse(self, command: Command) -> None:
        self.world.refuses = "There is no such program." if "no-such" in command.argv[0] else ""

    async def spawn(self, spec: TerminalSpec) -> Spawned:
        self._refuse(spec.command)
        return await super().spawn(spec)

    async def respawn(self, connection: Connection, command: Command) -> None:
        self._refuse(command)
        await super().respawn(connection, command)


class MemoryStage(Stage):
    def __init__(self) -> None:
        self.world = World()
        self.world.program = puppet

    def strategy(self) -> MemoryStrategy:
        return PuppetStrategy(StrategyContext(Path("/"), {}), self.world)

    def hang(self, record: TerminalRecord) -> None:
        self.world.holders[record.id].hangs = True

    def go_on(self, record: TerminalRecord) -> None:
        if record.id in self.world.holders:
            self.world.holders[record.id].hangs = False

    def kill(self, record: TerminalRecord) -> None:
        self.world.kill(record.id)

    def close(self, record: TerminalRecord) -> None:
        self.world.kill(record.id, Cause.CLOSED)

    def shut_down(self, record: TerminalRecord) -> None:
        del record
        for terminal_id in list(self.world.holders):
            self.world.kill(terminal_id, Cause.SHUT_DOWN)

    def clear(self) -> None:
        """It is forgotten with this object."""


class TestMemoryStrategy(StrategySuite):
    can_be_closed = True

    def stage_factory(self, directory: Path) -> Stage:
        del directory
        return MemoryStage()

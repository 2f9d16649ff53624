"""A reconnect strategy that is right, and some that are wrong in one way each, see `test_strategy_suite`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from afx.plugin import (
    Cause,
    Command,
    Connection,
    Exit,
    Life,
    Orphan,
    Spawned,
    StrategyContext,
    Survival,
    TerminalId,
    TerminalRecord,
    TerminalSpec,
)
from afx.testing.memory_strategy import Holder, MemoryStrategy, World
from afx.testing.strategy_suite import Stage, StrategySuite
from testing.catching import WrongOnes


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
    def __init__(self, made: type[MemoryStrategy]) -> None:
        self.world = World()
        self.world.program = puppet
        self.made = made

    def strategy(self) -> MemoryStrategy:
        return self.made(StrategyContext(Path("/"), {}), self.world)

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


class Suite(WrongOnes, StrategySuite):
    can_be_closed = True
    made: type[MemoryStrategy] = PuppetStrategy

    def stage_factory(self, directory: Path) -> Stage:
        del directory
        return MemoryStage(self.made)


class TestRight(Suite):
    """The strategy in memory, on which other tests stand."""


class KillsOnTimeout(PuppetStrategy):
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        found = await super().survey(records, deadline)
        for terminal_id, survival in found.items():
            if survival.life is Life.NO_ANSWER:
                self.world.kill(terminal_id)
        return found


class TestKillsOnTimeout(Suite):
    caught_by = "test_one_that_hangs_is_not_dead_lesson_02"
    made = KillsOnTimeout


class TakesSilenceForDeath(PuppetStrategy):
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        found = await super().survey(records, deadline)
        return {
            terminal_id: Survival(Life.DEAD, "It is gone.") if one.life is Life.NO_ANSWER else one
            for terminal_id, one in found.items()
        }


class TestTakesSilenceForDeath(Suite):
    caught_by = "test_one_that_hangs_is_not_dead_lesson_02"
    made = TakesSilenceForDeath


class ForgetsWhoWasSilent(PuppetStrategy):
    expects_orphans = False


class TestForgetsWhoWasSilent(Suite):
    caught_by = "test_one_that_no_record_names_and_that_hangs_is_found_later_lesson_06"
    made = ForgetsWhoWasSilent


class EndsWithTheTower(PuppetStrategy):
    async def aclose(self) -> None:
        for terminal_id in list(self.world.holders):
            self.world.kill(terminal_id)


class TestEndsWithTheTower(Suite):
    caught_by = "test_terminals_outlive_the_tower"
    made = EndsWithTheTower


class HidesOrphans(PuppetStrategy):
    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        del known
        return ()


class TestHidesOrphans(Suite):
    caught_by = "test_one_that_no_record_names_is_found_and_can_be_adopted_lesson_06"
    made = HidesOrphans


class ReplacesWhatRuns(PuppetStrategy):
    async def spawn(self, spec: TerminalSpec) -> Spawned:
        self.world.holders.pop(spec.id, None)
        return await super().spawn(spec)


class TestReplacesWhatRuns(Suite):
    caught_by = "test_a_taken_id_is_refused"
    made = ReplacesWhatRuns


class LeavesItRunning(PuppetStrategy):
    async def terminate(self, record: TerminalRecord) -> None:
        del record


class TestLeavesItRunning(Suite):
    caught_by = "test_a_terminal_that_is_ended_is_gone"
    made = LeavesItRunning


class KnowsNoCause(PuppetStrategy):
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        found = await super().survey(records, deadline)
        return {terminal_id: Survival(one.life, one.reason) for terminal_id, one in found.items()}


class TestKnowsNoCause(Suite):
    caught_by = "test_what_a_person_closed_is_known_for_that"
    made = KnowsNoCause


class TestKnowsNoCauseOfMany(Suite):
    caught_by = "test_what_a_person_shut_down_is_known_for_that"
    made = KnowsNoCause

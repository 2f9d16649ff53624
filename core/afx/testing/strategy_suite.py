"""What every reconnect strategy must do, as tests that an author of a strategy runs.

The suite knows a strategy only through its contract, and its terminals through a small program that runs in
them. What is particular to one, such as where its holders are found, its author tests beside it.
"""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import anyio
import anyio.lowlevel
import msgspec
import pytest

from afx.api.errors import AfxError, SpawnError, UnreachableError
from afx.api.model import Position, Size, TerminalRecord
from afx.api.strategy import (
    Cause,
    Life,
    Orphan,
    Reset,
    Resized,
    Resumed,
    read_to_end,
)

from .strategy_ends import EndChecks
from .theatre import (
    PATIENCE,
    PUPPET,
    Stage,
    Theatre,
    first_item,
    next_item,
    next_notice,
    outlives,
    output_until,
    settled,
    until_lost,
)

__all__ = ["PUPPET", "Stage", "StrategySuite", "Theatre", "first_item", "next_notice", "output_until"]

_ENDED_BY_AFX_ALONE = (
    "`can_be_closed` is False, so nothing about terminals that a person ends by other means."
)
_OUTLIVES = (
    "Its terminals outlive what was killed here, so nothing about how they die: "
    "only a stage of its own knows what holds them."
)


@pytest.mark.anyio
class StrategySuite(EndChecks):
    """Tests of a reconnect strategy, for its author to subclass.

    The subclass says where the terminals live::

        from afx.testing.strategy_suite import Stage, StrategySuite

        class MyStage(Stage):
            ...

        class TestMyStrategy(StrategySuite):
            def stage_factory(self, directory: Path) -> Stage:
                return MyStage(directory)

    The directory is new, empty and private, and its path is short enough for a socket in it. The suite needs
    pytest and anyio's pytest plugin, which comes with anyio.

    Attributes:
        can_be_closed: Say True where a person can end terminals by another way than afx; the stage then has
            `close` and `shut_down`.
        not_tested: What the subclass has no tests of, and why.
    """

    can_be_closed: ClassVar[bool] = False
    not_tested: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.not_tested = () if cls.can_be_closed else (_ENDED_BY_AFX_ALONE,)
        for name in (
            "test_what_a_person_closed_is_known_for_that",
            "test_what_a_person_shut_down_is_known_for_that",
        ):
            if name not in vars(cls):
                # What is None is not collected; a skip would say that something is missing here.
                setattr(cls, name, vars(StrategySuite)[name] if cls.can_be_closed else None)

    def stage_factory(self, directory: Path) -> Stage:
        """Return a stage that keeps what it needs in `directory`."""
        raise NotImplementedError

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Name the event loop that the tests run on."""
        return "asyncio"

    @pytest.fixture
    async def theatre(self) -> AsyncIterator[Theatre]:
        """A stage of the test's own, on which nothing is left at the end."""
        import shutil
        import tempfile

        directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
        theatre = Theatre(self.stage_factory(directory))
        try:
            yield theatre
        finally:
            for record in theatre.records.values():
                theatre.stage.go_on(record)
            strategy = await theatre.tower()
            for record in theatre.records.values():
                with suppress(AfxError):
                    await strategy.terminate(record)
            await theatre.tower_stops()
            theatre.stage.clear()
            shutil.rmtree(directory, ignore_errors=True)

    # Starting

    async def test_a_terminal_runs_its_program(self, theatre: Theatre) -> None:
        """It has the size that was asked for, what it writes is seen, and what is typed reaches it."""
        connection = await theatre.spawn(await theatre.tower(), size=Size(100, 30))
        assert connection.facts.size == Size(100, 30)
        assert connection.facts.exit is None
        watch = await theatre.watch(connection)
        assert isinstance(await first_item(watch), Reset)
        await output_until(watch, b"ready\r\n")
        await connection.write(b"say hello\r")
        await output_until(watch, b"hello\r\n")

    async def test_a_start_that_fails_leaves_nothing(self, theatre: Theatre) -> None:
        """It is a `SpawnError` with a sentence, and the id can be used again."""
        strategy = await theatre.tower()
        with pytest.raises(SpawnError) as failure:
            await theatre.spawn(strategy, command=theatre.stage.impossible())
        assert failure.value.message.endswith(".")
        assert list(await strategy.orphans([])) == []
        connection = await theatre.spawn(strategy)
        await output_until(await theatre.watch(connection), b"ready")

    async def test_a_taken_id_is_refused(self, theatre: Theatre) -> None:
        """And its terminal is unharmed."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        kept = theatre.records["t1"]
        with pytest.raises(SpawnError):
            await theatre.spawn(strategy)
        theatre.records["t1"] = kept
        watch = await theatre.watch(connection)
        await connection.write(b"say still here\r")
        await output_until(watch, b"still here")

    async def test_two_terminals_are_two(self, theatre: Theatre) -> None:
        """What is typed into one is not seen in the other."""
        strategy = await theatre.tower()
        first = await theatre.spawn(strategy, "t1")
        second = await theatre.spawn(strategy, "t2")
        await first.write(b"say one\r")
        await second.write(b"say two\r")
        assert b"two" not in await output_until(await theatre.watch(first), b"one\r\n")
        assert b"one" not in await output_until(await theatre.watch(second), b"two\r\n")

    # Watching

    async def test_who_comes_late_sees_what_was(self, theatre: Theatre) -> None:
        """And two who watch see the same."""
        connection = await theatre.spawn(await theatre.tower())
        early = await theatre.watch(connection)
        await connection.write(b"count 50\r")
        seen = await output_until(early, b"number 50\r\n")
        late = await theatre.watch(connection)
        assert isinstance(await first_item(late), Reset)
        assert await output_until(late, b"number 50\r\n") == seen

    async def test_who_comes_back_gets_exactly_the_rest(self, theatre: Theatre) -> None:
        """From any place that is still kept on."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        begin = await first_item(watch)
        assert isinstance(begin, Reset)
        await connection.write(b"count 50\r")
        seen = await output_until(watch, b"number 50\r\n")
        for offset in (0, 1, len(seen) // 2, len(seen)):
            place = Position(begin.start.epoch, begin.start.offset + offset)
            again = await theatre.watch(connection, place)
            assert await first_item(again) == Resumed(place)
            assert await read_to_end(await theatre.watch(connection, place)) == seen[offset:]

    async def test_a_place_that_never_was_begins_anew(self, theatre: Theatre) -> None:
        """In another epoch, or further than the output goes."""
        connection = await theatre.spawn(await theatre.tower())
        await output_until(await theatre.watch(connection), b"ready\r\n")
        for place in (Position("another", 3), Position(connection.facts.end.epoch, 1 << 40)):
            watch = await theatre.watch(connection, place)
            assert isinstance(await first_item(watch), Reset)
            await output_until(watch, b"ready")

    async def test_a_glance_shows_the_end(self, theatre: Theatre) -> None:
        """It holds what was written last."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await connection.write(b"count 500\r")
        await output_until(watch, b"number 500\r\n")
        assert b"number 500\r\n" in await connection.glance(2000)

    # Surviving

    async def test_terminals_outlive_the_tower(self, theatre: Theatre) -> None:
        """With their program, their output, and the places in it."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        begin = await first_item(watch)
        assert isinstance(begin, Reset)
        seen = await output_until(watch, b"ready\r\n")
        process = connection.facts.process
        await theatre.tower_stops()
        _, connection = await theatre.back()
        assert connection.facts.process == process
        assert connection.facts.exit is None
        place = Position(begin.start.epoch, begin.start.offset + len(seen))
        watch = await theatre.watch(connection, place)
        assert await first_item(watch) == Resumed(place)
        await connection.write(b"say again\r")
        assert await output_until(watch, b"again\r\n") == b"again\r\n"

    async def test_what_is_written_while_the_tower_is_away_is_there(self, theatre: Theatre) -> None:
        """Every line once and in order."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await output_until(watch, b"ready\r\n")
        await connection.write(b"count 300\r")
        _, connection = await theatre.back()
        seen = await output_until(await theatre.watch(connection), b"number 300\r\n")
        lines = [line for line in seen.split(b"\r\n") if line.startswith(b"number")]
        assert lines == [b"number %d" % number for number in range(1, 301)]

    async def test_one_that_hangs_is_not_dead_lesson_02(self, theatre: Theatre) -> None:
        """It holds no survey up beyond its deadline, cannot be ended, and is alive when it answers."""
        await theatre.spawn(await theatre.tower())
        strategy = await theatre.tower()
        theatre.stage.hang(theatre.records["t1"])
        begun = time.monotonic()
        found = await theatre.survey(strategy, deadline=0.5)
        assert time.monotonic() - begun < 0.5 + 2
        assert found["t1"].life is Life.NO_ANSWER
        assert found["t1"].reason
        with pytest.raises(UnreachableError), anyio.fail_after(PATIENCE):
            await strategy.terminate(theatre.records["t1"])
        await strategy.forget(theatre.records["t1"])
        theatre.stage.go_on(theatre.records["t1"])
        assert (await theatre.survey(strategy))["t1"].life is Life.ALIVE
        connection = await strategy.reconnect(theatre.records["t1"])
        await connection.write(b"say awake\r")
        await output_until(await theatre.watch(connection), b"awake")

    async def test_one_whose_holder_was_killed_is_dead(self, theatre: Theatre) -> None:
        """The survey says why, the Tower is told, and nothing is left of it."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        theatre.stage.kill(theatre.records["t1"])
        await until_lost(connection)
        found = (await theatre.survey(strategy))["t1"]
        if found.life is Life.ALIVE and await outlives(theatre.records["t1"]):
            pytest.skip(_OUTLIVES)
        assert (found.life, found.cause) == (Life.DEAD, Cause.FAILURE)
        assert found.reason.endswith(".")
        await strategy.forget(theatre.records["t1"])
        assert list(await strategy.orphans([])) == []
        strategy = await theatre.tower()
        assert (await theatre.survey(strategy))["t1"].life is Life.DEAD

    async def test_what_a_person_closed_is_known_for_that(self, theatre: Theatre) -> None:
        """Its agent would be brought back at once otherwise. That holds for the last terminal, too."""
        strategy = await theatre.tower()
        connections = [await theatre.spawn(strategy, name) for name in ("t1", "t2")]
        for name, connection in zip(("t1", "t2"), connections, strict=True):
            theatre.stage.close(theatre.records[name])
            await until_lost(connection)
            found = (await settled(theatre, strategy))[name]
            assert (found.life, found.cause) == (Life.DEAD, Cause.CLOSED)
            assert found.reason.endswith(".")
            await strategy.forget(theatre.records.pop(name))

    async def test_what_a_person_shut_down_is_known_for_that(self, theatre: Theatre) -> None:
        """Its agents would be brought back at once otherwise, and what held them started again."""
        strategy = await theatre.tower()
        connections = [await theatre.spawn(strategy, name) for name in ("t1", "t2")]
        theatre.stage.shut_down(theatre.records["t1"])
        for connection in connections:
            await until_lost(connection)
        found = await settled(theatre, strategy)
        assert {(one.life, one.cause) for one in found.values()} == {(Life.DEAD, Cause.SHUT_DOWN)}
        assert all(one.reason.endswith(".") for one in found.values())

    async def test_a_survey_of_nothing_finds_nothing(self, theatre: Theatre) -> None:
        """And nothing need be there for that."""
        assert dict(await (await theatre.tower()).survey([], 1.0)) == {}

    # The size

    async def test_a_new_size_is_told(self, theatre: Theatre) -> None:
        """To the Tower and to who watches; it is the size after a restart."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await connection.resize(Size(120, 40))
        assert (await next_notice(connection, Resized)).size == Size(120, 40)
        assert connection.facts.size == Size(120, 40)
        assert await next_item(watch, Resized) == Resized(Size(120, 40))
        _, connection = await theatre.back()
        assert connection.facts.size == Size(120, 40)

    # Orphans, and the end of a terminal

    async def test_one_that_no_record_names_is_found_and_can_be_adopted_lesson_06(
        self, theatre: Theatre
    ) -> None:
        """It says whose it is; one that a record names, or that this Tower holds, is no orphan."""
        strategy = await theatre.tower()
        await theatre.spawn(strategy, "t1")
        await theatre.spawn(strategy, "t2")
        assert list(await strategy.orphans([])) == []
        strategy = await theatre.tower()
        orphans = await strategy.orphans([theatre.records["t2"]])
        assert [(one.terminal_id, one.agent_id) for one in orphans] == [("t1", "agent-of-t1")]
        assert orphans[0].strategy == strategy.name
        assert orphans[0].note
        record = msgspec.structs.replace(theatre.records["t1"], handle=orphans[0].handle)
        connection = await strategy.reconnect(record)
        await connection.write(b"say adopted\r")
        await output_until(await theatre.watch(connection), b"adopted")

    async def test_one_that_no_record_names_and_that_hangs_is_found_later_lesson_06(
        self, theatre: Theatre
    ) -> None:
        """It is found although it hangs, or the strategy says that there may be one."""
        await theatre.spawn(await theatre.tower(), "t1")
        theatre.stage.hang(theatre.records["t1"])
        strategy = await theatre.tower()
        assert await strategy.orphans([]) or strategy.expects_orphans
        theatre.stage.go_on(theatre.records["t1"])
        found: Sequence[Orphan] = ()
        with anyio.fail_after(PATIENCE):
            while not found:
                found = await strategy.orphans([])
                await anyio.lowlevel.checkpoint()
        assert [one.terminal_id for one in found] == ["t1"]
        assert not strategy.expects_orphans

    async def test_a_terminal_that_is_ended_is_gone(self, theatre: Theatre) -> None:
        """With its program; ending it twice is no error, and others are not touched."""
        strategy = await theatre.tower()
        await theatre.spawn(strategy, "t1")
        other = await theatre.spawn(strategy, "t2")
        gone: Sequence[TerminalRecord] = [theatre.records["t1"]]
        await strategy.terminate(gone[0])
        await strategy.terminate(gone[0])
        found = await theatre.survey(strategy)
        assert (found["t1"].life, found["t2"].life) == (Life.DEAD, Life.ALIVE)
        await other.write(b"say unharmed\r")
        await output_until(await theatre.watch(other), b"unharmed")
        assert list(await strategy.orphans(list(theatre.records.values()))) == []

"""What every reconnect strategy must do, as tests that an author of a strategy runs.

The suite knows a strategy only through its contract, and its terminals through a small program that runs in
them. What is particular to one, such as where its holders are found, its author tests beside it.
"""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import anyio
import anyio.lowlevel
import msgspec
import pytest

from afx.api.errors import AfxError, SpawnError, UnreachableError
from afx.api.model import Command, Exit, Position, Size, TerminalId, TerminalRecord, TerminalSpec
from afx.api.strategy import (
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
    Survival,
    Watch,
    WatchItem,
    read_to_end,
)

PATIENCE = 20.0
"""Seconds after which something that should have happened counts as not happening."""

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


_ENDED_BY_AFX_ALONE = (
    "`can_be_closed` is False, so nothing about terminals that a person ends by other means."
)


@pytest.mark.anyio
class StrategySuite:
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
        await _until_lost(connection)
        found = (await theatre.survey(strategy))["t1"]
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
            await _until_lost(connection)
            found = (await _settled(theatre, strategy))[name]
            assert (found.life, found.cause) == (Life.DEAD, Cause.CLOSED)
            assert found.reason.endswith(".")
            await strategy.forget(theatre.records.pop(name))

    async def test_what_a_person_shut_down_is_known_for_that(self, theatre: Theatre) -> None:
        """Its agents would be brought back at once otherwise, and what held them started again."""
        strategy = await theatre.tower()
        connections = [await theatre.spawn(strategy, name) for name in ("t1", "t2")]
        theatre.stage.shut_down(theatre.records["t1"])
        for connection in connections:
            await _until_lost(connection)
        found = await _settled(theatre, strategy)
        assert {(one.life, one.cause) for one in found.values()} == {(Life.DEAD, Cause.SHUT_DOWN)}
        assert all(one.reason.endswith(".") for one in found.values())

    async def test_a_survey_of_nothing_finds_nothing(self, theatre: Theatre) -> None:
        """And nothing need be there for that."""
        assert dict(await (await theatre.tower()).survey([], 1.0)) == {}

    # The end of a program

    async def test_an_end_is_told_with_its_code_after_all_output(self, theatre: Theatre) -> None:
        """To the Tower, to who watches, and to who comes late (lesson 35)."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await connection.write(b"count 100\r")
        end = await ended(connection, b"exit 7\r")
        assert (end.code, end.signal) == (7, None)
        assert connection.facts.exit == end
        seen: list[WatchItem] = []
        with anyio.fail_after(PATIENCE):
            while not (seen and isinstance(seen[-1], Ended)):
                seen.append(await watch.receive())
        assert seen[-1] == Ended(end)
        assert b"number 100\r\n" in b"".join(item for item in seen if isinstance(item, bytes))
        assert await next_item(await theatre.watch(connection), Ended) == Ended(end)

    async def test_death_by_a_signal_is_told_as_such(self, theatre: Theatre) -> None:
        """The signal goes to what runs in the foreground."""
        connection = await theatre.spawn(await theatre.tower())
        await output_until(await theatre.watch(connection), b"ready")
        await connection.signal(signal.SIGKILL)
        end = (await next_notice(connection, Ended)).exit
        assert (end.code, end.signal) == (None, signal.SIGKILL)

    async def test_an_end_is_told_until_it_was_noted(self, theatre: Theatre) -> None:
        """To the next Tower too, and no more after that."""
        connection = await theatre.spawn(await theatre.tower())
        end = await ended(connection, b"exit 0\r")
        _, connection = await theatre.back()
        assert connection.facts.exit == end
        assert (await next_notice(connection, Ended)).exit == end
        await connection.acknowledge(end)
        _, connection = await theatre.back()
        assert connection.facts.exit == end
        assert not any(isinstance(notice, Ended) for notice in await notices_of(connection, 0.3))

    async def test_an_end_while_the_tower_is_away_is_told(self, theatre: Theatre) -> None:
        """At once, when it comes back."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await output_until(watch, b"ready")
        await connection.write(b"exit 3\r")
        await theatre.tower_stops()
        deadline = time.monotonic() + PATIENCE
        while True:
            _, connection = await theatre.back()
            if connection.facts.exit is not None or time.monotonic() > deadline:
                break
        assert connection.facts.exit is not None
        assert connection.facts.exit.code == 3
        assert (await next_notice(connection, Ended)).exit.code == 3

    async def test_another_program_in_the_same_terminal(self, theatre: Theatre) -> None:
        """The places in the output go on, and who watches is told."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        watch = await theatre.watch(connection)
        end = await ended(connection, b"exit 1\r")
        await connection.acknowledge(end)
        before = connection.facts.end
        await strategy.respawn(connection, theatre.stage.puppet())
        assert connection.facts.exit is None
        await next_item(watch, Respawned)
        await connection.write(b"say second life\r")
        await output_until(watch, b"second life\r\n")
        assert connection.facts.end.epoch == before.epoch
        _, connection = await theatre.back()
        assert connection.facts.exit is None
        assert (await ended(connection, b"exit 4\r")).code == 4

    async def test_what_runs_is_not_replaced(self, theatre: Theatre) -> None:
        """Nor does a failed start of another change a terminal whose program has ended."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        with pytest.raises(SpawnError):
            await strategy.respawn(connection, theatre.stage.puppet())
        end = await ended(connection, b"exit 1\r")
        with pytest.raises(SpawnError):
            await strategy.respawn(connection, theatre.stage.impossible())
        assert connection.facts.exit == end
        await strategy.respawn(connection, theatre.stage.puppet())
        watch = await theatre.watch(connection)
        await connection.write(b"say after all\r")
        await output_until(watch, b"after all")

    async def test_what_afx_shows_is_output(self, theatre: Theatre) -> None:
        """While no program runs, for who watches now and later."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await ended(connection, b"exit 0\r")
        await connection.show(b"shown by afx\r\n")
        await output_until(watch, b"shown by afx\r\n")
        await output_until(await theatre.watch(connection), b"shown by afx\r\n")

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


async def _until_lost(connection: Connection) -> None:
    with pytest.raises(AfxError), anyio.fail_after(PATIENCE):
        async for _ in connection.notices():
            pass
    await connection.aclose()


async def _settled(theatre: Theatre, strategy: ReconnectStrategy) -> dict[str, Survival]:
    """Survey as the Tower does: a holder that is about to be gone does not answer for a moment."""
    with anyio.fail_after(PATIENCE):
        while True:
            found = await theatre.survey(strategy)
            if all(one.life is not Life.NO_ANSWER for one in found.values()):
                return found
            await anyio.sleep(0.02)

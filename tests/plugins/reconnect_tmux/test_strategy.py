"""What only tmux can do to a terminal: be missing or too old, lay another pipe, end one session of many."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import (
    Cause,
    Command,
    ConnectionLostError,
    Life,
    ProcessIdentity,
    Reset,
    SpawnError,
    StrategyContext,
    TerminalRecord,
    TerminalSpec,
    identify,
    send_signal,
)
from afx.testing.theatre import Theatre, first_item, output_until, until
from afx_reconnect_tmux.strategy import TmuxStrategy
from plugins.reconnect_tmux.stage import TmuxStage

SPEC = TerminalSpec(
    id="t1",
    agent_id="a",
    label="shell-x-1",
    command=Command(argv=("true",), env={"PATH": os.environ["PATH"]}, cwd="/"),
)


@pytest.fixture
async def theatre() -> AsyncIterator[Theatre]:
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    theatre = Theatre(TmuxStage(directory))
    yield theatre
    await theatre.tower_stops()
    theatre.stage.clear()
    shutil.rmtree(directory, ignore_errors=True)


def stage_of(theatre: Theatre) -> TmuxStage:
    assert isinstance(theatre.stage, TmuxStage)
    return theatre.stage


async def test_without_tmux_nothing_starts_and_nothing_is_dead(tmp_path: Path) -> None:
    strategy = TmuxStrategy(StrategyContext(tmp_path, {"program": "/no/such/tmux"}))
    with pytest.raises(SpawnError, match=r"tmux cannot be started: No such file or directory") as failure:
        await strategy.spawn(SPEC)
    assert "Install tmux" in failure.value.hint
    me = msgspec.to_builtins(identify(os.getpid()))
    handle = {"socket": "", "holder": me, "session": "$0", "pane": "%0"}
    record = TerminalRecord(
        id="t1", agent_id="a", host="h", strategy="tmux", handle=handle, started_at=time.time()
    )
    found = (await strategy.survey([record], 3.0))["t1"]
    assert found.life is Life.NO_ANSWER
    assert "tmux cannot be started" in found.reason
    assert list(await strategy.orphans([])) == []


async def test_a_tmux_that_is_too_old_is_refused_with_a_sentence(tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\necho tmux 2.9\n")
    program.chmod(0o700)
    strategy = TmuxStrategy(StrategyContext(tmp_path, {"program": str(program)}))
    with pytest.raises(SpawnError, match=r"tmux 2\.9 is too old: .* needs 3\.2 or newer\."):
        await strategy.spawn(SPEC)


async def test_a_recorder_that_was_killed_is_replaced_and_nothing_shown_is_lost(theatre: Theatre) -> None:
    strategy = await theatre.tower()
    connection = await theatre.spawn(strategy)
    before = connection.facts
    await connection.write(b"say \x1b[31mred\x1b[m kept\r")
    await output_until(await theatre.watch(connection), b"kept\r\n")
    (recorder,) = recorders(stage_of(theatre))
    assert send_signal(recorder, signal.SIGKILL)
    with pytest.raises(ConnectionLostError), anyio.fail_after(20):
        async for _ in connection.notices():
            pass
    assert (await theatre.survey(strategy))["t1"].life is Life.ALIVE
    again = await strategy.reconnect(theatre.records["t1"])
    assert again.facts.process == before.process
    assert again.facts.end.epoch != before.end.epoch
    watch = await theatre.watch(again, before.end)
    assert isinstance(await first_item(watch), Reset)
    shown = await output_until(watch, b"kept")
    assert b"\x1b[31mred" in shown
    await again.write(b"say after\r")
    await output_until(watch, b"after")


async def test_a_pipe_of_somebody_else_is_replaced(theatre: Theatre) -> None:
    strategy = await theatre.tower()
    connection = await theatre.spawn(strategy)
    stage_of(theatre).run("pipe-pane", "-t", theatre.records["t1"].handle["pane"], "exec cat > /dev/null")
    with pytest.raises(ConnectionLostError), anyio.fail_after(20):
        async for _ in connection.notices():
            pass
    assert (await theatre.survey(strategy))["t1"].life is Life.ALIVE
    again = await strategy.reconnect(theatre.records["t1"])
    await again.write(b"say ours again\r")
    await output_until(await theatre.watch(again), b"ours again")


async def test_a_recorder_ends_with_its_server_though_no_tower_looks(theatre: Theatre) -> None:
    await theatre.spawn(await theatre.tower())
    await theatre.tower_stops()
    assert recorders(stage_of(theatre))
    stage_of(theatre).run("kill-server")
    await until(lambda: not recorders(stage_of(theatre)))


async def test_a_recorder_ends_with_its_terminal_though_this_tower_was_not_connected(
    theatre: Theatre,
) -> None:
    await theatre.spawn(await theatre.tower())
    strategy = await theatre.tower()
    await strategy.terminate(theatre.records["t1"])
    await until(lambda: not recorders(stage_of(theatre)))


async def test_a_recorder_whose_session_ended_unseen_ends_when_that_is_seen(theatre: Theatre) -> None:
    stage = stage_of(theatre)
    stage.run("new-session", "-d", "-s", "mine", "exec cat")
    await theatre.spawn(await theatre.tower())
    await theatre.tower_stops()
    stage.run("kill-session", "-t", theatre.records["t1"].handle["session"])
    strategy = await theatre.tower()
    assert (await theatre.survey(strategy))["t1"].cause is Cause.CLOSED
    await strategy.forget(theatre.records["t1"])
    await until(lambda: not recorders(stage))


async def test_a_session_that_was_ended_in_tmux_is_known_for_that(theatre: Theatre) -> None:
    strategy = await theatre.tower()
    await theatre.spawn(strategy, "t1")
    await theatre.spawn(strategy, "t2")
    stage_of(theatre).run("kill-session", "-t", theatre.records["t1"].handle["session"])
    found = await theatre.survey(strategy)
    assert (found["t1"].life, found["t1"].cause) == (Life.DEAD, Cause.CLOSED)
    assert found["t2"].life is Life.ALIVE


async def test_nothing_of_a_persons_session_or_server_is_changed(theatre: Theatre) -> None:
    stage = stage_of(theatre)
    stage.run("new-session", "-d", "-s", "mine", "exec cat")

    def look() -> list[str]:
        return [
            stage.run("show-options", "-g"),
            stage.run("show-options", "-s"),
            stage.run("show-hooks", "-g"),
            stage.run("show-options", "-t", "=mine:"),
            stage.run("show-options", "-p", "-t", "=mine:"),
            stage.run("list-panes", "-t", "=mine:", "-F", "#{pane_pid} #{pane_pipe} #{window_width}"),
        ]

    before = look()
    strategy = await theatre.tower()
    connection = await theatre.spawn(strategy)
    await connection.write(b"say hello\r")
    await strategy.orphans([])
    await strategy.terminate(theatre.records["t1"])
    assert look() == before


def recorders(stage: TmuxStage) -> list[ProcessIdentity]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"record" in words and os.fsencode(stage.directory) in words:
            found.append(identify(int(process.name)))
    return [one for one in found if one is not None]

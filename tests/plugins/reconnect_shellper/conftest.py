"""Real holders for tests, in a directory with a short path, and none of them left at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from afx.plugin import (
    Command,
    ProcessIdentity,
    Size,
    Spawned,
    StrategyContext,
    TerminalRecord,
    TerminalSpec,
    is_alive,
    send_signal,
)
from afx.testing.theatre import PATIENCE
from afx_reconnect_shellper.strategy import ShellperStrategy

ECHO = "$stty -echo; echo ready; while read line; do echo got $line; done; exit 3"
QUIET = "$echo ready; exec sleep 1000"


class World:
    """One state directory, the strategies of the Towers that come and go over it, and its terminals."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.records: dict[str, TerminalRecord] = {}
        self.settings: dict[str, Any] = {}
        self._strategies: list[ShellperStrategy] = []

    async def tower(self) -> ShellperStrategy:
        """Return the strategy of a new Tower; the last one is gone."""
        await self.tower_stops()
        strategy = ShellperStrategy(StrategyContext(self.directory, self.settings))
        await strategy.start()
        self._strategies.append(strategy)
        return strategy

    async def tower_stops(self) -> None:
        while self._strategies:
            await self._strategies.pop().aclose()

    async def spawn(
        self,
        strategy: ShellperStrategy,
        script: str,
        *,
        terminal_id: str = "t1",
        scrollback: int = 1 << 22,
        size: Size = Size(80, 24),  # noqa: B008 - frozen
        env: dict[str, str] | None = None,
    ) -> Spawned:
        """Start a terminal with a Python script in it, or with ``sh -c`` where it begins with ``$``."""
        spec = TerminalSpec(
            id=terminal_id,
            agent_id=f"agent-of-{terminal_id}",
            label=f"label-of-{terminal_id}",
            command=command(script, env),
            size=size,
            scrollback=scrollback,
        )
        spawned = await strategy.spawn(spec)
        self.records[terminal_id] = TerminalRecord(
            id=terminal_id,
            agent_id=spec.agent_id,
            host="here",
            strategy="shellper",
            handle=spawned.handle,
            started_at=0,
        )
        return spawned

    def holder(self, terminal_id: str = "t1") -> ProcessIdentity:
        return ProcessIdentity(**self.records[terminal_id].handle["holder"])

    def socket(self, terminal_id: str = "t1") -> Path:
        return self.directory / f"{terminal_id}.sock"


def command(script: str, env: dict[str, str] | None = None) -> Command:
    program = (
        ("sh", "-c", script[1:]) if script.startswith("$") else (sys.executable, "-I", "-S", "-c", script)
    )
    return Command(argv=program, env={"PATH": os.environ["PATH"], "TERM": "xterm", **(env or {})}, cwd="/")


def raw_connection(world: World, terminal_id: str = "t1") -> socket.socket:
    """Return a connection to a holder that says nothing by itself."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(world.socket(terminal_id)))
    return connection


async def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait until the condition holds, and fail where it does not in good time."""
    with anyio.move_on_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - other processes send no events
            await anyio.sleep(0.002)
        return
    raise AssertionError(f"{what} did not happen within {PATIENCE} s")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    world = World(directory)
    yield world
    await world.tower_stops()
    holders = [ProcessIdentity(**record.handle["holder"]) for record in world.records.values()]
    strategy = await world.tower()
    for record, holder in zip(world.records.values(), holders, strict=True):
        if is_alive(holder):
            send_signal(holder, signal.SIGCONT)
            await strategy.terminate(record)
    await world.tower_stops()
    assert [holder for holder in holders if is_alive(holder)] == []
    shutil.rmtree(directory, ignore_errors=True)

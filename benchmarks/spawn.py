"""How long it takes to start one terminal: by a request to the Tower, and by the strategy alone.

Both are measured by turns with dtach and tmux, each of which starts a session of its own kind.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from afx.api.model import Command, TerminalRecord, TerminalSpec
from afx.api.strategy import ReconnectStrategy, StrategyContext
from afx.loader import Plugins

from .measure import Options, Samples, finding, seconds_of
from .sessions import others
from .stage import QUIET, short_directory, stage
from .table import Beside, Finding

_TURNS = 50


def run(_options: Options) -> list[Finding]:
    """Start terminals by turns."""
    by_request, by_strategy = Samples(), Samples()
    with (
        stage() as here,
        others() as rivals,
        short_directory() as directory,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_strategy(directory)) as strategy,
    ):
        by_rival = {rival.command: Samples() for rival in rivals.present}
        for turn in range(_TURNS + 1):
            times = [seconds_of(lambda: here.shell(QUIET)), portal.call(_seconds_of_spawn, strategy)]
            beside = [seconds_of(_start(rival.start)) for rival in rivals.present]
            # The first start of each also starts what is only started once.
            if turn:
                by_request.append(times[0])
                by_strategy.append(times[1])
                for samples, taken in zip(by_rival.values(), beside, strict=True):
                    samples.append(taken)
    compared = [Beside(command, samples.median * 1e3) for command, samples in by_rival.items()]
    compared += rivals.missing
    whats = (
        ("POST /api/agents to 201", by_request, "< 12 ms"),
        ("the strategy's part of it", by_strategy, ""),
    )
    return [
        finding("spawn", what, samples, "ms", scale=1e3, beside=compared, target=target)
        for what, samples, target in whats
    ]


def _start(start: Callable[[str], None]) -> Callable[[], None]:
    return lambda: start(QUIET)


@asynccontextmanager
async def _strategy(directory: Path) -> AsyncIterator[ReconnectStrategy]:
    """Run the strategy without a Tower."""
    strategy = Plugins.load().strategy("shellper", StrategyContext(directory, {}))
    await strategy.start()
    try:
        yield strategy
    finally:
        await strategy.aclose()


async def _seconds_of_spawn(strategy: ReconnectStrategy) -> float:
    """Start a terminal, end it, and return how long the start took."""
    command = Command(argv=("/bin/sh", "-c", QUIET), env=dict(os.environ), cwd="/")
    spec = TerminalSpec(id=secrets.token_hex(8), agent_id="bench", label="bench", command=command)
    began = time.perf_counter()
    spawned = await strategy.spawn(spec)
    taken = time.perf_counter() - began
    await strategy.terminate(
        TerminalRecord(
            id=spec.id,
            agent_id=spec.agent_id,
            host="",
            strategy=strategy.name,
            handle=spawned.handle,
            started_at=time.time(),
        )
    )
    return taken

"""How long it takes to start one terminal: by the strategy alone, and by a request to the Tower."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import anyio

from afx.api.model import Command, TerminalRecord, TerminalSpec
from afx.api.strategy import StrategyContext
from afx.loader import Plugins

from .measure import Options, Samples, finding, seconds_of
from .sessions import spawn_beside
from .stage import QUIET, short_directory, stage
from .table import Finding

_COUNT = 50


def run(_options: Options) -> list[Finding]:
    """Measure starts one after another."""
    with stage() as here:
        by_request = Samples(seconds_of(lambda: here.shell(QUIET)) for _ in range(_COUNT))
    with short_directory() as directory:
        by_strategy = anyio.run(_by_strategy, directory)
    with short_directory() as directory:
        beside = spawn_beside(directory, QUIET, _COUNT)
    return [
        finding(
            "spawn",
            "POST /api/agents to 201",
            by_request,
            "ms",
            scale=1e3,
            beside=beside,
            target="< 12 ms",
        ),
        finding("spawn", "the strategy's part of it", by_strategy, "ms", scale=1e3, beside=beside),
    ]


async def _by_strategy(directory: Path) -> Samples:
    """Start terminals by the strategy, end them, and return how long each start took."""
    strategy = Plugins.load().strategy("shellper", StrategyContext(directory, {}))
    times = Samples()
    await strategy.start()
    try:
        for number in range(_COUNT + 1):
            command = Command(argv=("/bin/sh", "-c", QUIET), env=dict(os.environ), cwd="/")
            spec = TerminalSpec(id=secrets.token_hex(8), agent_id="bench", label="bench", command=command)
            began = time.perf_counter()
            spawned = await strategy.spawn(spec)
            # The first one starts the zygote, too.
            if number:
                times.append(time.perf_counter() - began)
            record = TerminalRecord(
                id=spec.id,
                agent_id=spec.agent_id,
                host="",
                strategy=strategy.name,
                handle=spawned.handle,
                started_at=time.time(),
            )
            await strategy.terminate(record)
    finally:
        await strategy.aclose()
    return times

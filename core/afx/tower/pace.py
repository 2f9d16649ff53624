"""Whether the machine has room for one more agent, so that many that come back at once do not drown it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import anyio

log = logging.getLogger("afx.recovery")

USUAL_MOST_LOAD = 2.0
"""For each processor."""
_LITTLE_MEMORY = 500 * 2**20
_SCARCE = 0.08
_LOOK_AGAIN = 1.0
_PATIENCE = 60.0


class Room(NamedTuple):
    """How busy the machine is.

    Attributes:
        load: How many programs wanted a processor in the last minute.
        processors: How many there are.
        available: Bytes of memory that programs may still have; None where that is not known.
        memory: Bytes of memory that there are.
    """

    load: float
    processors: int
    available: int | None = None
    memory: int | None = None


def crowded(room: Room, most_load: float = USUAL_MOST_LOAD) -> str:
    """Say why no agent should be started now; empty where one may be.

    Args:
        room: How busy the machine is.
        most_load: How high the load may be for each processor.
    """
    if room.available is not None:
        least = _LITTLE_MEMORY if room.memory is None else min(_LITTLE_MEMORY, int(room.memory * _SCARCE))
        if room.available < least:
            return f"{room.available // 2**20} MiB of memory are left"
    if room.load > room.processors * most_load:
        return f"the load is {room.load:.1f} on {room.processors} processors"
    return ""


def look() -> Room:
    """Return how busy the machine is now."""
    facts: dict[str, int] = {}
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            facts[name] = int(value.split()[0]) * 1024
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Room(os.getloadavg()[0], processors, facts.get("MemAvailable"), facts.get("MemTotal"))


async def wait_for_room(
    most_load: float = USUAL_MOST_LOAD, look: Callable[[], Room] = look, patience: float = _PATIENCE
) -> str:
    """Wait until there is room, but not for ever; return what it was waited for, empty where for nothing.

    A machine that is always busy gets its agents back all the same, only slowly.
    """
    waited_for = ""
    deadline = time.monotonic() + patience
    while (reason := crowded(look(), most_load)) and time.monotonic() < deadline:
        if not waited_for:
            log.info("The next agent waits: %s.", reason)
        waited_for = reason
        await anyio.sleep(_LOOK_AGAIN)
    return waited_for

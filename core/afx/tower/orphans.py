"""Looking for live terminals that no record names, with all reconnect strategies at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import anyio

from afx.api.model import TerminalRecord
from afx.api.strategy import Orphan, ReconnectStrategy

log = logging.getLogger("afx.orphans")


async def seek_orphans(
    strategies: Iterable[ReconnectStrategy], known: Sequence[TerminalRecord], deadline: float
) -> list[Orphan]:
    """Return the orphans that strategies find within `deadline` seconds; one that fails finds none."""
    found: list[Orphan] = []

    async def seek(strategy: ReconnectStrategy) -> None:
        with anyio.move_on_after(deadline):
            try:
                found.extend(await strategy.orphans(known))
            except Exception:
                log.exception("Looking for orphans of strategy %s failed.", strategy.name)

    async with anyio.create_task_group() as probes:
        for strategy in strategies:
            probes.start_soon(seek, strategy)
    return found

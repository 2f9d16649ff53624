"""All reconnect strategies of a Tower, asked at once: one that hangs or fails costs its own answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import anyio

from afx.api.errors import UnreachableError
from afx.api.model import TerminalId, TerminalRecord
from afx.api.strategy import Orphan, ReconnectStrategy, Survival

log = logging.getLogger("afx.strategies")


class Strategies:
    """The reconnect strategies that can be used, by name."""

    def __init__(self, by_name: Mapping[str, ReconnectStrategy]) -> None:
        self._by_name = by_name

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def named(self, name: str) -> ReconnectStrategy:
        """Return a strategy.

        Raises:
            UnreachableError: There is none of this name, so that its terminals cannot be reached.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnreachableError(
                f"The reconnect strategy {name!r} is not available.", hint="`afx plugins` says why."
            ) from None

    @property
    def expects_orphans(self) -> bool:
        """Whether something did not answer the last search for orphans, and may be one."""
        return any(strategy.expects_orphans for strategy in self._by_name.values())

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Find out which terminals live, within about `deadline` seconds. What is not answered is open."""
        found: dict[TerminalId, Survival] = {}

        async def ask(strategy: ReconnectStrategy, mine: Sequence[TerminalRecord]) -> None:
            # A strategy keeps its deadline by itself; one that does not is not waited for.
            with anyio.move_on_after(deadline * 1.1):
                try:
                    found.update(await strategy.survey(mine, deadline))
                except Exception:
                    log.exception("The survey of strategy %s failed.", strategy.name)

        async with anyio.create_task_group() as probes:
            for name, strategy in self._by_name.items():
                if mine := [record for record in records if record.strategy == name]:
                    probes.start_soon(ask, strategy, mine)
        return found

    async def orphans(self, known: Sequence[TerminalRecord], deadline: float) -> list[Orphan]:
        """Return the live terminals that no record names, as they are found within `deadline` seconds."""
        found: list[Orphan] = []

        async def seek(strategy: ReconnectStrategy) -> None:
            with anyio.move_on_after(deadline):
                try:
                    found.extend(await strategy.orphans(known))
                except Exception:
                    log.exception("Looking for orphans of strategy %s failed.", strategy.name)

        async with anyio.create_task_group() as probes:
            for strategy in self._by_name.values():
                probes.start_soon(seek, strategy)
        return found

"""The reconnect strategy ``shellper``: terminals whose holders are forked from a small warm process."""

from __future__ import annotations

import socket

from afx.plugin import StrategyContext
from afx_holding.tower.strategy import HolderStrategy

from .zygote_client import Zygote


class ShellperStrategy(HolderStrategy):
    """Terminals held by shellpers, whose sockets lie in the strategy's own directory.

    Settings: ``husk_after``, ``unnoticed_after`` and ``check_every``, in seconds; see the page on shellper in
    the reference. `BadInputError` is raised where one of them is something else.
    """

    name = "shellper"

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._zygote = Zygote()

    def expect_spawn(self) -> None:
        """Have a holder forked, while the Tower stores what it is to hold."""
        self._zygote.expect()

    async def newborn(self) -> socket.socket:
        """Have the zygote fork a holder."""
        return self._zygote.newborn()

    async def aclose(self) -> None:
        """Close all connections, and end the zygote. The holders live on."""
        await super().aclose()
        await self._zygote.aclose()

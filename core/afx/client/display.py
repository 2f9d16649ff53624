"""What a console shows of a terminal: its output, and a word of our own where that does no harm."""

from __future__ import annotations

import asyncio

from .console import Console
from .keys import DetachKeys
from .screen import BACK, BELL, CLEAR, MARGIN, WAITING, at_rest, notice


class Display:
    """Writes to one console, one thing after another."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._showing = asyncio.Lock()
        self._shown = b""
        """The end of the output."""
        self._end_shown: object = None
        self._waiting = False

    async def put(self, data: bytes) -> None:
        """Show output."""
        async with self._showing:
            await self._console.write(data)
            self._shown = (self._shown + data[-MARGIN:])[-MARGIN:]

    async def clear(self, prologue: bytes) -> None:
        """Let a screen begin anew with what restores its modes. What is no screen keeps what it has."""
        if self._console.screen:
            await self.put(CLEAR + prologue)

    async def ring(self) -> None:
        """Let a person hear that something did not go through."""
        await self._interject(BELL)

    def say_lost(self) -> None:
        """Say that some output is missing, where nothing could be cleared."""
        if not self._console.screen:
            self._console.say("[some output before this point is lost]")

    async def say_how_to_leave(self, keys: DetachKeys, at: object) -> None:
        """Tell a person whose program has ended (`at` which time) how to leave, once for each end."""
        if self._console.typed and at != self._end_shown:
            self._end_shown = at
            await self._interject(notice(f"{keys} leaves this terminal."))

    async def say_waiting(self) -> None:
        """Say that no Tower answers, once."""
        if not self._waiting:
            self._waiting = await self._interject(WAITING)

    async def say_back(self) -> None:
        """Take back that no Tower answers."""
        if self._waiting:
            self._waiting = False
            await self.put(BACK)

    async def _interject(self, data: bytes) -> bool:
        """Write something of our own, unless it would fall into the middle of a sequence."""
        if not self._console.screen:
            return False
        async with self._showing:
            if not at_rest(self._shown):
                return False
            await self._console.write(data)
            return True

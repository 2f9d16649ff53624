"""How much output a reader of a terminal may lag behind before it is sent no more.

A browser takes in whatever arrives, as fast as it arrives, and piles up what it cannot show yet. A reader
that names a window, and says how far it got, is sent only as much as it can hold; the rest waits where it
was, in the holder.
"""

from __future__ import annotations

import anyio


class Window:
    """The window of one reader.

    Args:
        size: How many bytes may be on their way; None where the reader names no window.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._sent = 0
        self._taken = 0
        self._moved = anyio.Event()

    def begin(self, offset: int) -> None:
        """Say that output goes on at `offset`: nothing is on its way."""
        self._sent = self._taken = offset
        self._moved.set()

    async def send(self, count: int) -> None:
        """Wait until there is room in the window, and count what is sent then."""
        while self._size is not None and self._sent - self._taken >= self._size:
            self._moved = anyio.Event()
            await self._moved.wait()
        self._sent += count

    def taken(self, offset: int) -> None:
        """Hear how far the reader got. What it cannot have got yet is passed over."""
        if self._taken < offset <= self._sent:
            self._taken = offset
            self._moved.set()

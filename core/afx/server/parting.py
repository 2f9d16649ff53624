"""The Tower's leave of those who stay connected: each is told that it goes, before it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Parting:
    """Knows whether the server is about to stop, and whether everybody who is connected was told."""

    def __init__(self) -> None:
        self._begun = anyio.Event()
        self._present = 0
        self._left = anyio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether the server is about to stop."""
        return self._begun.is_set()

    async def wait(self) -> None:
        """Wait until the server is about to stop."""
        await self._begun.wait()

    @contextmanager
    def present(self) -> Iterator[None]:
        """Be connected for as long as this lasts; whoever is ends by itself once the parting has begun."""
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1
            self._left.set()

    async def begin(self, patience: float) -> None:
        """Have everybody told, and return when all are gone, or after `patience` seconds."""
        self._begun.set()
        with anyio.move_on_after(patience):
            while self._present:
                self._left = anyio.Event()
                await self._left.wait()

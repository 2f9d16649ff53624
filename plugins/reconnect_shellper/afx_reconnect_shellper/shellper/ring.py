"""The last output of a terminal, with absolute offsets.

The ring grows with use up to its limit and then lets go of the oldest output, always up to a safe cut,
and keeps the terminal modes at that place. Who reads, and how fast, is not its business.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from .safe_cut import safe_cut
from .screen_modes import ModeTracker

_SMALLEST_SLAB: Final = 4096


class Replay(NamedTuple):
    """Where an onlooker who knows nothing begins, and what its terminal is sent first.

    `alternate` tells whether the alternate screen is shown at the end of the output.
    """

    offset: int
    prologue: bytes
    alternate: bool


class Ring:
    """The last `limit` bytes (and up to an eighth more) of a stream that began at offset 0."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.epoch = os.urandom(6).hex()
        self.start = 0
        self._slab = max(_SMALLEST_SLAB, limit // 8)
        self._buffer = bytearray()
        self._modes = ModeTracker()
        """The modes at `start`."""
        self._swallow = b""

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + len(self._buffer)

    def append(self, output: bytes) -> None:
        """Add output at the end, and let go of some at the start where the limit is passed.

        Trimming by slabs keeps its cost per byte small and constant.
        """
        self._buffer += output
        excess = len(self._buffer) - self.limit
        if excess > self._slab:
            self._discard(excess)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on, which must lie within the ring."""
        begin = offset - self.start
        return bytes(self._buffer[begin : begin + size])

    def replay(self, tail: int | None) -> Replay:
        """Return the replay of about the last `tail` bytes, or of all of them."""
        wanted = 0 if tail is None else max(0, len(self._buffer) - tail)
        cut = safe_cut(self._buffer, wanted, self._swallow) if wanted else None
        modes = self._modes.copy()
        at, swallow = cut if cut else (0, self._swallow)
        modes.feed(bytes(self._buffer[:at]))
        prologue = modes.prologue() + swallow
        modes.feed(bytes(self._buffer[at:]))
        return Replay(self.start + at, prologue, modes.alternate is not None)

    def _discard(self, excess: int) -> None:
        cut = safe_cut(self._buffer, excess, self._swallow)
        self._modes.feed(bytes(self._buffer[: cut.at]))
        del self._buffer[: cut.at]
        self.start += cut.at
        self._swallow = cut.swallow

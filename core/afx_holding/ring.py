"""The last output of a terminal, with absolute offsets.

The ring grows with use up to its limit and then lets go of the oldest output, always up to a safe cut,
and keeps the terminal modes at that place. Who reads, and how fast, is not its business.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from .safe_cut import Cut, safe_cut
from .screen_modes import ModeTracker

_SMALLEST_SLAB: Final = 1 << 16


class Replay(NamedTuple):
    """Where an onlooker who knows nothing begins, and what its terminal is sent first.

    `alternate` tells whether the alternate screen is shown at the end of the output.
    """

    offset: int
    prologue: bytes
    alternate: bool


class Ring:
    """The last `limit` bytes (and up to a quarter more) of a stream that began at offset 0.

    Output moves within one buffer that is never reallocated once it is full, so that memory stays flat
    however much flows through. It is read right into that buffer and sent right out of it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.epoch = os.urandom(6).hex()
        self.start = 0
        self._buffer = bytearray()
        self._used = 0
        """How much of the buffer's beginning is output."""
        self._modes_at_start: ModeTracker | None = None
        """None for those of a terminal that was just reset: most rings never let go of anything."""
        self._swallow = b""
        """What `Cut` says of `start`."""

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + self._used

    @property
    def _slab(self) -> int:
        return max(_SMALLEST_SLAB, self.limit // 4)

    def append(self, output: bytes) -> None:
        """Add output at the end, and let go of some at the start where the limit is passed."""
        for begin in range(0, len(output), self._slab):
            piece = output[begin : begin + self._slab]
            self._make_room(len(piece))
            self._buffer[self._used : self._used + len(piece)] = piece
            self._used += len(piece)

    def take(self, descriptor: int, most: int) -> int:
        """Add what can be read from a descriptor now, at most `most` bytes; return how many these were.

        Raises:
            OSError: It cannot be read from.
        """
        self._make_room(most)
        with memoryview(self._buffer) as view:
            taken = os.readv(descriptor, [view[self._used : self._used + most]])
        self._used += taken
        return taken

    def _make_room(self, size: int) -> None:
        """Let there be room for `size` bytes, at most a slab, after what is there."""
        if self._used + size > self.limit + self._slab:
            # By slabs, so that moving the rest costs each byte little.
            self._discard(self._used + size - self.limit)
        missing = self._used + size - len(self._buffer)
        if missing > 0:
            self._buffer += bytes(missing)

    def view(self, offset: int, size: int) -> memoryview:
        """Return up to `size` bytes from `offset` on, which must lie within the ring.

        Nothing can be added before the view is let go of.
        """
        begin = offset - self.start
        return memoryview(self._buffer)[begin : min(begin + size, self._used)]

    def replay(self, tail: int | None) -> Replay:
        """Return the replay of about the last `tail` bytes, or of all of them."""
        wanted = 0 if tail is None else max(0, self._used - tail)
        cut = safe_cut(self._buffer, self._used, wanted, self._swallow) if wanted else Cut(0, self._swallow)
        modes = self._copy_of_modes()
        modes.feed(self._buffer, 0, cut.at)
        prologue = modes.prologue() + cut.swallow
        modes.feed(self._buffer, cut.at, self._used)
        return Replay(self.start + cut.at, prologue, modes.alternate is not None)

    def modes(self) -> ModeTracker:
        """Return the modes at the end of the output."""
        modes = self._copy_of_modes()
        modes.feed(self._buffer, 0, self._used)
        return modes

    def _copy_of_modes(self) -> ModeTracker:
        return ModeTracker() if self._modes_at_start is None else self._modes_at_start.copy()

    def _discard(self, excess: int) -> None:
        cut = safe_cut(self._buffer, self._used, min(excess, self._used), self._swallow)
        if self._modes_at_start is None:
            self._modes_at_start = ModeTracker()
        self._modes_at_start.feed(self._buffer, 0, cut.at)
        with memoryview(self._buffer) as view:
            view[: self._used - cut.at] = view[cut.at : self._used]
        self._used -= cut.at
        self.start += cut.at
        self._swallow = cut.swallow

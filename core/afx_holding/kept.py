"""What is known of a terminal whose output is kept, whoever holds it."""

from __future__ import annotations

import time
from typing import Any

from afx_holding.ring import Ring


class KeptTerminal:
    """The output of one terminal so far, its size, and how its program ended."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.cols, self.rows = 80, 24
        self.exit: dict[str, Any] | None = None
        """How the program ended; None while it runs."""
        self.last_output_at: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return what WELCOME says of the terminal."""
        return {
            "epoch": self.ring.epoch,
            "start": self.ring.start,
            "offset": self.ring.end,
            "cols": self.cols,
            "rows": self.rows,
            "last_output_at": self.last_output_at,
            "exit": self.exit,
        }

    def add_output(self, output: bytes) -> None:
        """Keep output."""
        self.ring.append(output)
        self.last_output_at = time.time()

    def show_size(self, cols: int, rows: int) -> None:
        """Let programs see a size, which need not be that of this terminal."""
        raise NotImplementedError

    def jiggle(self) -> None:
        """Make a full-screen program repaint, together with `settle` a moment later.

        It is the only such request that every program understands.
        """
        self.show_size(self.cols, self.rows - 1 if self.rows > 1 else self.rows + 1)

    def settle(self) -> None:
        """Show programs the terminal's real size again."""
        self.show_size(self.cols, self.rows)

"""A terminal that is a PTY of the holder's own, and the program in it a child of the holder."""

from __future__ import annotations

from afx_holding.program import Program, find
from afx_holding.ring import Ring
from afx_holding.terminal import Terminal

from .child import Pty


class PtyTerminal(Terminal):
    """A PTY that outlives each program in it."""

    def __init__(self, pty: Pty, ring: Ring) -> None:
        super().__init__(ring)
        self.pty = pty

    def launch(self, program: Program) -> None:
        """Start a program in the PTY."""
        self.pid, self.start = self.pty.launch(find(program), program)

    def show_size(self, cols: int, rows: int) -> None:
        """Let programs see a size."""
        self.pty.show_size(cols, rows)

    def signal_foreground(self, number: int) -> bool:
        """Signal the group in the foreground, if it is the program's."""
        return self.pty.signal_foreground(number, self.pid)

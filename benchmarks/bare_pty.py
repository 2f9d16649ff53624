"""A program in a PTY with nothing between it and its reader: the bound that no server can pass.

As a program, ``python -m benchmarks.bare_pty COUNT`` reads COUNT endless floods and throws them away until
its standard input ends.
"""

from __future__ import annotations

import os
import pty
import selectors
import signal
import sys
from collections.abc import Sequence

from .flooding import producer

_PIECE = 64 * 1024


class BarePty:
    """A program in a PTY of this process's own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], list(argv))  # noqa: S606 - there is no shell, on purpose

    def read(self) -> bytes:
        """Return the next piece of output."""
        return os.read(self.descriptor, _PIECE)

    def type(self, data: bytes) -> None:
        """Send input."""
        os.write(self.descriptor, data)

    def close(self) -> None:
        """End the program. It is our own child and not waited for yet, so the pid is its."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.descriptor)
        os.waitpid(self.pid, 0)


def main() -> None:
    """Read floods until standard input ends."""
    floods = [BarePty(producer("lines", 0)) for _ in range(int(sys.argv[1]))]
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for flood in floods:
        flood.type(b"go\n")
        selector.register(flood.descriptor, selectors.EVENT_READ)
    print("reading", flush=True)
    try:
        while True:
            for ready, _ in selector.select():
                if not isinstance(ready.fileobj, int):
                    return
                os.read(ready.fileobj, _PIECE)
    finally:
        for flood in floods:
            flood.close()


if __name__ == "__main__":
    main()

"""ttyd, a terminal server in C, where it is installed, as what the Tower is compared with.

A server of it runs one command, in a new terminal for each WebSocket. The messages are those of its 1.7: the
first character says of what kind the rest is.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from .viewer import TEXT, Viewer

_OUTPUT = _INPUT = b"0"
_LISTENS = re.compile(rb"Listening on port: (\d+)")


def is_installed() -> bool:
    """Tell whether ttyd can be measured here."""
    return shutil.which("ttyd") is not None


class TtydViewer(Viewer):
    """A viewer of one of its terminals. Nothing runs there before the viewer has told its size."""

    protocol = "tty"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._kind = b""
        self.send(TEXT, json.dumps({"AuthToken": "", "columns": 80, "rows": 24}).encode())

    def read_output(self) -> bytes:
        """Return the next piece of output."""
        while True:
            before = self.messages
            piece = self.drop()
            if self.messages != before:
                self._kind, piece = piece[:1], piece[1:]
            if self._kind == _OUTPUT and piece:
                return piece

    def type(self, data: bytes) -> None:
        """Send input."""
        super().type(_INPUT + data)


@contextlib.contextmanager
def serving(*commands: Sequence[str]) -> Iterator[list[str]]:
    """Serve each command with a server of its own, and yield their URLs."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_serving(command)) for command in commands]


@contextlib.contextmanager
def _serving(command: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen(
        ["ttyd", "--port", "0", "--interface", "127.0.0.1", "--writable", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            found = next(filter(None, map(_LISTENS.search, process.stderr or ())), None)
            if found is None:
                raise RuntimeError("ttyd did not begin.")
            # It says a few lines for each viewer, which the pipe holds unread.
            yield f"ws://127.0.0.1:{int(found[1])}/ws"
        finally:
            process.kill()

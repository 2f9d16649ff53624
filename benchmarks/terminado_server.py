"""The terminal server of Jupyter, where it is installed, as what the Tower's floods are compared with.

As a program, ``python -m benchmarks.terminado_server COMMAND ...`` serves that command in a terminal for each
WebSocket, prints its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from .viewer import TEXT, Viewer


def is_installed() -> bool:
    """Tell whether terminado can be measured here."""
    return find_spec("terminado") is not None


class TerminadoViewer(Viewer):
    """A viewer of one of its terminals. Output comes as text in JSON, and input goes so."""

    def read_output(self) -> bytes:
        """Return the next piece of output."""
        while True:
            message = self.read()
            if isinstance(message, list) and message[0] == "stdout":
                return str(message[1]).encode()

    def type(self, data: bytes) -> None:
        """Send input."""
        self.send(TEXT, json.dumps(["stdin", data.decode()]).encode())


@contextlib.contextmanager
def serving(command: Sequence[str]) -> Iterator[TerminadoViewer]:
    """Run a command in a terminal of a server of its own, and look at it."""
    with subprocess.Popen(
        [sys.executable, "-m", __spec__.name, *command],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            port = int(process.stdout.readline()) if process.stdout else 0
            viewer = TerminadoViewer(f"ws://127.0.0.1:{port}/", "")
            try:
                yield viewer
            finally:
                viewer.close()
        finally:
            process.kill()


async def _serve(command: Sequence[str]) -> None:
    from terminado import TermSocket, UniqueTermManager
    from tornado.web import Application

    manager = UniqueTermManager(shell_command=list(command))
    server = Application([("/", TermSocket, {"term_manager": manager})]).listen(0, "127.0.0.1")
    (port,) = {listener.getsockname()[1] for listener in server._sockets.values()}  # noqa: SLF001 - not told else
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))

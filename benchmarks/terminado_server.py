"""The terminal server of Jupyter, where it is installed, as what the Tower is compared with.

As a program, ``python -m benchmarks.terminado_server COMMAND ...`` serves each command line at the path of
its number, ``/0`` and so on, in a new terminal for each WebSocket; it prints its port, and ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
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
            message = json.loads(self.drop())
            if message[0] == "stdout":
                return str(message[1]).encode()

    def type(self, data: bytes) -> None:
        """Send input."""
        self.send(TEXT, json.dumps(["stdin", data.decode()]).encode())


@contextlib.contextmanager
def serving(*commands: Sequence[str]) -> Iterator[list[str]]:
    """Serve commands with a server of its own, and yield their URLs.

    What it says of viewers that leave in the middle of a flood is not shown.
    """
    with subprocess.Popen(
        [sys.executable, "-m", __spec__.name, *map(shlex.join, commands)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            port = int(process.stdout.readline() or 0) if process.stdout else 0
            if not port:
                raise RuntimeError("terminado did not begin.")
            yield [f"ws://127.0.0.1:{port}/{number}" for number in range(len(commands))]
        finally:
            process.kill()


async def _serve(commands: Sequence[str]) -> None:
    from terminado.management import UniqueTermManager
    from terminado.websocket import TermSocket
    from tornado.web import Application

    managers = [UniqueTermManager(shell_command=shlex.split(command)) for command in commands]
    paths = [(f"/{at}", TermSocket, {"term_manager": manager}) for at, manager in enumerate(managers)]
    server = Application(paths).listen(0, "127.0.0.1")
    (port,) = {listener.getsockname()[1] for listener in server._sockets.values()}  # noqa: SLF001 - not told else
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))

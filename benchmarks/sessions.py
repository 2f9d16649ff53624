"""dtach and tmux as what to compare with: sessions of theirs, started, measured and ended here.

Each runs on sockets of the benchmark's own; a tmux server or dtach session of the person is not touched.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afx.api.process import ProcessIdentity, identify, is_alive, send_signal

from .measure import Samples, pss
from .stage import short_directory
from .table import Beside

NOT_INSTALLED = "not installed"


class Dtach:
    """Sessions of dtach: one process and one socket each."""

    name = "dtach"
    command = "dtach -n"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sockets: list[Path] = []

    def start(self, script: str) -> None:
        """Start a session and return when dtach does."""
        socket = self._directory / f"d{len(self._sockets)}"
        self._sockets.append(socket)
        command = ["dtach", "-n", str(socket), "-r", "none", "/bin/sh", "-c", script]
        subprocess.run(command, check=True)

    def memory(self) -> Samples:
        """Return the PSS of each session's process, in bytes."""
        return Samples(pss(process.pid) for process in self._processes())

    def end(self) -> None:
        """End all sessions."""
        _end(self._processes())

    def _processes(self) -> list[ProcessIdentity]:
        return _running("dtach", [str(socket) for socket in self._sockets])


class Tmux:
    """Sessions of one tmux server, which is there before the first is timed."""

    name = "tmux"
    command = "tmux new-session -d"

    def __init__(self, directory: Path) -> None:
        self._socket = str(directory / "t")
        self._count = 0
        configuration = directory / "tmux.conf"
        configuration.write_text("set -g history-limit 100000\nset -g default-size 80x24\n", encoding="ascii")
        self._tmux = ["tmux", "-S", self._socket, "-f", str(configuration)]
        self.start("exec cat")

    def start(self, script: str) -> None:
        """Start a session and return when tmux does."""
        self._count += 1
        command = [*self._tmux, "new-session", "-d", "-s", f"s{self._count}", "/bin/sh", "-c", script]
        subprocess.run(command, check=True)

    def memory(self) -> Samples:
        """Return the PSS of the server, divided by its sessions, in bytes."""
        return Samples([pss(self._server().pid) / self._count])

    def end(self) -> None:
        """End the server and with it all sessions."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _server(self) -> ProcessIdentity:
        servers = _running("tmux", [self._socket])
        if not servers:
            raise ProcessLookupError("The tmux server is gone.")
        return servers[0]


def _running(program: str, arguments: list[str]) -> list[ProcessIdentity]:
    """Return the processes of a program that have one of these arguments."""
    wanted = {argument.encode() for argument in arguments}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0")
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        identity = identify(int(process.name)) if name.startswith(program) and wanted & set(argv) else None
        if identity is not None:
            found.append(identity)
    return found


def _end(processes: list[ProcessIdentity]) -> None:
    for process in processes:
        send_signal(process, signal.SIGTERM)
    deadline = time.monotonic() + 5
    for process in processes:
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        send_signal(process, signal.SIGKILL)


class Others:
    """dtach and tmux, as far as they are installed.

    Attributes:
        present: What can be measured.
        missing: A word for the table on each that cannot.
    """

    def __init__(self, directory: Path) -> None:
        self.present: list[Dtach | Tmux] = []
        self.missing: list[Beside] = []
        for make in (Dtach, Tmux):
            if shutil.which(make.name) is None:
                self.missing.append(Beside(make.name, None, NOT_INSTALLED))
            else:
                self.present.append(make(directory))


@contextmanager
def others() -> Iterator[Others]:
    """Make ready to start sessions of dtach and tmux, and end them all at the end."""
    with short_directory() as directory:
        found = Others(directory)
        try:
            yield found
        finally:
            for sessions in found.present:
                sessions.end()


def memory_beside(script: str, count: int) -> list[Beside]:
    """Return the memory of one session of each program, of `count`, in MB."""
    with others() as found:
        for sessions in found.present:
            for _ in range(count):
                sessions.start(script)
        besides = [Beside(one.name, _at_rest(one).median / 1e6) for one in found.present]
        return besides + found.missing


def _at_rest(sessions: Dtach | Tmux) -> Samples:
    """Return the memory of sessions once it does not change any more."""
    before, now = Samples(), sessions.memory()
    while before != now:
        time.sleep(0.5)
        before, now = now, sessions.memory()
    return now

"""A private tmux server for tests, which nothing of a person's can reach."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from afx.plugin import ProcessIdentity, StrategyContext, TerminalRecord, is_alive, send_signal
from afx.testing.theatre import Stage
from afx_reconnect_tmux.strategy import TmuxStrategy
from e2e.tmux import needs_tmux


class TmuxStage(Stage):
    """A server of its own, by the name of its socket."""

    def __init__(self, directory: Path) -> None:
        needs_tmux()
        self.directory = directory / "s"
        self.directory.mkdir(mode=0o700)
        self.socket = "afx-test"
        os.environ["TMUX_TMPDIR"] = str(directory)  # Short, and set back with the test's own environment.

    def strategy(self) -> TmuxStrategy:
        return TmuxStrategy(StrategyContext(self.directory, {"socket": self.socket}))

    def run(self, *arguments: str) -> str:
        """Run a tmux command and return what it prints, nothing where there is no server."""
        argv = ["tmux", "-L", self.socket, *arguments]
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20).stdout.strip()

    def server(self, record: TerminalRecord) -> ProcessIdentity:
        return msgspec.convert(record.handle["holder"], ProcessIdentity)

    def hang(self, record: TerminalRecord) -> None:
        assert send_signal(self.server(record), signal.SIGSTOP)

    def go_on(self, record: TerminalRecord) -> None:
        send_signal(self.server(record), signal.SIGCONT)

    def kill(self, record: TerminalRecord) -> None:
        assert send_signal(self.server(record), signal.SIGKILL)
        self._until_gone(record)

    def close(self, record: TerminalRecord) -> None:
        self.run("kill-session", "-t", record.handle["session"])

    def shut_down(self, record: TerminalRecord) -> None:
        self.run("kill-server")
        self._until_gone(record)

    def _until_gone(self, record: TerminalRecord) -> None:
        deadline = time.monotonic() + 10
        while is_alive(self.server(record)):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def clear(self) -> None:
        self.run("kill-server")

"""The stage of `StrategySuite` for strategies whose terminals are held by processes of their own."""
# ruff: noqa: S101 - it is part of a suite

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from afx.api.model import TerminalId, TerminalRecord
from afx.api.process import ProcessIdentity, identify, is_alive, send_signal
from afx.api.strategy import ReconnectStrategy, StrategyContext

from .theatre import PATIENCE, Stage


class HolderStage(Stage):
    """Terminals that a process holds: the one that a handle names ``holder``, else the program's parent.

    Args:
        directory: Where they live.
        strategy: The class of the strategy.
    """

    def __init__(self, directory: Path, strategy: type[ReconnectStrategy]) -> None:
        self.directory = directory
        self._strategy = strategy
        self._holders: dict[TerminalId, ProcessIdentity] = {}

    def strategy(self) -> ReconnectStrategy:
        """Make a strategy without settings."""
        return self._strategy(StrategyContext(self.directory, {}))

    def holder(self, record: TerminalRecord) -> ProcessIdentity:
        """Return who holds a terminal: whom the handle names, else the parent of its program."""
        if "holder" in record.handle:
            return msgspec.convert(record.handle["holder"], ProcessIdentity)
        if record.id not in self._holders:
            assert record.process is not None, "`Connection.facts` does not say which process runs."
            self._holders[record.id] = _parent_of(record.process)
        return self._holders[record.id]

    def hang(self, record: TerminalRecord) -> None:
        """Stop the holder."""
        send_signal(self.holder(record), signal.SIGSTOP)

    def go_on(self, record: TerminalRecord) -> None:
        """Let the holder go on."""
        send_signal(self.holder(record), signal.SIGCONT)

    def kill(self, record: TerminalRecord) -> None:
        """Kill the holder, and wait until it is gone."""
        self.end(self.holder(record))

    def end(self, process: ProcessIdentity) -> None:
        """Kill a process, and wait until it is gone."""
        send_signal(process, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while is_alive(process):
            if time.monotonic() > deadline:
                raise AssertionError(f"process {process.pid} does not end")
            time.sleep(0.005)

    def clear(self) -> None:
        """Each was ended by itself."""


def _parent_of(process: ProcessIdentity) -> ProcessIdentity:
    """Return the process that started another, which must be none of this test."""
    said = subprocess.run(["ps", "-o", "ppid=", "-p", str(process.pid)], capture_output=True, check=False)
    parent = identify(int(said.stdout or b"0"))
    assert parent is not None, "The program of a terminal has no parent that lives."
    assert parent.pid not in {1, os.getpid(), os.getppid()}, (
        "Nothing but the Tower itself holds the terminal: it would end with the Tower."
    )
    return parent

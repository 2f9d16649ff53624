"""The stage of `StrategySuite` for strategies whose terminals are held as `afx_holding` has it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import msgspec

from afx.api.model import TerminalRecord
from afx.api.process import ProcessIdentity, is_alive, send_signal
from afx.api.strategy import ReconnectStrategy, StrategyContext

from .strategy_suite import PATIENCE, Stage


class HolderStage(Stage):
    """Terminals that each have a holder, whose identity is in the handle.

    Args:
        directory: Where they live.
        strategy: The class of the strategy.
    """

    def __init__(self, directory: Path, strategy: type[ReconnectStrategy]) -> None:
        self.directory = directory
        self._strategy = strategy

    def strategy(self) -> ReconnectStrategy:
        """Make a strategy without settings."""
        return self._strategy(StrategyContext(self.directory, {}))

    def holder(self, record: TerminalRecord) -> ProcessIdentity:
        """Return who holds a terminal."""
        return msgspec.convert(record.handle["holder"], ProcessIdentity)

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

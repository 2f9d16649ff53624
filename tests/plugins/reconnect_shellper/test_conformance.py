"""Shellpers do what every reconnect strategy must do."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import msgspec

from afx.plugin import ProcessIdentity, StrategyContext, TerminalRecord, is_alive, send_signal
from afx.testing.strategy_suite import Stage, StrategySuite
from afx_reconnect_shellper.strategy import ShellperStrategy


class ShellperStage(Stage):
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def strategy(self) -> ShellperStrategy:
        return ShellperStrategy(StrategyContext(self.directory, {}))

    def holder(self, record: TerminalRecord) -> ProcessIdentity:
        return msgspec.convert(record.handle["holder"], ProcessIdentity)

    def hang(self, record: TerminalRecord) -> None:
        assert send_signal(self.holder(record), signal.SIGSTOP)

    def go_on(self, record: TerminalRecord) -> None:
        send_signal(self.holder(record), signal.SIGCONT)

    def kill(self, record: TerminalRecord) -> None:
        assert send_signal(self.holder(record), signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_alive(self.holder(record)):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def clear(self) -> None:
        """Each was ended by itself."""


class TestShellperStrategy(StrategySuite):
    def stage_factory(self, directory: Path) -> Stage:
        return ShellperStage(directory)

"""Shellpers do what every reconnect strategy must do."""

from __future__ import annotations

from pathlib import Path

from afx.testing.holder_stage import HolderStage
from afx.testing.strategy_suite import Stage, StrategySuite
from afx_reconnect_shellper.strategy import ShellperStrategy


class TestShellperStrategy(StrategySuite):
    def stage_factory(self, directory: Path) -> Stage:
        return HolderStage(directory, ShellperStrategy)

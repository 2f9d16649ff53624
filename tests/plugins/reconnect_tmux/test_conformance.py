"""Terminals in tmux do what every reconnect strategy must do."""

from __future__ import annotations

from pathlib import Path

from afx.testing.strategy_suite import Stage, StrategySuite
from plugins.reconnect_tmux.stage import TmuxStage


class TestTmuxStrategy(StrategySuite):
    can_be_closed = True

    def stage_factory(self, directory: Path) -> Stage:
        return TmuxStage(directory)

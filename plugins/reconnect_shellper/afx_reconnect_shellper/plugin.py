"""What this plugin registers: the reconnect strategy ``shellper``."""

from __future__ import annotations

from afx.plugin import StrategyEntry, hookimpl


@hookimpl
def afx_reconnect_strategies() -> list[StrategyEntry]:
    """Return the one strategy of this plugin."""
    return [
        StrategyEntry(
            name="shellper",
            summary="Each terminal is held by a small detached process of its own.",
            factory="afx_reconnect_shellper.strategy:ShellperStrategy",
            api_version=1,
        )
    ]

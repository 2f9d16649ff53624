"""What this plugin registers: the reconnect strategy ``tmux``."""

from __future__ import annotations

from afx.plugin import StrategyEntry, hookimpl


@hookimpl
def afx_reconnect_strategies() -> list[StrategyEntry]:
    """Return the one strategy of this plugin."""
    return [
        StrategyEntry(
            name="tmux",
            summary="Each terminal is a session of tmux, beside your own.",
            factory="afx_reconnect_tmux.strategy:TmuxStrategy",
            api_version=1,
        )
    ]

"""What this plugin registers: the reconnect strategy ``tmux``, and its check."""

from __future__ import annotations

from afx.plugin import CheckEntry, StrategyEntry, hookimpl


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


@hookimpl
def afx_doctor_checks() -> list[CheckEntry]:
    """Return the check of the tmux that is installed."""
    return [
        CheckEntry(
            name="tmux",
            summary="Whether tmux is there, is new enough, and answers.",
            factory="afx_reconnect_tmux.check:TmuxCheck",
            api_version=1,
        )
    ]

"""What this plugin registers: the reconnect strategy ``shellper``, and its check."""

from __future__ import annotations

from afx.plugin import CheckEntry, StrategyEntry, hookimpl


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


@hookimpl
def afx_doctor_checks() -> list[CheckEntry]:
    """Return the check of the holders and their sockets."""
    return [
        CheckEntry(
            name="shellper",
            summary="Whether the holders answer, and can be reached.",
            factory="afx_reconnect_shellper.check:ShellperCheck",
            api_version=1,
        )
    ]

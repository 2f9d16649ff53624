"""Brings the reconnect strategy dtach. Importing this only registers it."""

from __future__ import annotations

from afx.plugin import StrategyEntry, hookimpl


@hookimpl
def afx_reconnect_strategies() -> list[StrategyEntry]:
    """Return the one strategy that this plugin brings."""
    return [
        StrategyEntry(
            name="dtach",
            summary="Each terminal is held by a dtach, to which anybody may attach.",
            factory="afx_reconnect_dtach.strategy:DtachStrategy",
            api_version=1,
        )
    ]

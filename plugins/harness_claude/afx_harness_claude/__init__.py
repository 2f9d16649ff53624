"""The harness for Claude Code, the program `claude`. Importing this only registers it."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import HarnessEntry, hookimpl


@hookimpl
def afx_harnesses() -> Iterable[HarnessEntry]:
    """Return the one harness that this plugin brings."""
    return [
        HarnessEntry(
            name="claude",
            summary="Claude Code, with a conversation id chosen at the start.",
            factory="afx_harness_claude.provider:ClaudeHarness",
            api_version=1,
            commands=("claude",),
        )
    ]

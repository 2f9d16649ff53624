"""The harness for Codex, the program `codex`. Importing this only registers it."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import HarnessEntry, hookimpl


@hookimpl
def afx_harnesses() -> Iterable[HarnessEntry]:
    """Return the one harness that this plugin brings."""
    return [
        HarnessEntry(
            name="codex",
            summary="OpenAI's Codex, whose conversation id is read after the launch.",
            factory="afx_harness_codex.provider:CodexHarness",
            api_version=1,
            commands=("codex",),
        )
    ]

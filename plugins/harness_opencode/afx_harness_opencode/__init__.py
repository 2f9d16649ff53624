"""The harness for OpenCode, the program `opencode`. Importing this only registers it."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import HarnessEntry, hookimpl


@hookimpl
def afx_harnesses() -> Iterable[HarnessEntry]:
    """Return the one harness that this plugin brings."""
    return [
        HarnessEntry(
            name="opencode",
            summary="OpenCode, with a conversation id that the program chooses.",
            factory="afx_harness_opencode.provider:OpenCodeHarness",
            api_version=1,
            commands=("opencode",),
        )
    ]

"""The harness for Gemini CLI, the program `gemini`. Importing this only registers it."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import HarnessEntry, hookimpl


@hookimpl
def afx_harnesses() -> Iterable[HarnessEntry]:
    """Return the one harness that this plugin brings."""
    return [
        HarnessEntry(
            name="gemini",
            summary="Google's Gemini CLI, with a conversation id chosen at the start.",
            factory="afx_harness_gemini.provider:GeminiHarness",
            api_version=1,
            commands=("gemini",),
        )
    ]

"""Makes a harness of each section ``[harness.NAME]`` of the settings. Importing this only registers it."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import HarnessEntry, hookimpl


@hookimpl
def afx_harnesses() -> Iterable[HarnessEntry]:
    """Return the entry that stands behind all declared harnesses."""
    return [
        HarnessEntry(
            name="declared",
            summary="Harnesses without Python: each section [harness.NAME] of the settings is one.",
            factory="afx_harness_declared.provider:DeclaredHarness",
            api_version=1,
            declares=True,
        )
    ]

"""What plugins claim to bring, and which claims hold: of a known API version, and alone in their name."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .api.errors import PluginError
from .api.hookspecs import API_VERSION, Entry, HarnessEntry
from .discovery import EntryKind, Origin
from .quarantine import Kind, PluginState, Switches, off_hint, switch_hint

OLDEST_API_VERSION = 1
"""Entries that were written for an older API than this are incompatible."""

_LIST_HINT = "`afx plugins` lists all plugins and their states."


class Claim:
    """One thing that a plugin brings, and what became of it so far."""

    def __init__(self, kind: EntryKind, entry: Entry, origin: Origin) -> None:
        self.kind = kind
        self.entry = entry
        self.origin = origin
        self.state = PluginState.ACTIVE
        self.error = ""
        self.hint = ""
        self.since: float | None = None
        self.warnings: tuple[str, ...] = ()
        self.factory: type[Any] | None = None

    def end(self, state: PluginState, error: str, hint: str = "") -> None:
        """Take it out of use."""
        self.state, self.error, self.since = state, error, time.time()
        self.hint = hint or switch_hint(state, self.entry.name, error)

    def refusal(self) -> PluginError:
        """Return the error for whoever asks for it although it cannot be used."""
        return PluginError(
            f"The {self.kind} {self.entry.name!r} of {self.origin} is {self.state}: {self.error}",
            hint=self.hint or _LIST_HINT,
        )


def declares(entry: Entry) -> bool:
    """Tell whether an entry makes harnesses of settings, and is none itself."""
    return isinstance(entry, HarnessEntry) and entry.declares


def settle(claims: Iterable[Claim], switches: Switches) -> None:
    """Decide which claims hold: those of a known API version, not switched off, and alone in their name."""
    by_name: dict[tuple[Kind, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        name, version = claim.entry.name, claim.entry.api_version
        written_for = f"It was written for version {version} of the plugin API; this afx"
        if switched_off := switches.reason(name):
            claim.end(PluginState.BLOCKED, switched_off)
        elif version > API_VERSION:
            claim.end(
                PluginState.INCOMPATIBLE,
                f"{written_for} has version {API_VERSION}.",
                f"Upgrade afx. {off_hint(name)}",
            )
        elif version < OLDEST_API_VERSION:
            claim.end(
                PluginState.INCOMPATIBLE,
                f"{written_for} knows none before {OLDEST_API_VERSION}.",
                f"Upgrade the plugin. {off_hint(name)}",
            )
        else:
            by_name[claim.kind, name].append(claim)
    for (kind, name), rivals in by_name.items():
        if len(rivals) > 1:
            origins = " and by ".join(str(rival.origin) for rival in rivals)
            for rival in rivals:
                rival.end(
                    PluginState.BROKEN,
                    f"The {kind} {name!r} is claimed by {origins}.",
                    "Uninstall one of them, or switch it off by the name of its distribution: "
                    "`afx plugins disable DISTRIBUTION`, or AFX_DISABLED_PLUGINS.",
                )

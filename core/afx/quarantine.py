"""What is said of plugins, above all of those that cannot be used: the state, why, since when, what to do.

It stands on nothing but data, so that whoever shows it loads no plugin for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

Kind: TypeAlias = Literal["harness", "strategy", "storage", "check", "plugin"]
KINDS: tuple[Kind, ...] = ("harness", "strategy", "storage", "check", "plugin")


class PluginState(StrEnum):
    """What became of a plugin, or of one thing that it brings."""

    ACTIVE = "active"
    """It can be used."""
    BLOCKED = "blocked"
    """A person switched it off."""
    INCOMPATIBLE = "incompatible"
    """It was written for another version of the plugin API."""
    BROKEN = "broken"
    """It failed. `PluginInfo.error` says how."""


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of plugins: one thing that a plugin brings, or a plugin as a whole.

    Attributes:
        kind: What it is. ``"plugin"`` stands for a whole plugin: one that only observes, or one of which
            nothing was loaded.
        name: The name it is chosen by, or a whole plugin's entry point.
        distribution: The distribution it is installed with; empty where that is not known.
        version: The version of that distribution.
        error: A sentence about `state`; empty where it is active.
        hint: What to do about it; empty where it is active.
        since: When it was first found so, in seconds since the epoch; None where it is active.
        warnings: What it uses that is to go, and works as long as that is there; and what it raised first as
            an observer. In sentences.
    """

    kind: Kind
    name: str
    summary: str
    distribution: str
    version: str
    state: PluginState
    error: str
    hint: str = ""
    since: float | None = None
    warnings: tuple[str, ...] = ()


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What `afx.listing` prints: the plugins, or the sentence and the hint of why they cannot be listed."""

    rows: list[PluginInfo] = []
    message: str = ""
    hint: str = ""


OFF_IN_ENVIRONMENT = "It is switched off by AFX_DISABLED_PLUGINS."


def off_hint(name: str) -> str:
    """Say how a person switches a plugin off."""
    return f"`afx plugins disable {name}` switches it off."


def switch_hint(state: PluginState, name: str, reason: str = "") -> str:
    """Say how a person switches a plugin in this state off, or on again."""
    if state is PluginState.BLOCKED:
        if reason == OFF_IN_ENVIRONMENT:
            return "Take its name out of AFX_DISABLED_PLUGINS."
        return f"`afx plugins enable {name}` switches it on again."
    return f"Tell its author. {off_hint(name)}"


def normal(name: str) -> str:
    """Return the form in which two spellings of a distribution's name are the same (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


class Switches(NamedTuple):
    """The names that a person switched off, and where."""

    environment: frozenset[str]
    settings: frozenset[str]

    @classmethod
    def of(cls, env: Mapping[str, str], disabled: Iterable[str]) -> Switches:
        """Return what is switched off by ``AFX_DISABLED_PLUGINS`` and in the settings."""
        return cls(_names(env.get("AFX_DISABLED_PLUGINS", "").split(",")), _names(disabled))

    def reason(self, *names: str) -> str | None:
        """Say where one of `names` is switched off; None where none is."""
        wanted = {normal(name) for name in names if name}
        if wanted & self.environment:
            return OFF_IN_ENVIRONMENT
        if wanted & self.settings:
            return "It is switched off in the settings."
        return None


def earlier(rows: Iterable[PluginInfo], past: Mapping[str, float]) -> list[PluginInfo]:
    """Return the rows; one that was unusable for the same reason before has the time when that began."""
    return [
        row if row.since is None else msgspec.structs.replace(row, since=past.get(_key(row), row.since))
        for row in rows
    ]


def recall(path: Path) -> dict[str, float]:
    """Return since when each thing has been unusable, by the keys under which `remember` stored it."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    return {}


def remember(path: Path, rows: Sequence[PluginInfo]) -> Mapping[str, float]:
    """Store since when each row has been unusable, and return that with what was stored before.

    What is usable now may turn out not to be later, since classes are imported late. So what was stored
    before is kept for as long as the same version of its distribution is installed.
    """
    past = recall(path)
    there = tuple(_prefix(row) for row in rows)
    kept = {key: since for key, since in past.items() if key.startswith(there)}
    now = {_key(row): row.since for row in rows if row.since is not None}
    known = {**now, **kept}
    if known != past:
        with suppress(OSError):
            new = path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(known))
            new.chmod(0o600)
            new.replace(path)
    return known


def _prefix(row: PluginInfo) -> str:
    return f"{row.kind}/{row.name}/{row.distribution}/{row.version}/"


def _key(row: PluginInfo) -> str:
    return f"{_prefix(row)}{row.state}/{row.error}"


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(normal(name) for name in names if name.strip())

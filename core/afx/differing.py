"""How what the running Tower goes by differs from what is installed and switched on now.

A Tower loads plugins when it starts, and finds out about some only when it uses them. So one may be broken in
it that loads well elsewhere, and what was installed or switched off since then is not known to it. Whoever
lists plugins says so; this stands on nothing but data, like `afx.quarantine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from .quarantine import PluginInfo, PluginState

RESTART = "`afx tower restart` makes it go by what is there now; terminals live on."

Where: TypeAlias = Literal["active", "blocked", "incompatible", "broken", "unknown"]


class InTower(msgspec.Struct, frozen=True, kw_only=True):
    """What a running Tower goes by of one plugin, where that is something else than what is there now.

    Attributes:
        state: Its state there; ``"unknown"`` where the Tower has not heard of it.
        error: A sentence about `state`; empty where there is nothing more to say.
        hint: What to do about it.
        since: When it was first found so, in seconds since the epoch; None where that is not known.
    """

    state: Where
    error: str
    hint: str
    since: float | None

    @property
    def words(self) -> str:
        """How a sentence goes on after the plugin's name."""
        if self.state == "unknown":
            return "is not known to the running Tower"
        return f"is {'still ' if self.state == 'active' else ''}{self.state} in the running Tower"


class TowerPlugins(msgspec.Struct, frozen=True, kw_only=True):
    """What a running Tower says of plugins.

    Attributes:
        rows: Its own list.
        dropped: How many events were told to no observer, since they were too slow.
    """

    rows: Sequence[PluginInfo]
    dropped: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> TowerPlugins | None:
        """Return what ``GET /api/plugins`` answered; None where a Tower of another afx says it otherwise."""
        try:
            rows = msgspec.convert(answer["plugins"], list[PluginInfo])
            return cls(rows=rows, dropped=msgspec.convert(answer["observers"]["dropped"], int))
        except (msgspec.ValidationError, KeyError, TypeError):
            return None

    def warned(self, installed: Iterable[PluginInfo]) -> list[PluginInfo]:
        """Return rows with what the Tower warns of, too: it imports classes, which a list does not."""
        theirs = {_key(row): row.warnings for row in self.rows}
        return [
            msgspec.structs.replace(
                row, warnings=tuple(dict.fromkeys([*row.warnings, *theirs.get(_key(row), ())]))
            )
            for row in installed
        ]

    def differs(self, row: PluginInfo, installed: Iterable[PluginInfo]) -> InTower | None:
        """Return what the Tower goes by instead of a row of what is installed; None where it is the same.

        What settings declare is not compared: that counts from the next launch on.
        """
        if not row.distribution:
            return None
        theirs = next((one for one in self.rows if _key(one) == _key(row)), None)
        if theirs is None:
            theirs = self._instead_of(row, installed)
        if theirs is None:
            is_missed = row.state is PluginState.ACTIVE
            return InTower(state="unknown", error="", hint=RESTART, since=None) if is_missed else None
        if theirs.state is row.state:
            return None
        # A plugin that was upgraded under the Tower may have been imported beside what is older there.
        is_same = row.version == theirs.version
        is_at_fault = is_same and row.state is PluginState.ACTIVE and theirs.state is PluginState.BROKEN
        hint = theirs.hint if is_at_fault else RESTART
        return InTower(state=theirs.state.value, error=theirs.error, hint=hint, since=theirs.since)

    def _instead_of(self, row: PluginInfo, installed: Iterable[PluginInfo]) -> PluginInfo | None:
        """Return the Tower's row where the one has the plugin as a whole, and the other what it brings."""
        of_it = [one for one in self.rows if one.distribution == row.distribution]
        if row.state is PluginState.ACTIVE:
            off = (one for one in of_it if one.kind == "plugin" and one.state is not PluginState.ACTIVE)
            return next(off, None)
        here = {one.state for one in installed if one.distribution == row.distribution}
        on = (one for one in of_it if one.state is PluginState.ACTIVE)
        return None if PluginState.ACTIVE in here else next(on, None)


def _key(row: PluginInfo) -> tuple[str, str, str]:
    return row.kind, row.name, row.distribution

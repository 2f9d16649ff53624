"""The harness of each agent, made with the settings of its workspace.

What a person changes in the settings counts from the next use on. A mistake made in them while agents run
takes no agent its harness: what could be read last goes on to count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from afx.api.errors import AfxError, BadInputError, PluginError
from afx.api.harness import HarnessProvider
from afx.api.model import Agent, WorkspacePath
from afx.loader import Plugins
from afx.quarantine import PluginInfo, PluginState
from afx.sections import Sections

log = logging.getLogger("afx.harnesses")


class SettingsView(Sections, Protocol):
    """The settings of a workspace, as far as the engine room needs them."""

    def __getitem__(self, name: str) -> object:
        """Return the value of a setting."""
        ...


class Harnesses:
    """Gives agents their harnesses."""

    def __init__(self, plugins: Plugins, settings_for: Callable[[Path | None], SettingsView]) -> None:
        self._plugins = plugins
        self._settings_for = settings_for
        self._last: dict[WorkspacePath, SettingsView] = {}
        self._mistakes: dict[tuple[WorkspacePath, str], str] = {}
        self._made: dict[tuple[WorkspacePath, str], HarnessProvider] = {}

    def of(self, agent: Agent) -> HarnessProvider | None:
        """Return an agent's harness; None for a plain shell.

        Raises:
            PluginError: It is not available.
        """
        if agent.harness is None:
            return None
        key = (agent.workspace, agent.harness)
        try:
            self._made[key] = self._plugins.harness(agent.harness, self._settings(agent.workspace))
        except BadInputError as error:
            if key not in self._made:
                raise PluginError(error.message, hint=error.hint) from None
            self._tell(key, error)
        else:
            self._mistakes.pop(key, None)
        return self._made[key]

    def named(self, name: str, workspace: WorkspacePath) -> HarnessProvider:
        """Return a harness by the name that a person gave.

        Raises:
            PluginError: It is not available.
            BadInputError: Its settings cannot be used.
        """
        return self._plugins.harness(name, self._settings_for(Path(workspace)))

    def all(self, workspace: WorkspacePath) -> list[HarnessProvider]:
        """Return every harness that an agent of a workspace could have, by name."""
        return self._plugins.harnesses(self._settings(workspace))

    def broken_before(self, name: str) -> list[PluginInfo]:
        """Return those that are broken, each once, and would have been tried before the one of this name."""
        broken = {
            row.name: row
            for row in self._plugins.rows()
            if row.kind == "harness" and row.state is PluginState.BROKEN and row.name < name
        }
        return list(broken.values())

    def names(self, workspace: WorkspacePath) -> list[str]:
        """Return their names; nothing is imported for it."""
        return self._plugins.harness_names(self._settings(workspace))

    def _settings(self, workspace: WorkspacePath) -> SettingsView:
        key = (workspace, "")
        try:
            self._last[workspace] = self._settings_for(Path(workspace))
        except AfxError as error:
            self._tell(key, error)
            return self._last.get(workspace) or self._settings_for(None)
        self._mistakes.pop(key, None)
        return self._last[workspace]

    def _tell(self, key: tuple[WorkspacePath, str], error: AfxError) -> None:
        """Log a mistake in a workspace's settings, or in those of one harness, once until it is mended."""
        if self._mistakes.get(key) != error.message:
            self._mistakes[key] = error.message
            log.warning("%s", error.message)

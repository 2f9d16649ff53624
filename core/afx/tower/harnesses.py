"""The harness of each agent, made with the settings of its workspace.

Settings are read anew whenever their files changed, so what a person changes counts from the next use on.
A mistake made in them while agents run takes no agent its harness: what could be read last goes on to count.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from afx.api.errors import AfxError, BadInputError, PluginError
from afx.api.harness import HarnessProvider
from afx.api.model import Agent, WorkspacePath
from afx.loader import Plugins
from afx.sections import SettingsView as Sections
from afx.settings import config_file
from afx.settings.trust import trust_file

log = logging.getLogger("afx.harnesses")


class SettingsView(Sections, Protocol):
    """The settings of a workspace, as far as the engine room needs them."""

    def __getitem__(self, name: str) -> object:
        """Return the value of a setting."""
        ...


Stamp: TypeAlias = tuple[tuple[int, int] | None, ...]
"""When the files of a workspace's settings were last changed, and how long they are."""


class Harnesses:
    """Gives agents their harnesses."""

    def __init__(self, plugins: Plugins, settings_for: Callable[[Path | None], SettingsView]) -> None:
        self._plugins = plugins
        self._settings_for = settings_for
        self._last: dict[WorkspacePath, SettingsView] = {}
        self._stamps: dict[WorkspacePath, Stamp] = {}
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
            log.warning("%s", error.message)
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

    def names(self, workspace: WorkspacePath) -> list[str]:
        """Return their names; nothing is imported for it."""
        return self._plugins.harness_names(self._settings(workspace))

    def _settings(self, workspace: WorkspacePath) -> SettingsView:
        stamp = _stamp(workspace)
        if workspace in self._last and self._stamps.get(workspace) == stamp:
            return self._last[workspace]
        self._stamps[workspace] = stamp
        try:
            self._last[workspace] = self._settings_for(Path(workspace))
        except AfxError as error:
            log.warning("%s", error.message)
            return self._last.get(workspace) or self._settings_for(None)
        return self._last[workspace]


def _stamp(workspace: WorkspacePath) -> Stamp:
    files = (config_file(), Path(workspace, "afx.toml"), trust_file(os.environ))
    return tuple(_changed(path) for path in files)


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size

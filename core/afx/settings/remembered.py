"""The settings, read anew only when one of their files has changed: for a process that asks often."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from . import Settings
from .places import config_file
from .trust import trust_file

_RECENT = 2_000_000_000
"""Nanoseconds. Some file systems tell times to the second, so a younger file may change and not show it."""

_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file: when it was last changed, how long it is, and which file it is; None where there is none."""


class RememberedSettings:
    """Gives the settings of a workspace, or (None) those of no workspace.

    Args:
        env: The environment. What it says is taken to stay.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = dict(env)
        self._common = (config_file(self._env), trust_file(self._env))
        self._known: dict[Path | None, tuple[_Stamp, Settings]] = {}

    def __call__(self, workspace: Path | None) -> Settings:
        """Return the settings as they stand now.

        Raises:
            BadInputError: A file cannot be read, or holds a name or a value that means nothing.
        """
        files = self._common if workspace is None else (*self._common, workspace / "afx.toml")
        # Looked at before it is read: what changes in between is found changed the next time.
        stamp = tuple(map(_stamp, files))
        known = self._known.get(workspace)
        if known is not None and known[0] == stamp:
            return known[1]
        settings = Settings.load(workspace, env=self._env)
        youngest = max((one[0] for one in stamp if one is not None), default=0)
        if time.time_ns() - youngest > _RECENT:
            self._known[workspace] = stamp, settings
        return settings


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

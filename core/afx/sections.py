"""The settings, as far as they are handed to plugins: sections, and where things in them are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def is_name(text: str) -> bool:
    """Tell whether what a plugin brings, and so its section, may be called so."""
    return _NAME.fullmatch(text) is not None


class SettingsView(Protocol):
    """The settings of a place, as far as they are handed to harnesses."""

    def section(self, name: str) -> Mapping[str, Any]:
        """Return what is set in a section, such as ``harness.foo``."""
        ...

    def place(self, *path: str | int) -> str:
        """Say in which file, line and column something is written."""
        ...


class NoSettings:
    """Settings in which nothing is set."""

    def section(self, name: str) -> Mapping[str, Any]:
        """Return nothing."""
        del name
        return {}

    def place(self, *path: str | int) -> str:
        """Say where nothing is."""
        del path
        return "the settings"

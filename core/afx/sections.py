"""The sections of the settings that are handed to plugins, and where things in them are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def is_name(text: str) -> bool:
    """Tell whether `text` may be the name of something that a plugin brings, and so of its section."""
    return _NAME.fullmatch(text) is not None


class Sections(Protocol):
    """The settings of a workspace, or of the person, as far as they are handed to plugins."""

    def section(self, name: str) -> Mapping[str, Any]:
        """Return what is set in a section, such as ``harness.foo``."""
        ...

    def place(self, *path: str | int) -> str:
        """Say in which file, line and column something is written."""
        ...


class NoSections:
    """Sections in which nothing is set."""

    def section(self, name: str) -> Mapping[str, Any]:
        """Return nothing."""
        del name
        return {}

    def place(self, *path: str | int) -> str:
        """Say no more than that it would be in the settings."""
        del path
        return "the settings"

"""Hides the plugins that somebody installed beside afx where the tests run, so that no test depends on them.

Of two distributions of one name, the first on the path hides the other. So an empty one does, in every
process that has its directory on the path before that of what is installed.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from distribution import write_distribution


def installed_strangers() -> list[str]:
    """Return the names of distributions with plugins that are not afx itself."""
    distributions = (point.dist for point in entry_points(group="afx"))
    return sorted({found.name for found in distributions if found is not None} - {"afx"})


def write_shadows(directory: Path, names: list[str]) -> None:
    """Write a distribution without plugins for each name."""
    for name in names:
        write_distribution(directory, name, "", version="0")

"""Which afx is installed, where and since when, for whoever compares it with the Tower that runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import __version__

DIRECTORY = str(Path(__file__).parent.resolve())
"""Where the package lies that this process runs."""


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """An afx that is installed.

    Attributes:
        version: Its version.
        directory: Where its package lies.
        at: When it was installed, in seconds since the epoch; None where no installer has noted that.
    """

    version: str
    directory: str
    at: float | None

    def unlike(self, tower: Mapping[str, Any]) -> str | None:
        """Say how a running Tower is of another afx than this one; None where it is of this one.

        Args:
            tower: What it says of itself, in ``tower.json`` or in ``/api/state``.
        """
        directory = tower.get("installed_in", self.directory)  # A Tower of before does not say it.
        is_elsewhere = directory != self.directory
        where = f" It runs from {directory}, this is {self.directory}." if is_elsewhere else ""
        if tower["version"] != self.version:
            return f"The Tower that runs is {tower['version']}, and afx {self.version} is installed.{where}"
        if is_elsewhere:
            return f"The Tower that runs is of another installation of afx.{where}"
        if self.at is not None and self.at > tower["started_at"]:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.at))
            return f"The Tower started before afx was installed again, at {when}."
        return None


def installed() -> Installed:
    """Return the afx of this process, as it lies on the disk now."""
    return Installed(version=__version__, directory=DIRECTORY, at=_installed_at())


def _installed_at() -> float | None:
    """Return when the list of the installed files was written, which every installer does last."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        files = distribution("afx").files or ()
        record = next(file for file in files if file.match("*.dist-info/RECORD"))
        return Path(str(record.locate())).stat().st_mtime
    except (PackageNotFoundError, StopIteration, OSError):
        return None

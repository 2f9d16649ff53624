"""Which afx is installed, where and since when, for whoever compares it with the Tower that runs."""

from __future__ import annotations

from pathlib import Path

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

"""The current directory, which may have been deleted under the person's shell.

No other module here asks for it. What repository it belongs to is for `repository` to say.
"""

from __future__ import annotations

import os
from pathlib import Path

from afx.api.errors import BadInputError


def current_directory() -> Path:
    """Return the current directory.

    Raises:
        BadInputError: It was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise directory_gone() from None


def current_directory_or_none() -> Path | None:
    """Return the real path of the current directory, None where it was deleted."""
    try:
        return Path(os.path.realpath(current_directory()))
    except BadInputError:
        return None


def directory_gone() -> BadInputError:
    """Return the error that says that the current directory was deleted."""
    return BadInputError(
        "The current directory was deleted.", hint="Go to one that is there, such as `cd ~`."
    )

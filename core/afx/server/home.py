"""The state directory is made, or made private, before anything in it is trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from afx.api.errors import AfxError


def prepare(home: Path) -> None:
    """Make the state directory, for nobody else to enter.

    Raises:
        AfxError: It cannot be made, is somebody else's, cannot be made private, or holds what could have been
            planted there.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = home.stat()
        if facts.st_uid != os.geteuid():
            raise AfxError(
                f"The state directory {home} belongs to another user.",
                hint="Whoever owns it could read the key. Set AFX_HOME to a directory of your own.",
            )
        if stat.S_IMODE(facts.st_mode) != 0o700:
            home.chmod(0o700)
        with os.scandir(home) as entries:
            planted = next((entry.name for entry in entries if _may_be_planted(entry)), None)
    except OSError as error:
        raise AfxError(
            f"The state directory {home} cannot be used: {error.strerror}.",
            hint="Set AFX_HOME to a directory that you may write.",
        ) from None
    if planted is not None:
        # Whatever is written by that name would go where somebody else wants it.
        raise AfxError(
            f"{home / planted} is a symlink, or belongs to another user; afx makes no such thing there.",
            hint="Look at it, and remove it.",
        )


def _may_be_planted(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid != os.geteuid()

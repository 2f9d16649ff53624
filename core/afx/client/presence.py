"""Whether a Tower holds a state directory, and which process it is, as its files say.

Nothing is asked of the Tower itself: this is for where it does not answer, and for who wants to stop it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .http import TowerDownError

if TYPE_CHECKING:
    from afx.api.process import ProcessIdentity


def lock_holder(home: Path) -> ProcessIdentity | None:
    """Return the process that holds a state directory's lock, None where none is alive.

    Where the lock's file was deleted under a running Tower, its ``tower.json`` tells.
    """
    import msgspec

    from afx.api.process import ProcessIdentity, is_alive

    for name in ("tower.lock", "tower.json"):
        try:
            identity = msgspec.json.decode((home / name).read_bytes(), type=ProcessIdentity)
        except (OSError, msgspec.DecodeError):
            continue
        if is_alive(identity):
            return identity
    return None


def absence(home: Path) -> TowerDownError:
    """Return the error that says why no Tower can be spoken to, and what to do about it."""
    holder = lock_holder(home)
    if holder is None:
        return TowerDownError("The Tower is not running.", hint="Start it with `afx tower start`.")
    who = f"The Tower (pid {holder.pid})"
    # The key is there before the lock is taken; tower.json comes last of all.
    if not (home / "key").exists():
        return TowerDownError(
            f"{who} runs, but its key {home / 'key'} is gone, so nobody can speak to it.",
            hint="`afx tower restart` makes a new one; terminals live on.",
        )
    if not (home / "tower.json").exists():
        return TowerDownError(
            f"{who} is starting or stopping, or its {home / 'tower.json'} was deleted.",
            hint="Where it stays so, `afx tower restart` helps; terminals live on.",
        )
    return TowerDownError(
        f"{who} is starting or stopping; it does not serve now.",
        hint="Where it stays so, `afx tower restart` helps; terminals live on.",
    )

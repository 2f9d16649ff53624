"""The steps of a walk that take something from the Tower for a while: disk, database, descriptors, time."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, TypeAlias

from afx.testing.tower_process import TowerFailedError
from afx_storage_sqlite.schema import MIGRATIONS
from chaos import trouble
from chaos.seen import stored_ids

if TYPE_CHECKING:
    from chaos.walk import Walk

Step: TypeAlias = "Callable[[Walk], str]"

_HOUR = 3600.0
_JUMPS = (0.0, 0.0, 30.0, -30.0, _HOUR, -_HOUR, 9600 * _HOUR, -9600 * _HOUR)


def fill_disk(walk: Walk) -> str:
    """Have no byte left under the state directory."""
    if walk.disk is None:
        return "no disk of its own"
    return _suffer(walk, walk.disk.full(), r"(?i)full|space|written")


def read_only_directory(walk: Walk) -> str:
    """Let nobody make or change a file in the state directory."""
    if walk.disk is None:
        return "no disk of its own"
    return _suffer(walk, walk.disk.read_only(), r"(?i)read-only")


def lock_database(walk: Walk) -> str:
    """Have somebody else write to the database for longer than the Tower waits, or for a moment."""
    return _suffer(walk, trouble.locked(walk.tower.home / "afx.db"), r"locked")


def exhaust_descriptors(walk: Walk) -> str:
    """Let the Tower open next to nothing."""
    assert walk.tower.process is not None
    spare = walk.dice.randrange(2, 9)
    with trouble.few_descriptors(walk.tower.process.pid, spare):
        return f"{spare} left, {walk.something()}"


def jump_clock(walk: Walk) -> str:
    """Set the Tower's wall clock."""
    jump = walk.dice.choice(_JUMPS)
    walk.clock.jump(jump)
    return f"{jump:.0f} s, {walk.something()}"


def damage_database(walk: Walk) -> str:
    """Damage the database of a Tower that was stopped or killed."""
    end = _end(walk)
    kept = stored_ids(walk.tower.home / "afx-copy.db")
    if end == "killed":
        walk.seen.forgive(kept)
    kind = trouble.damage(walk.tower.home / "afx.db", walk.dice)
    walk.tower.start()
    return f"{end}, {kind}"


def delete_database(walk: Walk) -> str:
    """Delete the database under the running Tower; whatever is stored next brings it back."""
    (walk.tower.home / "afx.db").unlink(missing_ok=True)
    return walk.spawn_one_more()


def older_database(walk: Walk) -> str:
    """Have the Tower meet the database of an older release."""
    end = _end(walk)
    number = walk.dice.randrange(1, len(MIGRATIONS))
    with suppress(FileNotFoundError):
        trouble.make_old(walk.tower.home / "afx.db", number)
    walk.tower.start()
    return f"{end}, format {number}"


STEPS: tuple[tuple[int, Step], ...] = (
    (2, fill_disk),
    (2, read_only_directory),
    (1, lock_database),
    (2, exhaust_descriptors),
    (3, jump_clock),
    (3, damage_database),
    (1, delete_database),
    (2, older_database),
)


def _end(walk: Walk) -> str:
    if walk.dice.random() < 0.5:
        walk.tower.kill()
        return "killed"
    walk.tower.stop()
    return "stopped"


def _suffer(walk: Walk, disaster: AbstractContextManager[object], says: str) -> str:
    """Do something in the middle of a disaster, or have the Tower killed and started there.

    A Tower that does not start has to say why, in words that match `says`, and starts when it is over.
    """
    is_down = False
    with disaster:
        if walk.dice.random() < 0.5:
            done = walk.something()
        else:
            walk.tower.kill()
            done = "and started"
            try:
                walk.tower.start()
            except TowerFailedError as failed:
                if not re.search(says, str(failed)):
                    raise
                is_down, done = True, f"not started: {failed}"
    if is_down:
        walk.tower.start()
    return done

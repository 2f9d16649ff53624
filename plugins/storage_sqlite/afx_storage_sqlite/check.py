"""The check of `afx doctor` for the SQLite file: whether it is whole, ours, and of a format that is known."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from afx.plugin import DoctorCheck, DoctorContext, Finding, StorageError

from .database import DamagedError, ForeignError, inspect_database
from .rescue import DAMAGED, can_be_rescued
from .schema import MIGRATIONS
from .storage import FILE_NAME

_WHY = "Agents, their conversations and which terminals are theirs are kept in it."


class SqliteCheck(DoctorCheck):
    """Looks at the file through a connection that cannot write; a Tower may run meanwhile."""

    name = "sqlite"

    def examine(self, context: DoctorContext) -> Iterator[Finding]:
        """Say whether the file is whole."""
        path = context.home / FILE_NAME
        try:
            facts = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            if context.terminals is None:
                yield Finding.ok("There is no database yet.")
            else:
                yield Finding.error(
                    f"The database {path} was deleted under the running Tower.",
                    "It is written again with the next change; a Tower killed before that would lose it.",
                    "afx tower restart",
                )
            return
        if facts.st_mode & 0o077 and stat.S_ISREG(facts.st_mode):
            yield Finding.error(
                f"Others may read or write {path}.",
                "It holds tasks and messages.",
                shlex.join(["chmod", "600", str(path)]),
            )
        yield _wholeness(path)
        for damaged in sorted(path.parent.glob(f"{FILE_NAME}.{DAMAGED}-*[0-9]")):
            yield Finding.warning(
                f"The database was damaged once and rescued; the damaged file is {damaged.name}.",
                "What could not be read of it may be missing. Compare, and remove it once all is well.",
                f"ls -l {shlex.quote(str(damaged))}*",
            )


def _wholeness(path: Path) -> Finding:
    try:
        complaints = inspect_database(path, len(MIGRATIONS))
    except DamagedError as error:
        return _damaged(path, error.message) if can_be_rescued(path) else _to_be_moved(path, error)
    except ForeignError as error:
        return _to_be_moved(path, error)
    except StorageError as error:
        return Finding.error(error.message, f"{_WHY} {error.hint}".strip())
    if complaints:
        more = "" if len(complaints) == 1 else ", and more"
        return _damaged(path, f"{path} is damaged: {complaints[0]}{more}.")
    return Finding.ok(f"{path} is whole ({path.stat().st_size // 1024} KiB).")


def _damaged(path: Path, what: str) -> Finding:
    return Finding.error(
        what,
        f"{_WHY} The next start of the Tower sets {path.name} aside, takes over what can be read of it and "
        "of its last copy, and lists living terminals that no record names.",
        "afx tower restart",
    )


def _to_be_moved(path: Path, error: StorageError) -> Finding:
    return Finding.error(error.message, f"{_WHY} {error.hint}", shlex.join(["mv", str(path), f"{path}.old"]))

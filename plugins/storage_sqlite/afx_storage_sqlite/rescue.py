"""What is done when the file is damaged, or is taken away: nothing is thrown away, and the Tower goes on.

A copy of the file is kept beside it, made anew now and then while all is well. A damaged file is set aside as
it is; a new one is made of the copy, and of every row of the damaged file that can still be read. Live
terminals are found by their holders and not by what is stored, so all of them are taken back whose agents
are known again; the rest are listed as orphans.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

from afx.plugin import StorageError

from .database import (
    DamagedError,
    copy_database,
    inspect_database,
    is_ours,
    open_database,
    storage_errors,
    transaction,
)
from .schema import Migration

log = logging.getLogger("afx.storage")

COPY_NAME = "afx-copy.db"
DAMAGED = "damaged"
COPY_EVERY = 300.0
_TABLES = ("workspaces", "agents", "conversations", "messages", "terminal_sessions")
_LASTING = {"agents": "host, id", "conversations": "host, agent_id, id"}
_PARTS = ("", "-wal", "-shm")


def open_or_rescue(path: Path, migrations: Sequence[Migration]) -> apsw.Connection:
    """Open the file as `open_database` does, and rescue it where it is damaged.

    Raises:
        StorageError: As `open_database`; or it is damaged, and not known to be ours.
    """
    # Whoever removes the file, copy or no copy, wants a new one.
    is_new = not path.exists()
    try:
        connection = _open_whole(path, migrations)
    except DamagedError as error:
        if not can_be_rescued(path):
            raise
        aside = _rescue(path, migrations)
        log.error(
            "%s It is kept as %s; what could be read of it, and of the last copy, is in a new one.",
            error.message,
            aside.name,
        )
        return open_database(path, migrations)
    if is_new:
        return connection
    try:
        with storage_errors(path):
            _take_back_lost(connection, path, len(migrations))
    except BaseException:
        connection.close()
        raise
    return connection


def can_be_rescued(path: Path) -> bool:
    """Tell whether a damaged file is known to be ours, so that it may be set aside and made anew."""
    return _copy_of(path).exists() or is_ours(path)


def has_recent_copy(path: Path) -> bool:
    """Tell whether the file was copied a short while ago."""
    try:
        return 0 <= time.time() - _copy_of(path).stat().st_mtime < COPY_EVERY
    except FileNotFoundError:
        return False


def refresh_copy(path: Path) -> None:
    """Copy the file. A copy that fails is only logged."""
    target = _copy_of(path)
    try:
        with storage_errors(path):
            copy_database(path, target)
    except StorageError as error:
        log.warning("The database was not copied: %s", error.message)


def is_where_it_was(path: Path, inode: int) -> bool:
    """Tell whether the file that was opened is still there under its name."""
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def put_back(connection: apsw.Connection, path: Path) -> None:
    """Write an open database, whose file was deleted, to its place again; `connection` is closed.

    Raises:
        StorageError: Something else lies there now.
    """
    if path.exists():
        raise StorageError(
            f"{path} was replaced while the Tower had it open.",
            hint="Restart the Tower, so that it reads what lies there now.",
        )
    new = path.with_name(f"{path.name}.unfinished")
    new.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(new),))
    new.chmod(0o600)
    connection.close()
    for part in _PARTS[1:]:
        path.with_name(path.name + part).unlink(missing_ok=True)
    new.replace(path)
    log.error("%s was deleted while the Tower ran; it was written again, with all that was in it.", path)


def _open_whole(path: Path, migrations: Sequence[Migration]) -> apsw.Connection:
    """Open the file, and look at every page of it, so that damage is met now and not in the middle of work.

    Raises:
        DamagedError: It is not whole.
        StorageError: As `open_database`.
    """
    if _was_emptied(path):
        raise DamagedError(f"{path} was emptied.")
    connection = open_database(path, migrations)
    try:
        with storage_errors(path):
            complaint = str(connection.execute("PRAGMA quick_check(1)").fetchall()[0][0])
    except BaseException:
        connection.close()
        raise
    if complaint != "ok":
        connection.close()
        raise DamagedError(f"{path} is damaged: {complaint}.")
    return connection


def _take_back_lost(connection: apsw.Connection, path: Path, newest: int) -> None:
    """Add what only the last copy has, of the kind that is never deleted.

    A write-ahead log that was cut is not damage to SQLite: the file is whole, and older than it was. What is
    in the copy and not in the file was lost that way. Terminals come with their agents: whether they live is
    for the Tower to find out.
    """
    try:
        copy = apsw.Connection(str(_copy_of(path)), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.CantOpenError:
        return
    try:
        lost = sum(len(_keys(copy, table) - _keys(connection, table)) for table in _LASTING)
    finally:
        copy.close()
    if lost == 0 or not _is_whole(_copy_of(path), newest):
        return
    with transaction(connection):
        _salvage(_copy_of(path), connection, "IGNORE")
    log.error("%s lacked %d rows that its last copy has; they are back.", path, lost)


def _keys(connection: apsw.Connection, table: str) -> set[tuple[Any, ...]]:
    try:
        return set(connection.execute(f"SELECT {_LASTING[table]} FROM {table}"))  # noqa: S608 - names of ours
    except apsw.Error:
        return set()


def _copy_of(path: Path) -> Path:
    return path.with_name(COPY_NAME)


def _was_emptied(path: Path) -> bool:
    """Tell whether a file that once held something is empty; to SQLite that is a new database."""
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        return False
    return empty and _copy_of(path).exists()


def _rescue(path: Path, migrations: Sequence[Migration]) -> Path:
    """Set the damaged file aside and make a new one in its place; return where the damaged one is."""
    new = path.with_name(f"{path.name}.unfinished")
    for part in _PARTS:
        new.with_name(new.name + part).unlink(missing_ok=True)
    with storage_errors(path):
        if _is_whole(_copy_of(path), len(migrations)):
            shutil.copyfile(_copy_of(path), new)
            new.chmod(0o600)
        connection = open_database(new, migrations)
        try:
            _salvage(path, connection)
        finally:
            connection.close()
        aside = path.with_name(f"{path.name}.{DAMAGED}-{time.strftime('%Y%m%d-%H%M%S')}")
        for part in _PARTS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + part).replace(aside.with_name(aside.name + part))
        new.replace(path)
    return aside


def _is_whole(path: Path, newest: int) -> bool:
    try:
        return path.exists() and not inspect_database(path, newest)
    except StorageError:
        return False


def _salvage(damaged: Path, target: apsw.Connection, present: str = "REPLACE") -> None:
    """Put every row that can be read into `target`; what contradicts what is there is left out.

    A row that is there already is treated as `present` says.
    """
    try:
        source = apsw.Connection(str(damaged), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return
    try:
        for table in _TABLES:
            known = _columns(target, table)
            columns = [column for column in _columns(source, table) if column in known]
            if not columns:
                continue
            names = ", ".join(columns)
            # Names of tables and columns are ours; values only ever come as parameters.
            insert = f"INSERT OR {present} INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            for row in _readable(source, table, names):
                with suppress(apsw.ConstraintError):
                    target.execute(insert, row)
    finally:
        source.close()


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    try:
        return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
    except apsw.Error:
        return []


def _readable(source: apsw.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows from the front until damage is met, and then from the back."""
    for direction in ("ASC", "DESC"):
        try:
            yield from source.execute(f"SELECT {names} FROM {table} ORDER BY rowid {direction}")  # noqa: S608
        except apsw.Error:
            continue
        return

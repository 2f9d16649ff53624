"""Opens the file: makes it, judges what is there, and brings it to the present format.

What is newer than this afx, or is not ours, is refused and left as it is. Before an existing file is
migrated a copy of it is made beside it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw
import apsw.bestpractice

from afx.plugin import StorageError, StorageTooNewError

from .schema import APPLICATION_ID, Migration

BUSY_TIMEOUT = 5.0
"""For how many seconds to wait for another process that is writing."""

_SHORTEST = 512


class DamagedError(StorageError):
    """The file is no database any more, or not a whole one."""


class ForeignError(StorageError):
    """What lies where the file should be is not afx's."""


def open_database(path: Path, migrations: Sequence[Migration]) -> apsw.Connection:
    """Open the file at `path`, make it where it is missing, and run those of `migrations` that it lacks.

    Blocks; at most about `BUSY_TIMEOUT` seconds a step while another process writes.

    Raises:
        StorageTooNewError: It has a format newer than the last of `migrations`. It is unchanged.
        StorageError: It is not ours (and unchanged), or cannot be opened, copied or migrated.
    """
    with storage_errors(path):
        _refuse_odd(path)
        _create(path)
        _judge(path, len(migrations))
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _set_up(connection)
            _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
        return connection


def inspect_database(path: Path, newest: int) -> list[str]:
    """Return what SQLite complains of in the file at `path`, at most a few lines. Changes nothing.

    Raises:
        StorageTooNewError: Its format is newer than `newest`.
        StorageError: It is not ours, or cannot be looked at.
    """
    with storage_errors(path):
        _refuse_odd(path)
        _judge(path, newest)
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(int(BUSY_TIMEOUT * 1000))
            try:
                found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            except apsw.CorruptError as error:
                return [str(error)]
        finally:
            connection.close()
    lines = [line for text in found for line in text.splitlines()]
    # SQLite puts a headline with stars above what it found in each of its databases.
    return [] if lines == ["ok"] else [line for line in lines if not line.startswith("***")]


def is_ours(path: Path) -> bool:
    """Tell whether a file says, however damaged it is, that it is a database of afx."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return _pragma(connection, "application_id") == APPLICATION_ID
        finally:
            connection.close()
    except (apsw.Error, StorageError):
        return False


def refuse_newer(connection: apsw.Connection, path: Path, newest: int) -> None:
    """Refuse a file whose format is newer than `newest`.

    Raises:
        StorageTooNewError: It is.
    """
    number = _pragma(connection, "user_version")
    if number > newest:
        before = _copy_before(path, newest + 1)
        way_back = f" {before} is what it was before the upgrade." if before.exists() else ""
        raise StorageTooNewError(
            f"{path} has format {number}, and this afx knows formats up to {newest}.",
            hint="A newer afx wrote it. Upgrade afx, or use another state directory with "
            f"AFX_HOME.{way_back}",
        )


def refuse_newer_file(path: Path, newest: int) -> None:
    """Refuse the file at `path` where its format is known to be newer than `newest`. Changes nothing.

    Raises:
        StorageTooNewError: It is.
    """
    with suppress(apsw.Error), closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as file:
        file.set_busy_timeout(int(BUSY_TIMEOUT * 1000))
        refuse_newer(file, path, newest)


@contextmanager
def transaction(
    connection: apsw.Connection, *, writes: bool = True, outlives_power: bool = True
) -> Iterator[None]:
    """Do all of the block or nothing, with one view of the data.

    Args:
        connection: Whose transaction it is.
        writes: Whether the block changes anything.
        outlives_power: Whether the changes must be there after a loss of power, which takes a moment longer.
    """
    if not outlives_power:
        connection.execute("PRAGMA synchronous = NORMAL")
    # A writer says so at once: one that began as a reader may be refused later without any waiting.
    connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        if not outlives_power:
            connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about the file into sentences for a person.

    Raises:
        StorageError: Something of that kind happened in the block.
    """
    try:
        yield
    except apsw.NotADBError as error:
        raise DamagedError(
            f"{path} is no SQLite database.",
            hint="It was left as it is. Move it away, and afx makes a new one.",
        ) from error
    except apsw.CorruptError as error:
        raise DamagedError(
            f"{path} is damaged: {error}.",
            hint="`afx tower restart` sets it aside and takes over what can be read; terminals live on.",
        ) from error
    except apsw.BusyError as error:
        raise StorageError(
            f"{path} was locked by another process for {BUSY_TIMEOUT:.0f} s.",
            hint="Find out who writes to it, and try again.",
        ) from error
    except apsw.FullError as error:
        raise StorageError(f"{path} could not be written: the disk is full.", hint="Make room.") from error
    except apsw.Error as error:
        raise StorageError(f"{path} could not be used: {error}.") from error
    except OSError as error:
        raise StorageError(f"{path} could not be used: {error.strerror or error}.") from error


def _refuse_odd(path: Path) -> None:
    """Refuse what is no file at all; some of it, such as a pipe, would be waited for without end."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ForeignError(
                f"{path} is no plain file.",
                hint="It was left as it is. Move it away, and afx makes a new one.",
            )


def _create(path: Path) -> None:
    """Make the file where it is missing, and private where it is not."""
    # Only a file that did not exist is opened here: closing any descriptor of a database drops the locks
    # that SQLite holds on it in the same process. SQLite gives its -wal and -shm files the same mode.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError):
            if one.stat().st_mode & 0o077:
                one.chmod(0o600)


def _judge(path: Path, newest: int) -> None:
    """Refuse what is not ours or is too new, through a connection that cannot write."""
    # SQLite takes a file that is too short for a database for an empty one, and would write over it.
    if 0 < path.stat().st_size < _SHORTEST:
        raise apsw.NotADBError
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(int(BUSY_TIMEOUT * 1000))
        with transaction(connection, writes=False):
            ours = _pragma(connection, "application_id") == APPLICATION_ID
            empty = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
            if not ours and not (empty and _pragma(connection, "user_version") == 0):
                raise ForeignError(
                    f"{path} is a database of another program.",
                    hint="It was left as it is. Move it away, and afx makes a new one.",
                )
            refuse_newer(connection, path, newest)
    finally:
        connection.close()


def _set_up(connection: apsw.Connection) -> None:
    # Function by function, and none of `bestpractice.apply`, which would also change every other
    # connection of the process and redirect SQLite's log for all of it.
    apsw.bestpractice.connection_busy_timeout(connection, int(BUSY_TIMEOUT * 1000))
    apsw.bestpractice.connection_enable_foreign_keys(connection)
    apsw.bestpractice.connection_recursive_triggers(connection)
    apsw.bestpractice.connection_dqs(connection)
    _patiently_enter_wal(connection)
    apsw.bestpractice.connection_optimize(connection)
    # What was stored must survive kill -9, for which NORMAL would do, and a power cut, for which it would
    # not. Changes are few and written in a worker thread, so that the flush costs nobody anything.
    connection.execute("PRAGMA synchronous = FULL")
    # On macOS fsync does not reach the disk; elsewhere this does nothing.
    connection.execute("PRAGMA fullfsync = ON")


def _patiently_enter_wal(connection: apsw.Connection) -> None:
    # SQLite does not apply the busy timeout to the switch, which two processes may try at once.
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return apsw.bestpractice.connection_wal(connection)
        except apsw.BusyError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _migrate(connection: apsw.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    refuse_newer(connection, path, len(migrations))
    stored = _pragma(connection, "user_version")
    # Tables can only be rebuilt with foreign keys off, and they cannot be switched in a transaction.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in migrations[stored:]:
        with transaction(connection):
            # Another process may have been faster, or be of a newer afx.
            refuse_newer(connection, path, len(migrations))
            if _pragma(connection, "user_version") >= migration.number:
                continue
            if stored == migration.number - 1 > 0:
                copy_database(path, _copy_before(path, migration.number))
            try:
                for _ in connection.execute(migration.sql):
                    pass
            except apsw.SQLError as error:
                raise StorageError(
                    f"{path} could not be brought to format {migration.number} ({migration.about}): {error}.",
                    hint="It is as it was before. This is a defect of afx.",
                ) from error
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
            if broken is not None:
                raise StorageError(
                    f"{path} could not be brought to format {migration.number} ({migration.about}): "
                    f"a row of {broken[0]} would name a row of {broken[2]} that is not there.",
                    hint="It is as it was before. This is a defect of afx.",
                )
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {migration.number}")
    connection.execute("PRAGMA foreign_keys = ON")


def _copy_before(path: Path, number: int) -> Path:
    """Return where the copy lies that is made before the step to format `number`."""
    return path.with_name(f"{path.name}.before-{number}")


def copy_database(path: Path, target: Path) -> None:
    """Copy the database, with what is still in its write-ahead log, to a file only its owner can read.

    Nobody else may write the same copy at the same time. Before a migration the caller is in a writing
    transaction that has changed nothing yet, so that nobody migrates meanwhile.
    """
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    _create(unfinished)
    # SQLite copies nothing through a connection that is in a writing transaction.
    source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        copy = apsw.Connection(str(unfinished), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            with copy.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step()
        finally:
            copy.close()
    finally:
        source.close()
    unfinished.replace(target)


def _pragma(connection: apsw.Connection, name: str) -> int:
    value = connection.pragma(name)
    if not isinstance(value, int):
        raise StorageError(f"PRAGMA {name} gave {value!r}.")
    return value

"""A file of the storage for its tests: made, filled, and looked at behind the storage's back."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from afx.api.storage import StorageContext
from afx.testing.storage_records import (
    HOST,
    a_conversation,
    a_message,
    a_terminal,
    a_workspace,
    an_agent,
    put,
)
from afx_storage_sqlite.schema import MIGRATIONS, Migration
from afx_storage_sqlite.storage import SqliteStorage

BASE = (a_workspace(), an_agent(), a_conversation(), a_message(), a_terminal())
NEXT = Migration(len(MIGRATIONS) + 1, "notes", "CREATE TABLE notes (text TEXT NOT NULL) STRICT")


def make(directory: Path, migrations: Sequence[Migration] = MIGRATIONS) -> SqliteStorage:
    return SqliteStorage(StorageContext(directory, {}), migrations)


@contextmanager
def looking(directory: Path) -> Iterator[apsw.Connection]:
    """Look at, or meddle with, the file behind the storage's back.

    Not with `sqlite3`: a second copy of SQLite in one process does not see the locks of the first.
    """
    connection = apsw.Connection(str(directory / "afx.db"))
    try:
        yield connection
    finally:
        connection.close()


def number(directory: Path) -> int:
    with looking(directory) as connection:
        found = connection.pragma("user_version")
    assert isinstance(found, int)
    return found


def modes(directory: Path) -> dict[str, int]:
    """Return the names and permissions of the files of the storage."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.glob("afx.db*")}


def contents(directory: Path) -> dict[str, bytes]:
    """Return what is stored in the files, without the index of the write-ahead log and empty logs."""
    found = {path.name: path.read_bytes() for path in directory.glob("afx.db*") if path.suffix != ".db-shm"}
    return {name: content for name, content in found.items() if content}


def dump(connection: apsw.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the format and all rows, by table."""
    # SQLite's own tables hold statistics, which opening the file may refresh.
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        str(sql): sorted(connection.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608
        for name, sql in tables
    }


async def filled(directory: Path) -> None:
    storage = make(directory)
    await storage.open()
    await storage.apply(HOST, put(*BASE))
    await storage.aclose()

"""A database, opened by a test beside or behind the back of whoever works with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def rows(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file; what was changed is stored at the end, and nothing of it stays open."""
    with closing(sqlite3.connect(database)) as connection, connection:
        yield connection

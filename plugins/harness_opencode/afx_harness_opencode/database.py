"""Where OpenCode keeps its conversations: a database, which is read and never written here.

The tables are those of OpenCode 1.18.33: `session`, where what a person began has no parent, and `part`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from afx.plugin import ConversationId, Place

_LONGEST_TEXT = 200
_MOST = 100
_PATIENCE = 2.0
_COLUMNS = "id, directory, time_created, time_updated"


class UnreadableError(Exception):
    """The database is there and cannot be read, so nothing is certain."""


class Session(NamedTuple):
    """A conversation of a person's.

    Attributes:
        directory: The real path of the directory that it works in.
        began_at: When it began, in seconds.
        modified_at: When something was last added to it, in seconds.
    """

    id: ConversationId
    directory: str
    began_at: float
    modified_at: float

    def is_of(self, place: Place) -> bool:
        """Tell whether it works in exactly this directory."""
        return self.directory == os.path.realpath(place.cwd)


def path_of(place: Place) -> Path:
    """Return where the database of an agent's program is."""
    home = Path(place.env.get("HOME") or Path.home())
    data = Path(place.env.get("XDG_DATA_HOME") or home / ".local/share") / "opencode"
    return place.cwd / data / (place.env.get("OPENCODE_DB") or "opencode.db")


def find(place: Place, session_id: ConversationId) -> Session | None:
    """Return a conversation, whichever directory it works in; None where there is none.

    Raises:
        UnreadableError: That cannot be told.
    """
    with _rows(place) as database:
        if database is None:
            return None
        row = database.execute(f"SELECT {_COLUMNS} FROM session WHERE id = ?", (session_id,)).fetchone()  # noqa: S608 - ours
        return None if row is None else _session(row)


def of_directory(place: Place) -> list[Session]:
    """Return the newest conversations that a person began in a directory, the last changed first.

    Raises:
        UnreadableError: That cannot be told.
    """
    with _rows(place) as database:
        if database is None:
            return []
        rows = database.execute(
            f"SELECT {_COLUMNS} FROM session WHERE parent_id IS NULL AND directory = ? "  # noqa: S608 - ours
            "ORDER BY time_updated DESC, id DESC LIMIT ?",
            (os.path.realpath(place.cwd), _MOST),
        )
        return [_session(row) for row in rows]


def first_and_last(place: Place, session_id: ConversationId) -> tuple[str, str]:
    """Return the first thing the person said and the last that anybody did, each on one line.

    Raises:
        UnreadableError: That cannot be told.
    """
    with _rows(place) as database:
        if database is None:
            return "", ""
        said = [
            text
            for (data,) in database.execute(
                "SELECT data FROM part WHERE session_id = ? ORDER BY time_created, id", (session_id,)
            )
            if (text := _text(data))
        ]
    return (said[0], said[-1]) if said else ("", "")


@contextmanager
def _rows(place: Place) -> Iterator[sqlite3.Connection | None]:
    path = path_of(place)
    try:
        if not path.exists():
            yield None
            return
        # As a URI, so that it is opened to be read only, and never made.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as database:
            yield database
    except (OSError, sqlite3.Error) as error:
        raise UnreadableError(str(path)) from error


def _session(row: tuple[str, str, int, int]) -> Session:
    return Session(row[0], os.path.realpath(row[1]), row[2] / 1000, row[3] / 1000)


def _text(data: str) -> str:
    try:
        part: Any = json.loads(data)
    except ValueError:
        return ""
    if not isinstance(part, dict) or part.get("type") != "text" or part.get("synthetic"):
        return ""
    return " ".join(str(part.get("text", "")).split())[:_LONGEST_TEXT]

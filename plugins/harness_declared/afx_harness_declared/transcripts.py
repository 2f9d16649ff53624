"""Finds the transcripts that a definition describes, and reads ids and directories out of them."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from afx.plugin import ConversationId, Place, Transcript

from .definition import Source, Transcripts

_LOOKED_INTO = 64 * 1024
_MOST_FILES = 200
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


class UnreadableError(Exception):
    """A file that matters cannot be read, so nothing is certain."""


class Found(NamedTuple):
    """One transcript."""

    path: Path
    session_id: ConversationId
    cwd: str | None
    modified_at: float
    size: int

    def is_of(self, directory: Path) -> bool:
        """Tell whether it says that it was recorded for exactly this directory."""
        return self.cwd is not None and os.path.realpath(self.cwd) == os.path.realpath(directory)

    def transcript(self) -> Transcript:
        """Return it in the words of the API."""
        return Transcript(
            session_id=self.session_id,
            path=str(self.path),
            cwd="" if self.cwd is None else os.path.realpath(self.cwd),
            modified_at=self.modified_at,
            size=self.size,
        )


def pattern(files: str, place: Place, session_id: ConversationId | None) -> str:
    """Return the pattern of paths for an agent; of any conversation where no id is given."""
    cwd = os.path.realpath(place.cwd)
    filled = _VARIABLE.sub(lambda found: _value(found, place.env), files)
    for name, value in {
        "cwd": glob.escape(cwd),
        "cwd_dashes": re.sub(r"[^A-Za-z0-9]", "-", cwd),
        "cwd_sha256": hashlib.sha256(cwd.encode()).hexdigest(),
        "session_id": "*" if session_id is None else glob.escape(session_id),
    }.items():
        filled = filled.replace(f"{{{name}}}", value)
    if filled == "~" or filled.startswith("~/"):
        filled = glob.escape(place.env.get("HOME") or str(Path.home())) + filled[1:]
    return str(place.cwd / filled)


def look(transcripts: Transcripts, place: Place, session_id: ConversationId | None) -> list[Found]:
    """Return the transcripts of an id, or without one the newest of all, the last written first.

    Raises:
        UnreadableError: There is one that may be it and cannot be read.
    """
    dated: list[tuple[float, Path]] = []
    paths = glob.iglob(pattern(transcripts.files, place, session_id), recursive=True)  # noqa: PTH207 - absolute
    for path in map(Path, paths):
        try:
            dated.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnreadableError(str(path)) from error
    newest = sorted(dated, reverse=True)[:_MOST_FILES]
    found = []
    for _, path in newest:
        try:
            one = _read(transcripts, path)
        except OSError as error:
            if session_id is not None:
                raise UnreadableError(str(path)) from error
            continue
        if one is not None and session_id in {None, one.session_id}:
            found.append(one)
    return found


def recorded_here(transcripts: Transcripts | None, place: Place) -> list[Found]:
    """Return the transcripts that say that they were recorded for exactly this directory."""
    if transcripts is None or transcripts.cwd is None:
        return []
    return [one for one in look(transcripts, place, None) if one.is_of(place.cwd)]


def _read(transcripts: Transcripts, path: Path) -> Found | None:
    status = path.stat()
    # To open a pipe that lies there would wait for a writer.
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    with path.open("rb") as file:
        text = file.read(_LOOKED_INTO).decode("utf-8", "replace")
    session_id = _find(transcripts.id, path, text)
    if session_id is None:
        return None
    return Found(
        path=path,
        session_id=session_id,
        cwd=None if transcripts.cwd is None else _find(transcripts.cwd, path, text),
        modified_at=status.st_mtime,
        size=status.st_size,
    )


def _find(source: Source, path: Path, text: str) -> str | None:
    if source.json is not None:
        return _in_json(source.json.split("."), text)
    where, wanted = (str(path), source.path) if source.path is not None else (text, source.text)
    found = re.search(wanted or "", where, re.MULTILINE)
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]


def _in_json(field: list[str], text: str) -> str | None:
    """Return a field of the first line that has it; of a file that is one document, of that."""
    for line in [*text.splitlines(), text]:
        try:
            value: Any = json.loads(line)
        except ValueError:
            continue
        for key in field:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return None


def _value(found: re.Match[str], env: Mapping[str, str]) -> str:
    value = env.get(found[1] or found[3])
    return glob.escape(value) if value else (found[2] or "")

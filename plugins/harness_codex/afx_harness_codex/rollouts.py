"""Where Codex keeps the transcript of a conversation, a rollout, and what is said in it.

Rollouts lie in directories of their day; the first line says whose each is. A rollout may have hundreds of
megabytes, and after a crash its last line may be cut short. Nothing in this module changes a file.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

_MIB = 1 << 20
# The first line holds all of the program's own instructions; a message may hold pictures.
_LONGEST_LINE = 16 * _MIB
_LONGEST_HEAD = 64 * _MIB
_TAILS = (_MIB // 16, _MIB, 8 * _MIB)
_LONGEST_TEXT = 200

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(rf"rollout-[0-9T-]+-({_ID})\.jsonl(\.zst)?")

# What the program itself puts into the person's mouth.
_NOT_A_PERSON = ("<", "# AGENTS.md instructions")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What the first line of a rollout says of its conversation.

    Attributes:
        cwd: The directory that it was begun in; empty where it is not recorded.
        is_persons: Whether a person began it in a terminal; otherwise a script did, or the program itself.
        began_at: None where that is not recorded.
    """

    id: str
    cwd: str
    is_persons: bool
    began_at: float | None


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """The first words of the person, and the last of anybody, each on one line; empty where nobody spoke."""

    first: str
    last: str


class _Payload(msgspec.Struct):
    # A field of another kind than is expected must not hide the rest of its line.
    id: object = None
    type: object = None
    cwd: object = None
    source: object = None
    timestamp: object = None
    role: object = None
    content: object = None


class _Line(msgspec.Struct):
    type: object = None
    payload: _Payload | None = None

    @property
    def said(self) -> _Payload | None:
        """What was said in this line, if it was by the person or by the agent."""
        payload = self.payload
        if self.type != "response_item" or payload is None or payload.type != "message":
            return None
        return payload if payload.role in ("user", "assistant") and _text(payload.content) else None


_decoder = msgspec.json.Decoder(_Line)


def home(env: Mapping[str, str]) -> Path:
    """Return the program's directory: CODEX_HOME, or `.codex` in the person's home."""
    chosen = env.get("CODEX_HOME")
    return Path(chosen) if chosen else Path(env.get("HOME") or Path.home(), ".codex")


def id_of(path: Path) -> str | None:
    """Return the id of the conversation that a file of this name would hold, or None for other names."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else match[1]


def rollouts(directory: Path) -> Iterator[Path]:
    """Yield the rollouts in a directory of days, the newest days first.

    Raises:
        OSError: A directory is there and cannot be read.
    """
    for days in _listed(directory):
        if id_of(days) is not None:
            yield days
        elif days.name.isdigit() and days.is_dir():
            yield from rollouts(days)


def find(session_id: str, env: Mapping[str, str]) -> Path | None:
    """Return the rollout of a conversation, or None where there is none.

    One that was put away in the archive counts: the program resumes it.

    Raises:
        OSError: A directory is there and cannot be read.
    """
    wanted = session_id.lower()
    for directory in ("sessions", "archived_sessions"):
        for path in rollouts(home(env) / directory):
            if id_of(path) == wanted:
                return path
    return None


def is_active(path: Path, env: Mapping[str, str]) -> bool:
    """Tell whether a rollout is none of those that were put away in the archive."""
    return path.is_relative_to(home(env) / "sessions")


def is_readable(path: Path) -> bool:
    """Tell whether a rollout is plain text. The program packs old ones, and unpacks them to go on."""
    return path.suffix == ".jsonl"


def read_origin(path: Path) -> Origin | None:
    """Return what the first line of a rollout says, or None where it says nothing that can be read.

    The program does not know a conversation without that line.

    Raises:
        OSError: The file cannot be read.
    """
    with _opened(path) as file:
        line = _decoded(file.readline(_LONGEST_LINE))
    payload = None if line is None or line.type != "session_meta" else line.payload
    if payload is None or not isinstance(payload.id, str):
        return None
    return Origin(
        id=payload.id,
        cwd=payload.cwd if isinstance(payload.cwd, str) else "",
        # The shared background process, which a person's own terminal may be served by, calls itself vscode.
        is_persons=payload.source in ("cli", "vscode"),
        began_at=_time(payload.timestamp),
    )


def read_talk(path: Path) -> Talk:
    """Return the first and the last words of a rollout.

    Raises:
        OSError: The file cannot be read, or is too large to tell.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        first = next((_words(said) for said in _head(file) if said.role == "user"), "")
        return Talk(first=first, last=_last_words(file, size))


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir(), key=lambda path: path.name, reverse=True)
    except FileNotFoundError:
        return []


def _opened(path: Path) -> BinaryIO:
    # To open a pipe that lies there would wait for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    return path.open("rb")


def _decoded(raw: bytes) -> _Line | None:
    with suppress(msgspec.DecodeError):
        return _decoder.decode(raw)
    return None


def _head(file: BinaryIO) -> Iterator[_Payload]:
    end = 0
    while raw := file.readline(_LONGEST_LINE):
        end += len(raw)
        line = _decoded(raw)
        if line is not None and line.said is not None:
            yield line.said
        if end >= _LONGEST_HEAD:
            raise OSError(errno.EFBIG, "Nobody said a word in the beginning of this rollout", file.name)


def _last_words(file: BinaryIO, size: int) -> str:
    for length in _TAILS:
        file.seek(max(0, size - length))
        # What the piece begins with is not a whole line, and so cannot be read, but for the whole file.
        for raw in reversed(file.read(length).splitlines()):
            line = _decoded(raw)
            if line is not None and line.said is not None:
                return _words(line.said)
        if length >= size:
            break
    return ""


def _text(content: object) -> str:
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(text for text in texts if not text.startswith(_NOT_A_PERSON))


def _words(said: _Payload) -> str:
    words = " ".join(_text(said.content)[: 10 * _LONGEST_TEXT].split())
    return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_TEXT]


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return None

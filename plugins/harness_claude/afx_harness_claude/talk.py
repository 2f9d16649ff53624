"""What is said in a transcript of Claude Code, read without reading all of it.

A transcript may have hundreds of megabytes, and after a crash its last line may be cut short. Where it lies
is the business of `transcripts`; nothing in this module changes a file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

_LONGEST_TEXT = 200

_MIB = 1 << 20
# A first message may hold pictures, which makes it one line of many megabytes.
_LONGEST_LINE = 16 * _MIB
_LONGEST_HEAD = 64 * _MIB
# Once it is known whose the transcript is, only so much more is read for the first words.
_ENOUGH_HEAD = _MIB
_TAILS = (_MIB // 16, _MIB, 8 * _MIB)

# What the program itself puts into the person's mouth.
_NOT_A_PERSON = ("<command-", "<local-command-", "<bash-", "<system-reminder>", "[Request interrupted")


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """What a transcript says of the conversation in it.

    Attributes:
        cwd: The directory that the conversation was begun in; empty where it is not recorded.
        began_at: When the first thing was said; None where that is not recorded.
        modified_at: When the last thing was said, or where that is not recorded, the file's own time.
        size: Of the file, in bytes.
        first: The first words of the person, on one line.
        last: The last words of anybody, on one line.
    """

    cwd: str
    began_at: float | None
    modified_at: float
    size: int
    first: str
    last: str


class _Line(msgspec.Struct, rename="camel"):
    # A field of another kind than is expected must not hide the rest of its line.
    type: object = None
    cwd: object = None
    timestamp: object = None
    is_sidechain: object = None
    is_meta: object = None
    message: Any = None

    @property
    def is_said(self) -> bool:
        # In a sidechain the program talks to agents of its own. It cannot be resumed.
        return self.type in ("user", "assistant") and self.is_sidechain is not True

    @property
    def directory(self) -> str:
        return self.cwd if isinstance(self.cwd, str) else ""

    @property
    def at(self) -> float | None:
        try:
            return datetime.fromisoformat(str(self.timestamp)).timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def text(self) -> str:
        content = self.message.get("content") if isinstance(self.message, dict) else None
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        texts = [
            block["text"]
            for block in blocks
            if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
        ]
        said = " ".join(text for text in texts if not text.startswith(_NOT_A_PERSON))
        words = "" if self.is_meta is True else " ".join(said[: 10 * _LONGEST_TEXT].split())
        return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_TEXT]


_decoder = msgspec.json.Decoder(_Line)


def has_turn(path: Path) -> bool:
    """Tell whether something was said in the conversation of this transcript.

    The program reserves the file before the first turn; what is written then cannot be resumed. A line that
    cannot be read, such as one that was cut short by a crash, is passed over.

    Raises:
        OSError: The file cannot be read, or is too large to tell.
    """
    with _opened(path) as file:
        return any(line.is_said for line, _ in _head(file))


def read_talk(path: Path) -> Talk | None:
    """Return what a transcript says of its conversation, or None where nothing was said in it.

    Raises:
        OSError: The file cannot be read, or is too large to tell.
    """
    with _opened(path) as file:
        status = os.fstat(file.fileno())
        begin: _Line | None = None
        first = ""
        for line, end in _head(file):
            if begin is not None and end > _ENOUGH_HEAD:
                break
            if not line.is_said:
                continue
            begin = begin if begin is not None and begin.directory else line
            first = first or (line.text if line.type == "user" else "")
            if begin.directory and first:
                break
        if begin is None:
            return None
        last, ended_at = _end(file, status.st_size)
    return Talk(
        cwd=begin.directory,
        began_at=begin.at,
        modified_at=status.st_mtime if ended_at is None else ended_at,
        size=status.st_size,
        first=first,
        last=last,
    )


def _opened(path: Path) -> BinaryIO:
    # To open a pipe that lies there would wait for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    return path.open("rb")


def _head(file: BinaryIO) -> Iterator[tuple[_Line, int]]:
    """Yield the lines that can be read, each with where it ends."""
    end = 0
    while raw := file.readline(_LONGEST_LINE):
        end += len(raw)
        with suppress(msgspec.DecodeError):
            yield _decoder.decode(raw), end
        if end >= _LONGEST_HEAD:
            raise OSError(errno.EFBIG, "Nothing was said in the beginning of this transcript", file.name)


def _end(file: BinaryIO, size: int) -> tuple[str, float | None]:
    """Return the last words and the time of the last thing said, as far as the end of the file shows them."""
    last, at = "", None
    for length in _TAILS:
        file.seek(max(0, size - length))
        # What the piece begins with is not a whole line, and so cannot be read, but for the whole file.
        lines = file.read(length).splitlines()
        for raw in reversed(lines):
            try:
                line = _decoder.decode(raw)
            except msgspec.DecodeError:
                continue
            if not line.is_said:
                continue
            at = at if at is not None else line.at
            last = line.text
            if last:
                return last, at
        if length >= size:
            break
    return last, at

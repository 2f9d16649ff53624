"""Where in a TOML file each thing is written, which `tomllib` does not say.

It reads only text that `tomllib` has accepted, so nothing is checked twice: it walks over keys, strings and
brackets, and takes everything else for a value that ends where the next comma, bracket, comment or line does.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys, and numbers of elements, from the top of the file on."""

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r"""
    \"{3} (?:[^\\]|\\.)*? \"{3,5}(?!\") | '{3} .*? '{3,5}(?!')
    | " (?:[^"\\]|\\.)* " | ' [^']* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


class Spot(NamedTuple):
    """One place in a file.

    Attributes:
        line: The line, counted from 1, of the key; of an element of a list, of its value.
        column: The column, counted from 1.
        start: Where the value begins in the text; of a table, where its header does.
        end: Where it ends; of a table, where its header does.
    """

    line: int
    column: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def positions(text: str) -> Mapping[Path, Spot]:
    """Return where everything in a text is written. The text must be TOML."""
    return _Walk(text).found


def nearest(spots: Mapping[Path, Spot], path: Path) -> Spot | None:
    """Return where `path` is written, or the nearest thing around it that is; None where nothing is."""
    for length in range(len(path), 0, -1):
        if (spot := spots.get(path[:length])) is not None:
            return spot
    return None


class _Walk:
    """One walk over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, Spot] = {}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        self._skip(_GAP)
        while self.at < len(text):
            if text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _header(self) -> Path:
        begin = self.at
        is_element = self.text.startswith("[[", begin)
        self.at += 2 if is_element else 1
        keys = self._keys()
        self.at += 2 if is_element else 1
        path: Path = ()
        for number, key in enumerate(keys, start=1):
            path = (*path, key)
            if is_element and number == len(keys):
                self._counts[path] = self._counts.get(path, -1) + 1
                self.found.setdefault(path, self._spot(begin, begin, self.at))
            if path in self._counts:
                path = (*path, self._counts[path])
        self.found[path] = self._spot(begin, begin, self.at)
        return path

    def _pair(self, table: Path) -> None:
        key_at = self.at
        path = (*table, *self._keys())
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        begin = self.at
        self._value(path)
        for length in range(len(table) + 1, len(path)):
            self.found.setdefault(path[:length], self._spot(key_at, begin, self.at))
        self.found[path] = self._spot(key_at, begin, self.at)

    def _value(self, path: Path) -> None:
        if self.text[self.at] == "[":
            self._elements(path)
        elif self.text[self.at] == "{":
            self._members(path)
        else:
            found = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            if found is not None:
                self.at += len(found[0].rstrip(" \t"))

    def _elements(self, path: Path) -> None:
        self.at += 1
        number = 0
        while not self._closed("]"):
            begin = self.at
            self._value((*path, number))
            self.found[*path, number] = self._spot(begin, begin, self.at)
            number += 1

    def _members(self, path: Path) -> None:
        self.at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Pass over what stands between two members, and tell whether the bracket came."""
        self._skip(_GAP)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_GAP)
        if self.text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _keys(self) -> list[str]:
        """Read a key, dotted or not, and stop at what comes after it."""
        keys = []
        while True:
            self._skip(_BLANK)
            if (bare := _BARE_KEY.match(self.text, self.at)) is not None:
                keys.append(bare[0])
                self.at = bare.end()
            elif (quoted := _STRING.match(self.text, self.at)) is not None:
                keys.append(str(tomllib.loads(f"k = {quoted[0]}")["k"]))
                self.at = quoted.end()
            self._skip(_BLANK)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _skip(self, what: re.Pattern[str]) -> None:
        if (found := what.match(self.text, self.at)) is not None:
            self.at = found.end()

    def _spot(self, begin: int, start: int, end: int) -> Spot:
        line_start = self.text.rfind("\n", 0, begin) + 1
        return Spot(self.text.count("\n", 0, begin) + 1, begin - line_start + 1, start, end)

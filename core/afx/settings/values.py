"""From what stands in a file, in the environment or in an option to the value of a setting, or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class UnfitError(ValueError):
    """A value that cannot be used. Its text says what was expected, and goes on after "must be"."""


def key_code(key: str) -> int:
    """Return the character that a key named ``ctrl-X`` stands for without Ctrl; 0 where it names none."""
    character = key[5:].lower()
    known = len(character) == 1 and character in r"abcdefghijklmnopqrstuvwxyz[\]^_"
    return ord(character) if known and key[:5].lower() == "ctrl-" else 0


def _whole(least: int, most: int) -> Callable[[object, Path], int]:
    """Return what reads a whole number from `least` to `most`."""

    def read(given: object, _: Path) -> int:
        number = _whole_number(given) if isinstance(given, str) else given
        if type(number) is not int or not least <= number <= most:
            raise UnfitError(f"a number from {least} to {most}")
        return number

    return read


def _positive(most: float, expected: str) -> Callable[[object, Path], float]:
    """Return what reads a number that is more than 0 and at most `most`, which is what is `expected`."""

    def read(given: object, _: Path) -> float:
        number = 0.0
        if isinstance(given, (int, float, str)) and not isinstance(given, bool):
            with suppress(ValueError):
                number = float(given)
        if not 0 < number <= most:
            raise UnfitError(expected)
        return number

    return read


def _switch(given: object, _: Path) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in _SWITCHES:
        return _SWITCHES[given.lower()]
    raise UnfitError("true or false")


def _size(given: object, _: Path) -> int:
    number = given
    if isinstance(given, str):
        text = given.strip()
        digits = text.rstrip("BbIiGgKkMm")
        unit, count = _UNITS.get(text[len(digits) :].upper()), _whole_number(digits.strip())
        number = None if unit is None or count is None else unit * count
    if type(number) is not int or not 4096 <= number <= 2**30:
        raise UnfitError('a number of bytes from 4096 to 1 GiB, or such as "4MiB"')
    return number


def _text(given: object, _: Path) -> str:
    if not isinstance(given, str) or not given.isprintable():
        raise UnfitError("a text of one line")
    return given


def _word(given: object, _: Path) -> str:
    if not isinstance(given, str) or given.strip("abcdefghijklmnopqrstuvwxyz0123456789-_"):
        raise UnfitError("a name of lower-case letters, digits and dashes")
    return given


def _path(given: object, directory: Path) -> str:
    text = _text(given, directory)
    return str(directory / Path(text).expanduser()) if text else ""


def _names(given: object, _: Path) -> list[str]:
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnfitError("a list of names")
    return [name.strip() for name in names if name.strip()]


def _keys(given: object, _: Path) -> str:
    keys = given.split() if isinstance(given, str) else []
    if not 1 <= len(keys) <= 2 or not all(key_code(key) for key in keys):
        raise UnfitError(r"one or two keys such as 'ctrl-]' or 'ctrl-\ ctrl-\'")
    return " ".join(keys)


def _asking(given: object, _: Path) -> str:
    if given not in {"ask", "auto"}:
        raise UnfitError('"ask" or "auto"')
    return str(given)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

READERS: Mapping[str, Callable[[object, Path], object]] = {
    "port": _whole(0, 65535),
    "seconds": _positive(3600, "a number of seconds, more than 0 and at most 3600"),
    "size": _size,
    "text": _text,
    "word": _word,
    "path": _path,
    "names": _names,
    "keys": _keys,
    "days": _positive(36500, "a number of days, more than 0"),
    "count": _whole(1, 64),
    "switch": _switch,
    "asking": _asking,
    "ratio": _positive(1000, "a number, more than 0 and at most 1000"),
}
"""What reads each kind of value. The path is the directory that relative paths in the value start from."""

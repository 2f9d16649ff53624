"""How commands print: JSON for programs, aligned words for people, and nothing that could move the cursor."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from afx import __version__

_F = TypeVar("_F", bound=Callable[..., Any])
_COLOURS = {
    "running": "green",
    "active": "green",
    "eligible": "green",
    "exited": "blue",
    "crashed": "red",
    "lost": "red",
    "broken": "red",
    "unreachable": "yellow",
    "needs-attention": "yellow",
    "incompatible": "yellow",
}


def json_option(command: _F) -> _F:
    """Give a command the option ``--json``, which it gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def print_json(data: object) -> None:
    """Print data as JSON, indented."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def counted(number: int, word: str) -> str:
    """Return how many of something there are, as ``no errors``, ``1 error`` or ``2 errors``."""
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def print_notes(notes: Sequence[str]) -> None:
    """Print what the Tower remarks, beside the output proper."""
    for note in notes:
        click.echo(plain(note), err=True)


def print_other_version(running: str) -> None:
    """Say where the running Tower is of another version than this afx, and how to change that."""
    if running != __version__:
        click.echo(f"Installed is afx {__version__}; `afx tower restart` starts that. Terminals live on.")


def print_table(
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = (),
    indent: int = 0,
    color_of: int | None = None,
) -> None:
    """Print rows in aligned columns.

    Args:
        rows: The cells.
        header: What each column holds.
        indent: How many spaces stand before each row.
        color_of: The column whose word is a state, and is coloured as one.
    """
    rows = [header, *rows] if header else rows
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        while padded and not padded[-1].strip():
            padded.pop()
        if padded:
            padded[-1] = padded[-1].rstrip()
        if color_of is not None and color_of < len(padded):
            padded[color_of] = click.style(padded[color_of], fg=_COLOURS.get(row[color_of]))
        click.echo(" " * indent + "  ".join(padded))


def plain(text: str) -> str:
    """Return text in one line, without control characters: names and tasks come from anybody."""
    return "".join(character if character.isprintable() else " " for character in text)


def shorten(text: str, width: int) -> str:
    """Return text cut to a width."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def duration(seconds: float) -> str:
    """Say how long something took or lasts, roughly: ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, int(seconds / unit))} {name}"
    return f"{int(seconds / 86400)} d"


def byte_count(size: int) -> str:
    """Say how long something is, roughly: ``820 B``, ``14 kB``, ``3 MB``."""
    for limit, unit, name in ((1000, 1, "B"), (10**6, 10**3, "kB"), (10**9, 10**6, "MB")):
        if size < limit:
            return f"{size // unit} {name}"
    return f"{size // 10**9} GB"

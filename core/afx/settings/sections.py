"""What must hold of the sections that plugins own, whatever stands in them: tables, and with names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from afx.sections import is_name

from .table import SETTINGS

KINDS = ("harness", "storage", "strategy")
"""The tables whose tables are plugins' sections, such as ``[harness.foo]``."""


class Misplaced(NamedTuple):
    """Something in a file that is no section, and would be passed over in silence.

    Attributes:
        path: The keys that lead to it.
        message: A sentence about it, without the full stop.
        hint: What to write instead.
    """

    path: tuple[str, ...]
    message: str
    hint: str


def misplaced(tree: Mapping[str, Any]) -> Iterator[Misplaced]:
    """Yield what stands in a file where sections of plugins do and is none."""
    for key, value in tree.items():
        kind, dot, _ = key.partition(".")
        if kind not in KINDS or key in SETTINGS:
            continue
        if dot:
            yield Misplaced((key,), f"{key!r} in quotes is one word, and no section", f"Write [{key}].")
        elif not isinstance(value, dict):
            yield _no_table((kind,), value)
        else:
            yield from _misplaced_in(kind, value)


def _misplaced_in(kind: str, table: Mapping[str, Any]) -> Iterator[Misplaced]:
    """Yield what stands among the sections of one kind and is none."""
    for name, section in table.items():
        if f"{kind}.{name}" in SETTINGS:
            continue
        yield from _misnamed(kind, name)
        if not isinstance(section, dict):
            yield _no_table((kind, name), section)


def _no_table(path: tuple[str, ...], value: object) -> Misplaced:
    kind = path[0]
    return Misplaced(
        path,
        f"{'.'.join(path)} is {_shown(value)}, and must be a table",
        f"Each {kind} has a section of its own: [{kind}.NAME].",
    )


def _misnamed(kind: str, name: str) -> Iterator[Misplaced]:
    if is_name(name):
        return
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    yield Misplaced(
        (kind, name),
        f"{name!r} cannot be the name of a {kind}, and must be of lower-case letters, digits and dashes",
        f"Write [{kind}.{near}]." if is_name(near) else "",
    )


def _shown(value: object) -> str:
    return "a list" if isinstance(value, list) else repr(value)

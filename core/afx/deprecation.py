"""What of the public face is to go, and which plugins still use it.

What stands in `DEPRECATED` works as before. Whoever uses it gets a warning that names the plugin: in the log,
in `afx plugins` and in `afx doctor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias


class Hook(NamedTuple):
    """A hook, or (with an `argument`) that argument of it."""

    name: str
    instead: str
    argument: str = ""


class Attribute(NamedTuple):
    """An attribute or a method of a class that plugins subclass, by the name of that class."""

    base: str
    name: str
    instead: str


Deprecated: TypeAlias = Hook | Attribute

DEPRECATED: tuple[Deprecated, ...] = ()
"""All that is to go. `instead` is a sentence about what takes its place."""


def of_hooks(used: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a warning for each deprecated thing among the hooks that a plugin implements, with arguments."""
    for one in DEPRECATED:
        if isinstance(one, Hook) and one.name in used:
            if not one.argument:
                yield f"It uses the hook {one.name}, which is to go. {one.instead}"
            elif one.argument in used[one.name]:
                yield f"It uses the argument {one.argument!r} of {one.name}, which is to go. {one.instead}"


def of_class(made: type[object]) -> Iterator[str]:
    """Yield a warning for each deprecated attribute that a plugin's class has of its own."""
    mro = made.__mro__
    for one in DEPRECATED:
        if not isinstance(one, Attribute):
            continue
        base = next((at for at, cls in enumerate(mro) if cls.__name__ == one.base), 0)
        if any(one.name in vars(cls) for cls in mro[:base]):
            yield f"Its class {made.__name__} has {one.name}, which is to go. {one.instead}"

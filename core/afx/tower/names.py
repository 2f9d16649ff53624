"""Names that come from outside: which can safely be those of workspaces, agents and branches."""

from __future__ import annotations

import os
import re

from afx.api.errors import BadInputError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
# What git allows nowhere in the name of a branch.
_NOT_IN_A_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def check_name(name: str, what: str) -> str:
    """Return `name` where it can safely be part of paths, branches and labels.

    Args:
        name: What came from outside.
        what: What it is the name of, such as "agent", for the sentence.

    Raises:
        BadInputError: It cannot.
    """
    if _NAME.fullmatch(name) and ".." not in name and not name.endswith((".lock", ".")):
        return name
    raise BadInputError(
        f"{_shortened(name)} cannot be the name of {with_article(what)}.",
        hint="Use 1 to 64 letters, digits, dots, dashes and underscores; begin with a letter, digit or "
        "underscore; as in a branch, no `..` and no `.` or `.lock` at the end.",
    )


def check_branch(name: str) -> str:
    """Return `name` where git takes it as the name of a branch.

    Raises:
        BadInputError: It does not.
    """
    parts = name.split("/")
    if (
        not _NOT_IN_A_BRANCH.search(name)
        and not name.startswith("-")
        and name not in {"@", "HEAD"}
        and all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
        and not name.endswith(".")
        # Each part is a file or a directory for git, and few file systems take longer names.
        and all(len(os.fsencode(part)) <= 200 for part in parts)
        and len(name) <= 1000
    ):
        return name
    raise BadInputError(
        f"{_shortened(name)} cannot be the name of a branch.",
        hint="`git help check-ref-format` has the rules.",
    )


def with_article(noun: str) -> str:
    """Return a noun with the article that its first letter wants."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")

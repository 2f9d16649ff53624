"""What the screen of Codex says: does the agent work or wait for the person, and would it take a message?

What was said above may quote anything, so only the lower part of the screen counts. The layouts are those of
0.169 and 0.142.
"""

from __future__ import annotations

import re

from afx.plugin import Doing

_LOWER_ROWS = 12
# What was said begins like the input line, which is near the bottom.
_LOWEST_ROWS = 6
_WORKS = re.compile(r"esc to interrupt\)")
# A question has a list of numbered answers, of which an angle marks one, or says how to choose.
_ASKS = re.compile(
    r"Would you like to (?:run|make|grant|send)"
    r"|enter (?:to )?(?:confirm|submit|continue|select)\b"
    r"|^\s*[\u203a>] \d+\. ",
    re.IGNORECASE | re.MULTILINE,
)
# Its input line begins with a single angle quotation mark.
_FIELD = re.compile(r"\s*\u203a ")


def doing(screen: str) -> Doing:
    """Say what the agent does: questions come first, since work may still be shown above them."""
    lower = _lower(screen)
    if _ASKS.search(lower):
        return Doing.WAITING
    if _WORKS.search(lower):
        return Doing.WORKING
    return Doing.WAITING if _has_field(lower) else Doing.UNKNOWN


def takes_messages(screen: str) -> bool | None:
    """Tell whether what is typed now reaches the program as a message; None where that is not known."""
    lower = _lower(screen)
    if _ASKS.search(lower):
        return False
    return True if _has_field(lower) else None


def _has_field(lower: str) -> bool:
    return any(_FIELD.match(row) for row in lower.splitlines()[-_LOWEST_ROWS:])


def _lower(screen: str) -> str:
    return "\n".join([row for row in screen.splitlines() if row.strip()][-_LOWER_ROWS:])

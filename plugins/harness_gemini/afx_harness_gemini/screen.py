"""What the screen of Gemini CLI says: does the agent work or wait for the person, does it take messages?

What was said above may quote anything, so only the lower part of the screen counts. The layouts are those of
0.61 and 0.47.
"""

from __future__ import annotations

import re

from afx.plugin import Doing

_LOWER_ROWS = 16
# A question has a list of answers, of which a dot or an arrow marks one, or says how to choose.
_ASKS = re.compile(
    r"Waiting for user confirmation|Action Required|Allow execution|Apply this change\?|Do you (?:trust|want)"
    r"|\(Use Enter to select|Enter to (?:select|submit|confirm)|^[\s│]*[●>\u276f\u203a]\s*\d+\.\s",
    re.MULTILINE,
)
_WORKS = re.compile(r"\(esc to cancel")
_IDLE = re.compile(r"Type your message")
# The input field, between two bars; with an exclamation mark it is a shell's.
_FIELD = re.compile(r"^\s*▄{10,}\n\s*[>*] ", re.MULTILINE)
# What was said before stands between bars, too, but not so low.
_LAST_FIELD = re.compile(r"▄{10,}\n\s*[>*] +([^▄▀]*)▀{10,}(?:\n[^▄▀\n]*){0,3}\Z")


def doing(screen: str) -> Doing:
    """Say what the agent does: questions come first, since work may still be shown above them."""
    lower = _lower(screen)
    if _ASKS.search(lower):
        return Doing.WAITING
    if _WORKS.search(lower):
        return Doing.WORKING
    return Doing.WAITING if _has_field(lower) else Doing.UNKNOWN


def takes_messages(screen: str) -> bool | None:
    """Tell whether what is typed now reaches the program as a message; None where that is not known.

    While the program comes up, which takes seconds, nothing of its own is on the screen, and what is typed
    is lost.
    """
    lower = _lower(screen)
    if _ASKS.search(lower):
        return False
    return True if _has_field(lower) else None


def shows_draft(screen: str) -> bool:
    """Tell whether the input field holds text. An empty one shows what could be written there."""
    lower = _lower(screen)
    field = _LAST_FIELD.search(lower)
    return field is not None and not _IDLE.match(field[1]) and not _ASKS.search(lower)


def _lower(screen: str) -> str:
    return "\n".join([row for row in screen.splitlines() if row.strip()][-_LOWER_ROWS:])


def _has_field(lower: str) -> bool:
    return bool(_IDLE.search(lower) or _FIELD.search(lower))

"""What the screen of Claude Code says of the agent: does it work, or wait for the person?

Only the lower part of the screen is looked at, since what was said above may quote anything. The layouts are
those of 2.1.329 and 2.1.197.
"""

from __future__ import annotations

import re

from afx.plugin import Doing

_RULE = re.compile(r"─{10,}")
_PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
# Such as "✻ Sketching… (1s · ↓ 10 tokens)". What it says once it is done has no ellipsis.
_SPINNER = re.compile(r"[·✢✳✶✻✽*] \S.*…")
_INTERRUPT = "esc to interrupt"
# A dialog ends in a row of hints such as "Enter to confirm · Esc to cancel".
_HINT = re.compile(r"esc to (?:cancel|exit|close|go back)|enter to \w+", re.IGNORECASE)
_NEAR = 8


def doing(screen: str) -> Doing:
    """Say what the agent does, from the rows of its screen."""
    rows = _rows(screen)
    field = _field(rows)
    if field is not None:
        above, below = rows[: field[0]], rows[field[1] + 1 :]
        works = any(_INTERRUPT in row for row in below) or _spins(above)
        return Doing.WORKING if works else Doing.WAITING
    if has_dialog(screen):
        return Doing.WAITING
    return Doing.WORKING if _spins(rows) else Doing.UNKNOWN


def has_dialog(screen: str) -> bool:
    """Tell whether a question is shown in the place of the input field."""
    rows = _rows(screen)
    hints = (hint.strip() for row in rows[-2:] for hint in row.split("·"))
    return _field(rows) is None and any(_HINT.match(hint) for hint in hints)


def _rows(screen: str) -> list[str]:
    return [row.rstrip() for row in screen.splitlines() if row.strip()]


def _field(rows: list[str]) -> tuple[int, int] | None:
    """Return which rows are the rules above and below the input field; None where there is no field."""
    rules = [at for at, row in enumerate(rows) if _RULE.fullmatch(row.strip())]
    if len(rules) > 1 and rows[rules[-2] + 1].lstrip().startswith(_PROMPT):
        return rules[-2], rules[-1]
    return None


def _spins(rows: list[str]) -> bool:
    return any(_SPINNER.match(row) for row in rows[-_NEAR:])

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
    rows = [row.rstrip() for row in screen.splitlines() if row.strip()]
    rules = [at for at, row in enumerate(rows) if _RULE.fullmatch(row.strip())]
    if len(rules) > 1 and rows[rules[-2] + 1].lstrip().startswith(_PROMPT):
        above, below = rows[: rules[-2]], rows[rules[-1] + 1 :]
        works = any(_INTERRUPT in row for row in below) or _spins(above)
        return Doing.WORKING if works else Doing.WAITING
    if any(_HINT.match(hint.strip()) for row in rows[-2:] for hint in row.split("·")):
        return Doing.WAITING
    return Doing.WORKING if _spins(rows) else Doing.UNKNOWN


def _spins(rows: list[str]) -> bool:
    return any(_SPINNER.match(row) for row in rows[-_NEAR:])

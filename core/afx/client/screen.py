"""What is written to a person's terminal beside a remote program's own output, and when that may be done."""

from __future__ import annotations

import re

CLEAR = b"\x1b[m\x1b[H\x1b[2J"
"""Makes room for a replay. What scrolled off the person's screen before stays."""

LEAVE = (
    # What the remote program may have asked the terminal to report: mouse, focus, pasted text, single keys.
    # The keyboard flags of the kitty protocol belong to a screen; those of the alternate one go first.
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2004l"
    b"\x1b[>4m\x1b[<99u"
    # Leaving the alternate screen restores the cursor, also where that screen was never entered, so it is
    # saved first. The scroll region and the origin mode send the cursor home, hence the second pair.
    b"\x1b7\x1b[?1049l\x1b[<99u\x1b7\x1b[?6l\x1b[r\x1b8"
    # How text is written: synchronised updates, inserting, wrapping, cursor and pad keys, characters, links.
    b"\x1b[?2026l\x1b[4l\x1b[?7h\x1b[?1l\x1b>\x1b(B\x0f\x1b]8;;\x1b\\\x1b[m\x1b[?25h\x1b[0 q"
)
"""Undoes what a remote program may have done to the terminal, whether or not it did."""

WAITING = b"\x1b[22;2t\x1b]2;afx: waiting for the Tower\x07"
"""Keeps the terminal's title and puts another in its place. The screen itself belongs to the program."""

BACK = b"\x1b[23;2t"
"""Brings the title back."""

BELL = b"\a"

MARGIN = 4096
"""How many of the last bytes `at_rest` wants to see. Longer control strings are not recognised."""

_UNFINISHED = re.compile(
    rb"(?:\x1b(?:[ -/]*|\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z"
)


def at_rest(tail: bytes) -> bool:
    """Tell whether output that ends in `tail` ends between two characters or sequences, not within one.

    Only there something can be put in between without spoiling what comes next.
    """
    return _UNFINISHED.search(tail) is None


def notice(sentence: str) -> bytes:
    """Return a line of ours for a screen whose program has ended, in the manner of the Tower's own."""
    return f"\r\n\x1b[0m\x1b[7m afx \x1b[0m {sentence}\r\n".encode()

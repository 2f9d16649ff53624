"""Has a program worked on what was typed into it? Its screen tells, sooner or later."""

from __future__ import annotations

import re

_CONTROL_SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
# Enough to be met by chance seldom, and short enough for the field of a narrow terminal.
_LAST_CHARACTERS = 16
# Claude Code, Codex, Gemini CLI and OpenCode show a long paste as "[Pasted ...]", and count its lines.
_PASTE = "Pasted"


def echoes(typed: bytes, screen: str) -> int:
    """Count the places where a screen shows the end of what was typed, or that something was pasted.

    Once there are more than before the typing, the program has read it. Only letters and digits are
    compared: programs break lines where they like, and draw frames around them.
    """
    text = _letters(_CONTROL_SEQUENCE.sub(b"", typed).decode("utf-8", "replace"))
    on_screen = _letters(screen)
    end = text[-_LAST_CHARACTERS:]
    return on_screen.count(_PASTE) + (on_screen.count(end) if end else 0)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))

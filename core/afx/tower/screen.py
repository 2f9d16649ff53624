"""What a terminal shows, as text, from the last of its output: for judging, not for showing.

The emulator is pyte, and this is the only module that knows it. Of two faster ones that were tried, one ends
the process on some output, and neither has wheels for every Python and system that afx runs on.
"""

from __future__ import annotations

import re

from afx.api.model import Size

# What an emulator that only tells text need not see, and pyte would in part take for text: strings for the
# terminal itself, colours, private modes, character sets.
_NO_TEXT = re.compile(
    rb"\x1b[PX^_][^\x1b]*(?:\x1b\\)?"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    rb"|\x1b\[[0-?]*[ -/]+[@-~]"
    rb"|\x1b\[[<=>?][0-?]*[@-~]"
    rb"|\x1b\[[0-?]*[mhlntcq]"
    rb"|\x1b[ -/]+[0-~]"
    rb"|\x1b[=>]"
)
_OTHER_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)[hl]")
_CLEARED = b"\x1b[H\x1b[2J"
_SAVE, _RESTORE = (b"\x1b[s", b"\x1b7"), (b"\x1b[u", b"\x1b8")


def shown(output: bytes, size: Size) -> str:
    """Return the rows that a terminal of this size shows after `output`, without the blanks at their ends.

    What was on it before `output` is not known, and counts as blank. Colours, titles and modes are passed
    over.
    """
    import pyte  # Only now: a Tower is ready sooner, and this runs in a thread.

    screen = pyte.Screen(size.cols, size.rows)
    stream = pyte.ByteStream(screen)
    output = _NO_TEXT.sub(b"", _OTHER_SCREEN.sub(_CLEARED, output))
    output = output.replace(*_SAVE).replace(*_RESTORE)
    try:
        stream.feed(output)
    except Exception:  # noqa: BLE001 - pyte is not made for hostile output, and nothing depends on this
        return ""
    return "\n".join(row.rstrip() for row in screen.display)

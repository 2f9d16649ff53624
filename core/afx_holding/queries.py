"""Takes the questions to the terminal out of output that is shown again.

Programs ask their terminal for its type, its colours, the place of the cursor. Somebody answered when the
output was new. A terminal that is shown it later would answer again, and the program would read the answer
as typed input. Questions are overwritten with NUL, which terminals ignore, so that all offsets stay.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 4096
"""No question is longer than this."""

_END: Final = rb"(?:\x07|\x1b\\)"
_QUESTION: Final = re.compile(
    rb"\x1b(?:"
    rb"\[(?:"
    rb"[>=]?[0-9]*c"  # device attributes: DA1, DA2, DA3
    rb"|\??[0-9;]*n"  # status and cursor position: DSR, DECXCPR
    rb"|\??[0-9]+\$p"  # modes: DECRQM
    rb"|[01]?x"  # DECREQTPARM
    rb"|>[0-9]*q"  # XTVERSION
    rb"|(?:1[1345689]|2[01])(?:;[0-9]*)*t"  # sizes and titles: XTWINOPS
    rb"|\?u"  # the kitty keyboard's state
    rb"|\?[0-9;]*m"  # modifier keys: XTQMODKEYS
    rb"|\?[0-9;]*S"  # graphics: XTSMGRAPHICS
    rb"|[0-9;]*\*y"  # checksum: DECRQCRA
    rb"|[0-9]*\$w"  # DECRQPSR
    rb"|&u"  # DECRQUPSS
    rb")"
    rb"|Z"  # DECID
    rb"|P[+$]q[^\x1b]{0,1024}\x1b\\"  # XTGETTCAP, DECRQSS
    rb"|\](?:4|5|1[0-9]|22|50|52);(?:[^\x07\x1b;]{0,256};){0,8}\?(?:;[^\x07\x1b]{0,1024})?" + _END +
    rb"|\]21;[^\x07\x1b]{0,1024}=\?[^\x07\x1b]{0,1024}" + _END +  # kitty's colours
    rb"|\]1337;Report[^\x07\x1b]{0,256}" + _END +  # iTerm2
    # Above: OSC 4 and its like, colours, pointer, font, clipboard.
    rb"|_G[^\x07\x1b]{0,256}a=q[^\x1b]{0,1024}\x1b\\"  # kitty graphics
    rb")"
)  # fmt: skip


def without_questions(output: bytes) -> bytes:
    """Return `output` with NUL in place of every byte of a question; the length stays.

    `output` has to end where no question is cut in two, see `whole_questions`.
    """
    if b"\x1b" in output:
        output = _QUESTION.sub(_blank, output)
    return output.replace(b"\x05", b"\x00")  # ENQ, the oldest question


def whole_questions(output: bytes) -> int:
    """Return the length of the longest beginning of `output` that cuts no question in two.

    It is never 0 for output longer than `LONGEST`.
    """
    last = output.rfind(b"\x1b", max(0, len(output) - LONGEST))
    if last < 0:
        return len(output)
    after = output[last + 1 : last + 2]
    if after == b"\\":
        return len(output)  # The end of a string, and nothing has begun since.
    if not after:
        # This may become the end of a question that began before.
        before = output.rfind(b"\x1b", max(0, len(output) - LONGEST), last)
        if before > 0 and output[before + 1 : before + 2] != b"\\":
            last = before
    return last if last > 0 else len(output)


def _blank(question: re.Match[bytes]) -> bytes:
    return bytes(len(question.group()))

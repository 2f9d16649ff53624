"""Where a stream of terminal output may be cut so that a terminal can begin to read there.

A cut never falls inside a UTF-8 character. It does not fall inside an escape sequence or a control string
either; only where a string is too long to be kept whole does it, and then the cut says how a terminal is
made to swallow the rest of the string. Knows nothing of what the sequences mean.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ESC: Final = 0x1B
_LONGEST_KEPT: Final = 4096
"""A sequence that began at most this many bytes before the wanted place is kept whole."""
_LINE_WITHIN: Final = 1024
"""If a line ends at most this many bytes after the wanted place, the cut is there: it looks better."""

_SWALLOW_OSC: Final = b"\x1b]999;"
_SWALLOW_STRING: Final = b"\x1b_"

# What ends a sequence, by the byte after its ESC. CAN and SUB end every sequence, and so does the next ESC,
# which is why only the last ESC before a place has to be looked at. BEL ends an OSC and no other string.
_END_OF_CSI: Final = re.compile(rb"[\x18\x1a\x40-\x7e]")
_END_OF_OSC: Final = re.compile(rb"[\x07\x18\x1a]")
_END_OF_STRING: Final = re.compile(rb"[\x18\x1a]")
_END_OF_CHOICE: Final = re.compile(rb"[\x18\x1a\x30-\x7e]")


class Cut(NamedTuple):
    """A place to begin at, as an index, and what a terminal has to be sent before.

    `swallow` is empty but where the bytes after the cut still belong to a string; then it opens a string
    of the same kind that terminals ignore.
    """

    at: int
    swallow: bytes = b""


def safe_cut(buffer: bytes | bytearray, end: int, wanted: int, swallow: bytes = b"") -> Cut:
    """Return a cut at about `wanted`: at most a sequence earlier, or up to the end of the line later.

    Args:
        buffer: Output that begins at a cut, and more.
        end: Where the output ends in it.
        wanted: An index from 0 to `end`.
        swallow: The `swallow` of the cut that `buffer` begins at.
    """
    unfinished = _unfinished_sequence(buffer, wanted, swallow)
    if unfinished is not None:
        begin, opening = unfinished
        if wanted - begin <= _LONGEST_KEPT:
            return Cut(begin, swallow if begin == 0 else b"")
        if opening:
            return Cut(_character_start(buffer, wanted), opening)
    line_end = buffer.find(b"\n", wanted, min(wanted + _LINE_WITHIN, end))
    if line_end >= 0 and buffer.find(b"\x1b", wanted, line_end) < 0 and unfinished is None:
        return Cut(line_end + 1)
    return Cut(_character_start(buffer, wanted))


def _unfinished_sequence(buffer: bytes | bytearray, at: int, swallow: bytes) -> tuple[int, bytes] | None:
    """Return where the sequence begins that is unfinished at `at`, and what opens one like it.

    The opening is empty for a sequence that is no string. None: no sequence is unfinished there.
    """
    last = buffer.rfind(b"\x1b", 0, at)
    if last < 0:
        if swallow and not _ending(swallow).search(buffer, 0, at):
            return 0, swallow
        return None
    begin = last
    while begin > 0 and buffer[begin - 1] == _ESC:
        begin -= 1
    if begin == 0 and swallow:
        # The string that was cut ends here at the latest, perhaps by this very ESC and a backslash.
        begin = last
    kind = buffer[last + 1 : last + 2] if last + 1 < at else b""
    if not kind:
        # This may be half of the ESC backslash that ends a string.
        around = _unfinished_sequence(buffer, begin, swallow)
        return around if around is not None and around[1] else (begin, b"")
    if kind == b"[":
        ending, opening = _END_OF_CSI, b""
    elif kind == b"]":
        ending, opening = _END_OF_OSC, _SWALLOW_OSC
    elif kind in b"PX^_":
        ending, opening = _END_OF_STRING, _SWALLOW_STRING
    elif b" " <= kind <= b"/":
        ending, opening = _END_OF_CHOICE, b""
    else:
        return None
    return None if ending.search(buffer, last + 2, at) else (begin, opening)


def _ending(swallow: bytes) -> re.Pattern[bytes]:
    return _END_OF_OSC if swallow == _SWALLOW_OSC else _END_OF_STRING


def _character_start(buffer: bytes | bytearray, at: int) -> int:
    """Return the start of the UTF-8 character that `at` is inside of, or else `at`."""
    for back in range(1, min(4, at + 1)):
        byte = buffer[at - back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return at - back if length > back else at
        if byte < 0x80:
            break
    return at

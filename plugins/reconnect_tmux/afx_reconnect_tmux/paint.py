"""What a pane shows, as the bytes that make another terminal show the same.

Needed where the output before is not known: when a session is adopted, or the recorder was killed. tmux
says what stands in each cell, where the cursor is, and which modes are on. Pure; so are the questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FIELDS = (
    "pane_height", "history_size", "alternate_on", "alternate_saved_x", "alternate_saved_y", "cursor_x",
    "cursor_y", "cursor_flag", "insert_flag", "keypad_cursor_flag", "keypad_flag", "origin_flag", "wrap_flag",
    "mouse_standard_flag", "mouse_button_flag", "mouse_all_flag", "mouse_sgr_flag", "mouse_utf8_flag",
    "scroll_region_upper", "scroll_region_lower", "bracket_paste_flag", "pane_title",
)  # fmt: skip
_MODES = {
    "keypad_cursor_flag": b"\x1b[?1h",
    "keypad_flag": b"\x1b=",
    "insert_flag": b"\x1b[4h",
    "mouse_standard_flag": b"\x1b[?1000h",
    "mouse_button_flag": b"\x1b[?1002h",
    "mouse_all_flag": b"\x1b[?1003h",
    "mouse_utf8_flag": b"\x1b[?1005h",
    "mouse_sgr_flag": b"\x1b[?1006h",
    "bracket_paste_flag": b"\x1b[?2004h",
}
_MOST_LINES = 5000
_MOST_HISTORY = 700_000
_LINE_DRAWING_AT_HAND = b"\x1b)0"
_PLAIN_AGAIN = b"\x0f\x1b)B\x1b[m"


def questions(pane: str, mark: str) -> list[list[str]]:
    """Return the commands whose output `paint` reads. tmux carries them out with no output in between."""
    capture = ["capture-pane", "-p", "-e", "-N", "-q", "-t", pane]
    between = ["display-message", "-p", mark]
    return [
        ["display-message", "-p", "-t", pane, "\t".join(f"#{{{field}}}" for field in _FIELDS)],
        between,
        [*capture, "-S", f"-{_MOST_LINES}", "-E", "-1"],
        between,
        capture,
        between,
        [*capture, "-a"],
    ]


def paint(answer: str, mark: str) -> bytes:
    """Return what makes an empty terminal of the pane's size show what tmux said that the pane shows."""
    said, history, screen, below = (part.splitlines() for part in answer.split(f"{mark}\n", 3))
    facts = dict(zip(_FIELDS, said[0].split("\t", len(_FIELDS) - 1), strict=True))
    rows = int(facts["pane_height"])
    parts = [_LINE_DRAWING_AT_HAND]
    if facts["history_size"] != "0":
        parts += [line + b"\r\n" for line in _newest(history)]
    if facts["alternate_on"] == "1":
        parts += [_screen(below, rows), _at(facts["alternate_saved_y"], facts["alternate_saved_x"])]
        parts += [_PLAIN_AGAIN, b"\x1b[?1049h", _LINE_DRAWING_AT_HAND, b"\x1b[H"]
    parts += [_screen(screen, rows), _PLAIN_AGAIN, _modes(facts, rows)]
    return b"".join(parts)


def _newest(lines: Sequence[str]) -> list[bytes]:
    """Return the last lines that are not too much in all."""
    kept: list[bytes] = []
    left = _MOST_HISTORY
    for line in reversed(lines):
        encoded = line.encode("utf-8", "replace")
        left -= len(encoded) + 2
        if left < 0:
            break
        kept.append(encoded)
    return kept[::-1]


def _screen(lines: Sequence[str], rows: int) -> bytes:
    """Return what fills all rows, beginning in the first column of a row from which on all are empty."""
    padded = [*lines[:rows], *([""] * (rows - len(lines)))]
    return "\r\n".join(padded).encode("utf-8", "replace")


def _modes(facts: Mapping[str, str], rows: int) -> bytes:
    parts = [sequence for name, sequence in _MODES.items() if facts[name] == "1"]
    upper, lower = int(facts["scroll_region_upper"]), int(facts["scroll_region_lower"])
    row = int(facts["cursor_y"])
    if (upper, lower) != (0, rows - 1):
        parts.append(b"\x1b[%d;%dr" % (upper + 1, lower + 1))
    if facts["origin_flag"] == "1":
        parts.append(b"\x1b[?6h")
        row -= upper
    if facts["wrap_flag"] == "0":
        parts.append(b"\x1b[?7l")
    if facts["cursor_flag"] == "0":
        parts.append(b"\x1b[?25l")
    title = "".join(char for char in facts["pane_title"] if char.isprintable())
    parts.append(b"\x1b]2;%s\x1b\\" % title.encode("utf-8", "replace"))
    parts.append(_at(str(row), facts["cursor_x"]))
    return b"".join(parts)


def _at(row: str, column: str) -> bytes:
    return b"\x1b[%d;%dH" % (int(row) + 1, int(column) + 1) if row.isdigit() and column.isdigit() else b""

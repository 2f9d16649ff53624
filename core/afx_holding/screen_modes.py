"""Which modes a terminal is in after some output, and the bytes that put another terminal in the same.

Only what decides how later output looks, or how keys and the mouse are reported, is kept: not the cells, not
the cursor's place. Fed with whole sequences only (see `safe_cut`), at a speed that an ESC every few bytes
does not ruin: one compiled pattern, which passes over the frequent colour sequences.
"""

from __future__ import annotations

import re
from typing import Final

_NO_COLOUR_OR_MOVE: Final = re.compile(rb"\x1b[\[0-9;:]*+[^\[0-9;:A-Z@dfm\x1b]")
"""Colours and cursor moves are nearly all there is in most output. This passes over them in one go."""

_MODE_CHANGE: Final = re.compile(
    rb"\x1b(?:"
    rb"\[(?:([?>=<])([0-9;:]*)([hlmu])|([0-9;]*)([hlr])|([0-6]?) q|(!)p)"
    rb"|([=>c])"
    rb"|([()])([0-9A-Za-z])"
    rb"|\][02];([^\x07\x1b]{0,1024})(?:\x07|\x1b\\)"
    rb")"
)
_PRIVATE, _PARAMETERS, _PRIVATE_FINAL, _PUBLIC, _PUBLIC_FINAL, _CURSOR_STYLE, _SOFT_RESET = range(1, 8)
_ESCAPE, _SET, _CHARSET, _TITLE = range(8, 12)

_STYLE: Final = re.compile(rb"\x1b\[([0-9;:]*)m")
_STYLE_WINDOW: Final = 1 << 16
_MANY_STYLES: Final = 4096
_MANY_WITHIN: Final = 1 << 18
_STYLE_RESETS: Final = (b"\x1b[m", b"\x1b[0m", b"\x1b[0;")

_KEYPAD: Final = 66
"""The application keypad as a private mode. Mostly it is set by ESC = and reset by ESC >."""
_ALTERNATE: Final = frozenset((47, 1047, 1049))
_ON_AT_RESET: Final = frozenset((7, 25))
_OFF_AT_RESET: Final = frozenset(
    (1, 5, 6, 9, _KEYPAD, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1007, 2004, 2031)
)
_TRACKED: Final = _ON_AT_RESET | _OFF_AT_RESET
_SOFT: Final = frozenset((1, 6, 7, 25, _KEYPAD))
"""The modes that a soft reset (DECSTR) touches."""
_DEEPEST_KEYBOARD_STACK: Final = 16

MODES_OFF: Final = (
    # The first ESC also ends whatever sequence the terminal was in the middle of.
    b"\x1b[?2026l\x1b[<99u\x1b[?1049l\x1b[<99u\x1b[!p"
    + b"".join(b"\x1b[?%dl" % mode for mode in sorted(_OFF_AT_RESET - {_KEYPAD}))
    + b"\x1b[?7h\x1b[?25h\x1b[4l\x1b>\x1b[>4m\x1b[0 q\x1b[r\x1b(B\x1b)B\x0f\x1b[m"
)
"""Puts any terminal's modes, but nothing else of it, to how they are at the start."""

RESET: Final = MODES_OFF + b"\x1b[H\x1b[2J"
"""`MODES_OFF`, and an empty screen."""

_STYLE_OF: Final = {
    **dict.fromkeys((1, 2), "weight"), 3: "italic", 4: "underline", 21: "underline",
    **dict.fromkeys((5, 6), "blink"), 7: "inverse", 8: "hidden", 9: "struck", 53: "overline",
    **dict.fromkeys((*range(30, 38), *range(90, 98)), "foreground"),
    **dict.fromkeys((*range(40, 48), *range(100, 108)), "background"),
}  # fmt: skip
_STYLE_ENDED_BY: Final = {
    22: "weight", 23: "italic", 24: "underline", 25: "blink", 27: "inverse", 28: "hidden", 29: "struck",
    39: "foreground", 49: "background", 55: "overline", 59: "underline colour",
}  # fmt: skip
_COLOUR_OF: Final = {38: "foreground", 48: "background", 58: "underline colour"}


class ModeTracker:
    """The modes of a terminal that was reset and then shown what `feed` was given."""

    def __init__(self) -> None:
        self.title: bytes | None = None
        self._reset()

    def _reset(self) -> None:
        self.alternate: int | None = None
        """The mode by which the alternate screen was entered; None on the main screen."""
        self._private = dict.fromkeys(_OFF_AT_RESET, False) | dict.fromkeys(_ON_AT_RESET, True)
        self._keyboard: tuple[list[int], list[int]] = ([], [])
        self._cursor_style = b""
        self._modify_keys = b""
        self._soft_reset()

    def _soft_reset(self) -> None:
        for mode in _SOFT:
            self._private[mode] = mode in _ON_AT_RESET
        self._insert = False
        self._region = b""
        self._charsets = {b"(": b"B", b")": b"B"}
        self._shifted = False
        self._styles: dict[str, bytes] = {}

    def copy(self) -> ModeTracker:
        """Return a tracker that goes on from here by itself."""
        other = ModeTracker()
        other.__dict__.update(self.__dict__)
        other._private = dict(self._private)
        other._keyboard = (list(self._keyboard[0]), list(self._keyboard[1]))
        other._charsets = dict(self._charsets)
        other._styles = dict(self._styles)
        return other

    def feed(self, output: bytes | bytearray, begin: int, end: int) -> None:
        """Take note of ``output[begin:end]``, which begins and ends at safe cuts."""
        fresh = begin
        if output.find(b"\x1b", begin, end) >= 0:
            for candidate in _NO_COLOUR_OR_MOVE.finditer(output, begin, end):
                change = _MODE_CHANGE.match(output, candidate.start(), end)
                if change is not None and self._change(change):
                    fresh = change.end()
            self._read_styles(output, fresh, end)
        shift_out, shift_in = output.rfind(b"\x0e", fresh, end), output.rfind(b"\x0f", fresh, end)
        if shift_out != shift_in:
            self._shifted = shift_out > shift_in

    def _change(self, change: re.Match[bytes]) -> bool:
        """Take note of one sequence; return whether it was a reset."""
        kind = change.lastindex
        if kind == _PRIVATE_FINAL:
            self._change_private(change[_PRIVATE], change[_PARAMETERS], change[_PRIVATE_FINAL])
        elif kind == _PUBLIC_FINAL:
            self._change_public(change[_PUBLIC], change[_PUBLIC_FINAL])
        elif kind == _CURSOR_STYLE:
            self._cursor_style = change[_CURSOR_STYLE].strip(b"0")
        elif kind == _SOFT_RESET:
            self._soft_reset()
            return True
        elif kind == _ESCAPE:
            if change[_ESCAPE] == b"c":
                self._reset()
                return True
            self._private[_KEYPAD] = change[_ESCAPE] == b"="
        elif kind == _CHARSET:
            self._charsets[change[_SET]] = change[_CHARSET]
        elif kind == _TITLE:
            self.title = change[_TITLE]
        return False

    def _change_private(self, prefix: bytes, parameters: bytes, final: bytes) -> None:
        if prefix == b"?" and final in b"hl":
            for mode in _numbers(parameters):
                if mode in _ALTERNATE:
                    self.alternate = mode if final == b"h" else None
                elif mode in _TRACKED:
                    self._private[mode] = final == b"h"
        elif final == b"u":
            self._change_keyboard(prefix, _numbers(parameters))
        elif prefix == b">" and final == b"m":
            numbers = _numbers(parameters)
            if numbers[:1] == [4]:
                self._modify_keys = b"%d" % numbers[1] if len(numbers) > 1 and numbers[1] else b""

    def _change_keyboard(self, prefix: bytes, numbers: list[int]) -> None:
        """Follow the stack of keyboard flags (kitty's protocol) of the screen that is shown."""
        stack = self._keyboard[self.alternate is not None]
        first = numbers[0] if numbers else 0
        if prefix == b">":
            stack.append(first)
            del stack[:-_DEEPEST_KEYBOARD_STACK]
        elif prefix == b"<":
            del stack[-max(1, first) :]
        elif prefix == b"=":
            before = stack.pop() if stack else 0
            how = numbers[1] if len(numbers) > 1 else 1
            stack.append(before | first if how == 2 else before & ~first if how == 3 else first)

    def _change_public(self, parameters: bytes, final: bytes) -> None:
        if final == b"r":
            self._region = parameters
        elif 4 in _numbers(parameters):
            self._insert = final == b"h"

    def _read_styles(self, output: bytes | bytearray, begin: int, end: int) -> None:
        if _has_many(output, begin, end):
            # Where there are so many, those of the last screens say it all.
            begin = max(begin, end - _STYLE_WINDOW)
            begin = max(begin, *(output.rfind(reset, begin, end) for reset in _STYLE_RESETS))
        # Of equal ones the last says all that those before it said.
        distinct = dict.fromkeys(reversed(_STYLE.findall(output, begin, end)))
        for style in reversed(distinct):
            self._apply_styles(style.split(b";"))

    def _apply_styles(self, parameters: list[bytes]) -> None:
        rest = iter(parameters)
        for parameter in rest:
            number = next(iter(_numbers(parameter)), 0)
            if number == 0:
                self._styles.clear()
            elif number in _COLOUR_OF:
                whole = [parameter]
                if b":" not in parameter:
                    whole.append(next(rest, b""))
                    whole.extend(next(rest, b"") for _ in range({b"5": 1, b"2": 3}.get(whole[1], 0)))
                self._styles[_COLOUR_OF[number]] = b";".join(whole)
            elif number in _STYLE_OF:
                name = _STYLE_OF[number]
                # Bold and faint go together; of all others the last one holds.
                both = name == "weight" and self._styles.get(name, parameter) != parameter
                self._styles[name] = b"1;2" if both else parameter
            elif number in _STYLE_ENDED_BY:
                self._styles.pop(_STYLE_ENDED_BY[number], None)

    def prologue(self) -> bytes:
        """Return what puts any terminal in these modes, with an empty screen."""
        parts = [RESET, *(b"\x1b[>%du" % flags for flags in self._keyboard[0])]
        if self.alternate is not None:
            parts.append(b"\x1b[?%dh\x1b[H\x1b[2J\x1b[<99u" % self.alternate)
            parts.extend(b"\x1b[>%du" % flags for flags in self._keyboard[1])
        parts.extend(
            b"\x1b[?%d%b" % (mode, b"h" if on else b"l")
            for mode, on in sorted(self._private.items())
            if mode != _KEYPAD and on != (mode in _ON_AT_RESET)
        )
        parts.extend(b"\x1b%b%b" % both for both in self._charsets.items() if both[1] != b"B")
        for needed, sequence in (
            (self._region, b"\x1b[%br" % self._region),
            (self._insert, b"\x1b[4h"),
            (self._private[_KEYPAD], b"\x1b="),
            (self._modify_keys, b"\x1b[>4;%bm" % self._modify_keys),
            (self._cursor_style, b"\x1b[%b q" % self._cursor_style),
            (self._shifted, b"\x0e"),
            (
                self._styles,
                b"\x1b[%bm" % b";".join(style for _, style in sorted(self._styles.items(), reverse=True)),
            ),
            (self.title is not None, b"\x1b]2;%b\x07" % (self.title or b"")),
        ):
            if needed:
                parts.append(sequence)
        return b"".join(parts)

    @property
    def plain(self) -> bool:
        """Whether they are the modes of a terminal that was just reset, whatever its title."""
        untitled = self.copy()
        untitled.title = None
        return untitled.prologue() == RESET


def _has_many(output: bytes | bytearray, begin: int, end: int) -> bool:
    """Tell whether there are many sequences; where the end alone has many, not all of it is looked at."""
    late = max(begin, end - _MANY_WITHIN)
    count = output.count(b"\x1b", late, end)
    return count > _MANY_STYLES or count + output.count(b"\x1b", begin, late) > _MANY_STYLES


def _numbers(parameters: bytes) -> list[int]:
    return [int(one) for one in parameters.replace(b":", b";").split(b";") if one and len(one) < 10]

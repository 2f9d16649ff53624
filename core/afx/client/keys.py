r"""Tells what comes from a person's terminal apart: the detach key, and what the terminal says by itself.

A terminal may send ``ctrl-\`` in three ways: as the byte 0x1c, in the kitty keyboard protocol as
``ESC [ 92 ; 5 u``, and in xterm's modifyOtherKeys as ``ESC [ 27 ; 5 ; 92 ~``. Which it is depends on what the
program in the terminal asked for, so all three are known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PATIENCE = 0.5
"""Seconds within which the second of two detach keys must follow the first."""

_CTRL = 4
_LOCKS = 64 | 128
_RELEASED = b"3"
_MODIFIER_KEYS = range(57441, 57455)
_KEY = re.compile(
    rb"\x1b\[(?P<kitty>\d+)(?::[\d:]*)?(?:;(?P<kitty_mods>\d+)(?::(?P<event>\d))?)?(?:;[\d:]*)?u"
    rb"|\x1b\[27;(?P<xterm_mods>\d+);(?P<xterm>\d+)~"
    rb"|\x1b\[[0-?]*[ -/]*[@-~]"
    rb"|[\x00-\xff]",
    re.DOTALL,
)
_REPORT = re.compile(
    rb"(?:\x1b\[[?>=]?[0-9;:]*(?:[cRnt]|\$y)|\x1b\[\?[0-9]+u|\x1b\[[IO]|\x1b\[<[0-9;]+[Mm]"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[P_][^\x1b]*\x1b\\)+"
)


def is_report(data: bytes) -> bool:
    """Tell whether all of `data` is what a terminal sends unasked by a person.

    That is answers to queries, and reports of the focus and the mouse.
    """
    return _REPORT.fullmatch(data) is not None


class DetachKeys:
    """Watches for one or two keys, each given by the character that is typed with Ctrl.

    Of two keys the first is held back until it is clear whether the second follows: `feed` gives it out with
    the next other key, and `release` after `PATIENCE`.
    """

    def __init__(self, codes: Sequence[int]) -> None:
        self._codes = tuple(codes)
        self._held = b""
        self._count = 0

    def __str__(self) -> str:
        return " ".join(f"ctrl-{chr(code)}" for code in self._codes)

    @property
    def holding(self) -> bool:
        """Whether a key is held back now."""
        return bool(self._held)

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """Return what is for the program, and whether the detach keys came. What follows them is dropped."""
        if not self._held and not any(self._may_hold(typed, code) for code in self._codes[:1]):
            return typed, False
        out = bytearray()
        for match in _KEY.finditer(typed):
            if self._is_neutral(match):
                if self._held:
                    self._held += match[0]
                else:
                    out += match[0]
            elif _is_ctrl(match, self._codes[self._count]):
                self._held += match[0]
                self._count += 1
                if self._count == len(self._codes):
                    self._held, self._count = b"", 0
                    return bytes(out), True
            else:
                out += self.release()
                if _is_ctrl(match, self._codes[0]):
                    self._held, self._count = match[0], 1
                else:
                    out += match[0]
        return bytes(out), False

    def release(self) -> bytes:
        """Give out what is held back."""
        held, self._held, self._count = self._held, b"", 0
        return held

    @staticmethod
    def _may_hold(typed: bytes, code: int) -> bool:
        return (
            code & 0x1F in typed or b"%d;" % code in typed or b"%d~" % code in typed or b"%d:" % code in typed
        )

    def _is_neutral(self, match: re.Match[bytes]) -> bool:
        """Tell whether this is the release of a key, or a modifier alone: it breaks no pair."""
        return match["kitty"] is not None and (
            match["event"] == _RELEASED or int(match["kitty"]) in _MODIFIER_KEYS
        )


def _is_ctrl(match: re.Match[bytes], code: int) -> bool:
    character, modifiers = match["kitty"] or match["xterm"], match["kitty_mods"] or match["xterm_mods"]
    if character is None:
        return match[0] == bytes([code & 0x1F])
    return int(character) == code and modifiers is not None and (int(modifiers) - 1) & ~_LOCKS == _CTRL

"""Lays what every holder runs close together, so that holders write to few pages of the memory they share.

Python counts references to a function's code in the code itself, so whoever runs it writes to its page. As
imported, the functions that a holder runs lie scattered among hundreds that it does not.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType
from typing import Final

_left: Final[list[CodeType]] = []
"""Where code lay before. It is kept, or something else would come to lie there, and what follows there."""


def lay_together(run: Callable[[], None], also: Iterable[Callable[..., object]]) -> None:
    """Give each Python function that `run` calls, and each of `also`, code of its own in a fresh place."""
    called = {function.__code__ for function in also if isinstance(function, FunctionType)}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    gc.collect()
    for function in gc.get_referrers(*called):
        if isinstance(function, FunctionType):
            _left.append(function.__code__)
            function.__code__ = function.__code__.replace()

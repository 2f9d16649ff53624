"""Things to do later, for a loop that asks how long it may sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


class Timers:
    """At most one due time for each action. The clock is the monotonic one, in seconds."""

    def __init__(self) -> None:
        self._due: dict[Callable[[], None], float] = {}

    def set(self, action: Callable[[], None], after: float) -> None:
        """Do `action` once, `after` seconds from now, and not at any time it was set to before."""
        self._due[action] = time.monotonic() + after

    def cancel(self, action: Callable[[], None]) -> None:
        """Do not do it, if it was to be done."""
        self._due.pop(action, None)

    def is_set(self, action: Callable[[], None]) -> bool:
        """Tell whether it is to be done."""
        return action in self._due

    def run(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for action in [action for action, due in self._due.items() if due <= now]:
            if self._due.pop(action, None) is not None:
                action()

    def next_due(self) -> float | None:
        """Return when something is due next, None for never."""
        return min(self._due.values(), default=None)

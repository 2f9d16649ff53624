"""Whether a plugin ends the process that loads it: found out in a process of its own, not in the Tower's.

Before a plugin is loaded a mark is left, and it is taken away afterwards. A mark that is found there means
that a process ended in between, which may have been killed by anybody. So that plugin is first loaded by a
process that has nothing else to do, and only what ends that one is not loaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from .discovery import GROUP, DefectError, Progress, Registered, origin_of

Loaded = TypeVar("Loaded")

_SURVIVED = "survived"
_PATIENCE = 20.0


class Marks:
    """The marks of what is being loaded, each a file.

    Args:
        directory: Where they lie; None leaves none.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def load(self, entry_point: EntryPoint, work: Callable[[], Loaded]) -> Loaded:
        """Do `work`, which loads the plugin behind an entry point.

        Raises:
            DefectError: It ended a process that loaded it before, and does so again.
            Exception: Whatever the work raises.
        """
        if self._directory is None:
            return work()
        mark = self._directory / quote(f"{entry_point.name} {entry_point.value}", safe="")
        if _is_there(mark) and _ends_its_process(entry_point):
            raise DefectError("It ends the process that loads it.")
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            mark.touch(mode=0o600)
        try:
            return work()
        finally:
            with suppress(OSError):
                mark.unlink(missing_ok=True)


def _is_there(mark: Path) -> bool:
    """Tell whether a mark was left. What cannot be looked for is no plugin's fault."""
    try:
        return mark.exists()
    except OSError:
        return False


def _ends_its_process(entry_point: EntryPoint) -> bool:
    command = [sys.executable, "-P", "-m", "afx.trial", entry_point.name, entry_point.value]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False  # It hangs, which is found out, and said, elsewhere.
    return not done.stdout.endswith(_SURVIVED)


def main() -> None:
    """Load a plugin, and say so, whatever it raised."""
    entry_point = EntryPoint(sys.argv[1], sys.argv[2], GROUP)
    with suppress(Exception, SystemExit):
        Registered(origin_of(entry_point), entry_point, Progress())
    sys.stdout.write(_SURVIVED)


if __name__ == "__main__":
    main()

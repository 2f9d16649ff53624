"""What `afx doctor` is told by its checks: the base class of a check, and what it finds.

A check looks and changes nothing. It may block, for it runs in a thread of its own with a deadline; what it
raises is shown as a finding and stops no other check.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import msgspec

from .model import TerminalId


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """It works, and something may be lost or refused one day because of this."""
    ERROR = "error"
    """Something does not work, or something is at risk now."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check found.

    Attributes:
        what: A sentence about what is there.
        why: Why it matters; empty where all is well.
        command: The command that mends it, as a shell reads it (`shlex.join` quotes paths); empty where no
            one command does.
    """

    level: Level
    what: str
    why: str = ""
    command: str = ""

    @classmethod
    def ok(cls, what: str) -> Finding:
        """Return the finding that something is as it should be."""
        return cls(level=Level.OK, what=what)

    @classmethod
    def warning(cls, what: str, why: str, command: str = "") -> Finding:
        """Return the finding of something that may cost one day."""
        return cls(level=Level.WARNING, what=what, why=why, command=command)

    @classmethod
    def error(cls, what: str, why: str, command: str = "") -> Finding:
        """Return the finding of something that is broken or at risk now."""
        return cls(level=Level.ERROR, what=what, why=why, command=command)


class DoctorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a check may want to know.

    Attributes:
        home: The state directory. It may not exist, and may be in any condition.
        env: The environment.
        terminals: The ids of the terminals that the running Tower knows; None where none answers.
        strategies: The reconnect strategies that the settings name for new terminals; none where the settings
            cannot be read.
    """

    home: Path
    env: Mapping[str, str]
    terminals: frozenset[TerminalId] | None = None
    strategies: frozenset[str] = frozenset()


class DoctorCheck(ABC):
    """One check of a plugin's own. It is made without arguments, and works without a Tower."""

    name: ClassVar[str]

    @abstractmethod
    def examine(self, context: DoctorContext) -> Iterable[Finding]:
        """Look, and return what was found; nothing where the check has no say here."""

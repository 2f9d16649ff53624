"""The adapter for a program that a section of the settings describes.

What stands in the section is the business of `definition`, conversations that of `session`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from afx.plugin import (
    BadInputError,
    Command,
    Doing,
    ExitInfo,
    ExitKind,
    HarnessContext,
    HarnessProvider,
    LaunchRequest,
    Place,
)

from .definition import read
from .session import BEFORE, DeclaredSession

_CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")


class DeclaredHarness(HarnessProvider):
    """A harness that is described by its settings. Made once for each section."""

    session: DeclaredSession | None = None

    def __init__(self, context: HarnessContext | None = None) -> None:
        super().__init__(context)
        if not self.context.name:
            raise BadInputError("A declared harness is made of a section [harness.NAME] of the settings.")
        self._definition = definition = read(self.context)
        self.name = self.context.name
        self.commands = definition.commands
        self.install = definition.install
        self.nesting_marks = definition.scrub
        self.home_env = definition.home_env
        self.lasting_env = definition.lasting_env
        self.unattended_args = definition.unattended
        self.checked_versions = definition.checked_versions
        if definition.resume:
            self.session = DeclaredSession(definition)

    def launch(self, request: LaunchRequest) -> Command:
        """Return the command that starts the program, its arguments in the order of the definition.

        The person's own come before the task, which is last.

        Raises:
            SpawnError: The program is not installed.
        """
        definition = self._definition
        role_file = str(Path(request.directory, "role.md"))
        task_file = str(Path(request.directory, "task.md"))
        values = {
            "cwd": request.cwd,
            "directory": request.directory,
            "name": request.name,
            "role": request.role,
            "role_file": role_file,
            "task": request.task or "",
            "task_file": task_file,
        }
        argv = [self.require(request.env), *_filled(definition.args, values), *request.session_args]
        if request.role:
            argv += _filled(definition.role, values)
        argv += request.args
        if request.task:
            argv += _filled(definition.task, values)
        env = {**request.env, **{name: text.format(**values) for name, text in definition.env.items()}}
        told = " ".join([*definition.role, *definition.task, *definition.env.values()])
        files = {}
        if "{role_file}" in told:
            files[role_file] = request.role
        if "{task_file}" in told and request.task:
            files[task_file] = request.task
        if self.session is not None and not self.session.mints_ids and not request.session_args:
            before = self.session.known_before(Place(cwd=Path(request.cwd), env=env))
            files[str(Path(request.directory, BEFORE))] = before
        return Command(argv=tuple(argv), env=env, cwd=request.cwd, files=files)

    def classify_exit(self, info: ExitInfo) -> ExitKind:
        """Say why the process ended: the most telling of what the definition knows comes first."""
        exits = self._definition.exits
        said = _CONTROL.sub("", info.tail)
        for kind, marks in (
            (ExitKind.UNRESUMABLE, exits.unresumable),
            (ExitKind.AUTH, exits.auth),
            (ExitKind.CRASH, exits.crash),
            (ExitKind.QUIT, exits.quit),
        ):
            for mark in marks:
                if mark == info.exit.code if isinstance(mark, int) else re.search(mark, said):
                    return kind
        return super().classify_exit(info)

    def doing(self, screen: str) -> Doing:
        """Say what the agent does, by the patterns of the definition."""
        patterns = self._definition.screen
        for doing, those in ((Doing.WAITING, patterns.waiting), (Doing.WORKING, patterns.working)):
            if any(re.search(pattern, screen, re.MULTILINE) for pattern in those):
                return doing
        return Doing.UNKNOWN

    def keystrokes(self, text: str) -> Sequence[bytes]:
        """Return what to type: a paste and Enter, or where the program takes no pastes, one line."""
        if self._definition.paste:
            return super().keystrokes(text)
        return (" ".join(text.split("\n")).encode(), b"\r")


def _filled(words: Iterable[str], values: dict[str, str]) -> list[str]:
    return [word.format(**values) for word in words]

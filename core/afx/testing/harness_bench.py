"""What the tests of a harness stand on: a home, directories, a program on the PATH, requests to launch it."""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from afx.api.harness import HarnessProvider, HarnessSession, LaunchRequest, Place
from afx.api.model import AgentKind, Command

SECRET = "sesame-4711"  # noqa: S105 - it is nobody's
ROLE = "You are a builder of this suite."
TASK = "Mend the roof of this suite."


class HarnessBench:
    """Makes what the tests of a harness need. Its author says how the harness is made and what it keeps."""

    def harness(self) -> HarnessProvider:
        """Return the harness to test. Called anew for every test."""
        raise NotImplementedError

    def record(self, place: Place, session_id: str) -> Path | None:
        """Write a conversation of one turn as the program keeps it, and return its file.

        It is one of this id, recorded in ``place.cwd``, in a home of its own, ``place.env["HOME"]``. The
        default writes nothing and returns None: then what is found on disk is not tested.
        """
        del place, session_id
        return None

    def new_id(self) -> str:
        """Return an id of the form that the program's ids have. The default mints one, or is a UUID."""
        session = self.session()
        assert session is not None
        return session.mint()

    def session(self) -> HarnessSession | None:
        """Return the session of the harness, if it has one."""
        return self.harness().session

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Name the event loop that the tests run on."""
        return "asyncio"

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        """A directory to work in, a home where nothing is yet, and the program on the PATH."""
        return self.make_place(tmp_path, "work")

    def make_place(self, directory: Path, name: str, home: str = "home") -> Place:
        """Make a place to work in below `directory`."""
        for path in (directory / name, directory / home, directory / "bin"):
            path.mkdir(parents=True, exist_ok=True)
        for command in self.harness().commands:
            program = directory / "bin" / command
            program.write_text("#!/bin/sh\n", encoding="utf-8")
            program.chmod(0o755)
        env = {"HOME": str(directory / home), "PATH": str(directory / "bin"), "OPEN_SESAME_KEY": SECRET}
        return Place(cwd=directory / name, env=env)

    def request(self, place: Place, **changes: Any) -> LaunchRequest:  # noqa: ANN401 - fields of the request
        """Return a request to launch a builder in a place."""
        own = place.cwd.parent / "own"
        own.mkdir(exist_ok=True)
        fields: dict[str, Any] = {
            "kind": AgentKind.BUILDER,
            "name": "fix",
            "cwd": str(place.cwd),
            "env": dict(place.env),
            "directory": str(own),
        }
        return LaunchRequest(**{**fields, **changes})

    def launch(self, place: Place, **changes: Any) -> Command:  # noqa: ANN401 - as above
        """Return the command that the harness makes of a request."""
        return self.harness().launch(self.request(place, **changes))

    def told(self, command: Command) -> str:
        """Return everything that a command tells its program: arguments, environment and files."""
        return "\0".join([*command.argv, *command.env.values(), *command.files.values()])


def contains(words: Sequence[str], part: Sequence[str]) -> bool:
    """Tell whether `part` stands in `words`, in one piece."""
    return any(tuple(words[at : at + len(part)]) == tuple(part) for at in range(len(words) - len(part) + 1))


def flags(words: Sequence[str], session_id: str) -> set[str]:
    """Return the words that are no id: the flags, and what stands before ``=`` where it names the id."""
    return {word.replace(session_id, "") for word in words} - {"", "--"}


def tree(directory: Path) -> dict[str, int]:
    """Return every file below a directory with its time, to see whether anything changes."""
    return {str(path): path.lstat().st_mtime_ns for path in directory.rglob("*")}

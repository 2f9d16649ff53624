"""What the tests of each harness whose conversations are files say alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from afx.plugin import Evidence, HarnessSession, Place

At = Callable[[Path], Place]
"""Says where an agent works. Its environment is not the test's own."""
Write = Callable[..., Path]
"""Writes a conversation of a directory, by an id of the tests' own unless one follows, and returns its file.

In it a person said "Mend the roof", on two lines, and was told "It is mended."
"""

NO_UUIDS = ("", "../x", "x" * 300, "-t", "a\nb", "\0", "{ID}", " ID", "latest", "5", "--last")


class SessionTests:
    """A subclass in a test module says whose conversations they are.

    The module has the fixtures `at` and `write`, an `At` and a `Write`.
    """

    session: ClassVar[type[HarnessSession]]
    home: ClassVar[str]
    """The variable that says where the program keeps its conversations."""
    written: ClassVar[str]
    """The id that a written conversation has."""
    other: ClassVar[str]
    """Another one."""
    began_at: ClassVar[float]
    """When a written conversation began."""

    @pytest.fixture
    def tmp_path(self, tmp_path: Path) -> Path:
        return tmp_path.resolve()

    @pytest.mark.parametrize("name", NO_UUIDS)
    async def test_what_is_no_uuid_names_no_conversation_lesson_47(
        self, tmp_path: Path, name: str, at: At
    ) -> None:
        name = name.replace("ID", self.written)
        session = self.session()
        assert not session.is_id(name)
        assert await session.verify(name, at(tmp_path)) is Evidence.MISSING
        assert await session.describe(name, at(tmp_path)) is None
        assert await session.held_by(name, at(tmp_path)) is None

    async def test_the_agents_environment_says_where_and_not_the_towers(
        self, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At
    ) -> None:
        monkeypatch.setenv(self.home, str(tmp_path / "of-the-tower"))
        write(tmp_path)
        session, elsewhere = self.session(), Place(cwd=tmp_path, env={"HOME": str(tmp_path)})
        assert await session.verify(self.written, at(tmp_path)) is Evidence.FOUND
        assert await session.verify(self.written, elsewhere) is Evidence.MISSING

    @pytest.mark.parametrize(
        "parts",
        [
            ("plain",),
            ("two  words", "a.b_c"),
            ("Gru\u0308n \u00fc 😀 日本",),
            ("x" * 100, "ü" * 60, "😀" * 30, "y" * 50),
            ('quo"te', "back\\slash", "new\nline"),
        ],
        ids=["plain", "spaces-dots", "letters", "long", "json"],
    )
    async def test_a_conversation_is_found_by_its_directory_lesson_24(
        self, write: Write, tmp_path: Path, parts: tuple[str, ...], at: At
    ) -> None:
        cwd = tmp_path.joinpath(*parts)
        cwd.mkdir(parents=True)
        link = tmp_path / "link"
        link.symlink_to(cwd)
        path = write(cwd)
        session = self.session()
        for directory in (cwd, link):
            assert await session.verify(self.written, at(directory)) is Evidence.FOUND
            (found,) = await session.discover(at(directory))
            assert found == await session.describe(self.written, at(directory))
            assert (found.session_id, found.path, found.cwd) == (self.written, str(path), str(cwd))
            assert (found.first, found.last) == ("Mend the roof", "It is mended.")
            assert found.began_at == pytest.approx(self.began_at)
            assert found.size == path.stat().st_size

    @pytest.mark.parametrize("shape", ["directory", "loop", "pipe"])
    async def test_what_cannot_be_read_is_not_missing_lesson_03(
        self, write: Write, tmp_path: Path, shape: str, at: At
    ) -> None:
        path = write(tmp_path)
        path.unlink()
        if shape == "directory":
            path.mkdir()
        elif shape == "loop":
            path.symlink_to(path)
        else:
            os.mkfifo(path)
        session = self.session()
        assert await session.verify(self.written, at(tmp_path)) is Evidence.UNKNOWN
        write(tmp_path, self.other)
        assert [one.session_id for one in await session.discover(at(tmp_path))] == [self.other]

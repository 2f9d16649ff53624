"""What is known of Gemini CLI's conversations, in the layout of each of its versions."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from afx.plugin import Evidence
from afx_harness_gemini.session import GeminiSession
from plugins.session_tests import At, SessionTests, Write

from .written import BEGAN_AT, ID, OTHER, lines


class TestSession(SessionTests):
    session = GeminiSession
    home = "GEMINI_CLI_HOME"
    written = ID
    other = OTHER
    began_at = BEGAN_AT

    @pytest.fixture
    def write(self, write: Write, version: str) -> Write:
        return partial(write, version=version)


def test_ids_are_minted_as_uuids_and_named_in_the_arguments() -> None:
    session = GeminiSession()
    first, second = session.mint(), session.mint()
    assert str(UUID(first)) == first
    assert first != second
    assert tuple(session.new_session_args(ID)) == ("--session-id", ID)
    assert tuple(session.resume_args(ID)) == ("--resume", ID)


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        ((("user", "hello"),), Evidence.FOUND),
        ((("gemini", "hello"),), Evidence.FOUND),
        ((("user", "/stats"), ("user", "?")), Evidence.MISSING),
        ((("user", "/stats"), ("gemini", "hello")), Evidence.FOUND),
    ],
)
async def test_what_was_said_to_the_program_alone_is_no_turn_lesson_19(
    write: Write, tmp_path: Path, said: tuple[tuple[str, str], ...], evidence: Evidence, at: At
) -> None:
    write(tmp_path, ID, *said)
    assert await GeminiSession().verify(ID, at(tmp_path)) is evidence


async def test_before_the_first_turn_and_of_a_bare_stub_it_is_missing_lesson_19(
    home: Path, write: Write, version: str, tmp_path: Path, at: At
) -> None:
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    await anyio.Path(home).mkdir(parents=True)
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    write(tmp_path, ID, ("info", "Update available"), version=version)
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    assert await session.discover(at(tmp_path)) == []


async def test_the_stub_of_a_resume_does_not_hide_the_conversation(
    write: Write, tmp_path: Path, at: At
) -> None:
    whole = write(tmp_path)
    write(tmp_path, minute=9, content="\n".join(lines(tmp_path)))
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND
    (found,) = await session.discover(at(tmp_path))
    assert found.path == str(whole)


async def test_of_several_files_of_one_conversation_the_newest_counts(
    write: Write, tmp_path: Path, at: At
) -> None:
    older, newer = write(tmp_path), write(tmp_path, minute=9)
    os.utime(older, (1, 1))
    (found,) = await GeminiSession().discover(at(tmp_path))
    assert found.path == str(newer)


async def test_conversations_come_newest_first_and_only_of_exactly_this_directory_lesson_16(
    write: Write, version: str, tmp_path: Path, at: At
) -> None:
    for day, session_id in enumerate((ID, OTHER)):
        os.utime(write(tmp_path, session_id, version=version), (day, day))
    inner = "4647dc37-f7cf-4647-9e62-e47afe148df3"
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", inner, version=version)
    session = GeminiSession()
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [OTHER, ID]
    # The program resumes a conversation in its own directory only.
    assert await session.verify(inner, at(tmp_path)) is Evidence.MISSING


async def test_what_the_program_talks_with_itself_is_left_out(
    write: Write, version: str, tmp_path: Path, at: At
) -> None:
    write(tmp_path, version=version, kind="subagent")
    assert await GeminiSession().discover(at(tmp_path)) == []

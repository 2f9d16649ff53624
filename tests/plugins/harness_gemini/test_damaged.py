"""What is made of files that were cut short, moved about or made unreadable."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from afx.plugin import Evidence
from afx_harness_gemini.session import GeminiSession
from plugins.session_tests import At, Write

from .written import ID, OTHER, SAID, lines


async def test_a_chat_of_another_directory_that_strayed_in_is_left_out(
    write: Write, tmp_path: Path, at: At
) -> None:
    write(tmp_path, content="\n".join(lines("/elsewhere", ID, *SAID)))
    assert await GeminiSession().discover(at(tmp_path)) == []
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.MISSING


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        ("", Evidence.MISSING),
        (lines("CWD", ID, *SAID)[0][:60], Evidence.MISSING),
        (lines("CWD", ID, *SAID)[0], Evidence.MISSING),
        ("[1]\n", Evidence.MISSING),
        ("\n".join(lines("CWD", ID, *SAID))[:-30], Evidence.FOUND),
        ("\n".join([*lines("CWD", ID, *SAID), "not JSON", '{"type":5}', '{"$set":1}']), Evidence.FOUND),
    ],
)
async def test_a_file_that_was_cut_short_tells_what_is_left_of_it(
    write: Write, tmp_path: Path, content: str, evidence: Evidence, at: At
) -> None:
    placeholder, here = (sha256(name.encode()).hexdigest() for name in ("CWD", str(tmp_path)))
    write(tmp_path, content=content.replace(placeholder, here))
    assert await GeminiSession().verify(ID, at(tmp_path)) is evidence
    assert len(await GeminiSession().discover(at(tmp_path))) == (evidence is Evidence.FOUND)


async def test_a_file_of_another_id_than_its_name_is_that_of_the_id(
    write: Write, tmp_path: Path, at: At
) -> None:
    write(tmp_path, content="\n".join(lines(tmp_path, OTHER, *SAID)))
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [OTHER]


async def test_of_two_files_of_one_conversation_one_that_cannot_be_read_hides_none(
    write: Write, tmp_path: Path, at: At
) -> None:
    path = write(tmp_path)
    path.unlink()
    path.mkdir()
    write(tmp_path, minute=9)
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.FOUND


async def test_a_register_that_cannot_be_read_says_nothing_lesson_03(
    home: Path, tmp_path: Path, at: At
) -> None:
    (home / "projects.json").mkdir(parents=True)
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.UNKNOWN


@pytest.mark.parametrize("register", ["{", '{"projects": []}', '{"projects": {"CWD": "../../x"}}', "[]"])
async def test_a_broken_register_leads_nowhere(
    home: Path, write: Write, tmp_path: Path, register: str, at: At
) -> None:
    write(tmp_path, version="unregistered")
    (home / "projects.json").write_text(register.replace("CWD", str(tmp_path)), encoding="utf-8")
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.FOUND

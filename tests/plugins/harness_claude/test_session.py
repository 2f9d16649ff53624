"""What is known of a conversation before it is resumed."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from afx.plugin import Evidence
from afx_harness_claude.session import ClaudeSession
from afx_harness_claude.transcripts import transcript

ID = "2647dc37-f7cf-4647-9e62-e47afe148df3"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    directory = str(tmp_path / "config")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", directory)
    return {"CLAUDE_CONFIG_DIR": directory}


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_ids_are_minted_as_uuids_each_of_its_own() -> None:
    session = ClaudeSession()
    first, second = session.mint(), session.mint()
    assert str(UUID(first)) == first
    assert first != second


def test_the_arguments_name_the_id() -> None:
    session = ClaudeSession()
    assert tuple(session.new_session_args(ID)) == ("--session-id", ID)
    assert tuple(session.resume_args(ID)) == ("--resume", ID)


async def test_a_conversation_is_missing_before_its_first_turn_and_found_after_lesson_19(
    env: dict[str, str], tmp_path: Path
) -> None:
    session = ClaudeSession()
    assert await session.verify(ID, tmp_path) is Evidence.MISSING
    path = write(transcript(ID, tmp_path, env), '{"type":"queue-operation"}\n')
    assert await session.verify(ID, tmp_path) is Evidence.MISSING
    write(path, '{"type":"queue-operation"}\n{"type":"user"}\n')
    assert await session.verify(ID, tmp_path) is Evidence.FOUND


async def test_the_case_of_an_id_matters(env: dict[str, str], tmp_path: Path) -> None:
    write(transcript(ID.upper(), tmp_path, env), '{"type":"user"}\n')
    if transcript(ID, tmp_path, env).exists():
        pytest.skip("this file system does not tell upper from lower case")
    assert await ClaudeSession().verify(ID.upper(), tmp_path) is Evidence.FOUND
    assert await ClaudeSession().verify(ID, tmp_path) is Evidence.MISSING


async def test_a_conversation_of_another_directory_may_or_may_not_be_resumable(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(transcript(ID, tmp_path / "other", env), '{"type":"user"}\n')
    assert await ClaudeSession().verify(ID, tmp_path) is Evidence.UNKNOWN


@pytest.mark.parametrize("shape", ["directory", "loop"])
async def test_what_cannot_be_read_is_not_missing_lesson_03(
    env: dict[str, str], tmp_path: Path, shape: str
) -> None:
    path = transcript(ID, tmp_path, env)
    path.parent.mkdir(parents=True)
    if shape == "directory":
        path.mkdir()
    else:
        path.symlink_to(path)
    assert await ClaudeSession().verify(ID, tmp_path) is Evidence.UNKNOWN


@pytest.mark.parametrize("name", ["", "../x", "x" * 300, "-t", "a\nb", "\0", f"{{{ID}}}", f" {ID}"])
async def test_what_is_no_uuid_names_no_conversation_lesson_47(
    env: dict[str, str], tmp_path: Path, name: str
) -> None:
    assert "CLAUDE_CONFIG_DIR" in env
    assert await ClaudeSession().verify(name, tmp_path) is Evidence.MISSING


async def test_a_project_name_that_the_tower_inherited_is_not_the_agents_lesson_23(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_PROJECT_DIR_NAME", "outer")
    write(transcript(ID, tmp_path, env), '{"type":"user"}\n')
    assert await ClaudeSession().verify(ID, tmp_path) is Evidence.FOUND

"""What is known of a conversation before it is resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import pytest

from afx.plugin import Evidence, Place, identify
from afx_harness_claude.session import ClaudeSession
from afx_harness_claude.transcripts import transcript
from plugins.session_tests import At, SessionTests, Write

ID = "2647dc37-f7cf-4647-9e62-e47afe148df3"
OTHER = "3647dc37-f7cf-4647-9e62-e47afe148df3"
BEGAN = "2026-11-21T11:04:21.927Z"
BEGAN_AT = 1795259061.927


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CLAUDE_CONFIG_DIR": str(tmp_path / "config")}


@pytest.fixture
def at(env: dict[str, str]) -> At:
    """Say where an agent works. Its environment is not the test's own."""
    return lambda cwd: Place(cwd=cwd, env=env)


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def write(env: dict[str, str]) -> Write:
    def write(cwd: Path, session_id: str = ID) -> Path:
        turns = said(cwd, "Mend\n the roof", BEGAN) + said(cwd, "It is mended.", BEGAN, type="assistant")
        return put(transcript(session_id, cwd, env), turns)

    return write


class TestSession(SessionTests):
    session = ClaudeSession
    home = "CLAUDE_CONFIG_DIR"
    written = ID
    other = OTHER
    began_at = BEGAN_AT


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
    env: dict[str, str], tmp_path: Path, at: At
) -> None:
    session = ClaudeSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    path = put(transcript(ID, tmp_path, env), '{"type":"queue-operation"}\n')
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    put(path, '{"type":"queue-operation"}\n{"type":"user"}\n')
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND


async def test_what_the_towers_own_project_is_called_does_not_matter(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_PROJECT_DIR_NAME", "outer")
    write(tmp_path)
    assert await ClaudeSession().verify(ID, at(tmp_path)) is Evidence.FOUND


async def test_the_case_of_an_id_matters(env: dict[str, str], tmp_path: Path, at: At) -> None:
    put(transcript(ID.upper(), tmp_path, env), '{"type":"user"}\n')
    if transcript(ID, tmp_path, env).exists():
        pytest.skip("this file system does not tell upper from lower case")
    assert await ClaudeSession().verify(ID.upper(), at(tmp_path)) is Evidence.FOUND
    assert await ClaudeSession().verify(ID, at(tmp_path)) is Evidence.MISSING


async def test_a_conversation_of_another_directory_may_or_may_not_be_resumable(
    env: dict[str, str], tmp_path: Path, at: At
) -> None:
    put(transcript(ID, tmp_path / "other", env), '{"type":"user"}\n')
    assert await ClaudeSession().verify(ID, at(tmp_path)) is Evidence.UNKNOWN


def said(cwd: Path, text: str, at: str, **fields: object) -> str:
    line = {
        "type": "user",
        "cwd": str(cwd.resolve()),
        "timestamp": at,
        "message": {"content": text},
        **fields,
    }
    return json.dumps(line) + "\n"


@pytest.mark.parametrize(
    "name", ["a.b", "two  words", "Gr\u00fcn_\U0001f600", "x" * 120 + "/" + "\u00fc" * 100]
)
async def test_only_conversations_of_exactly_this_directory_are_discovered_lesson_16_24(
    env: dict[str, str], tmp_path: Path, name: str, at: At
) -> None:
    cwd = tmp_path / name
    cwd.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(cwd)
    session = ClaudeSession()
    older, newer, other, empty, broken = (session.mint() for _ in range(5))

    def lies(stem: str, content: str, changed: int) -> None:
        path = put(transcript(stem, cwd, env), content)
        os.utime(path, (changed, changed))

    # A resume that said nothing touched the older one since.
    lies(older, said(cwd, "older", "2026-11-01T00:00:00Z"), 2_000_000_000)
    lies(newer, said(cwd, "newer", "2026-11-02T00:00:00Z") + '{"type":"assist', 1)
    # Its name has the same letters and digits, so it lies beside them.
    lies(other, said(tmp_path / "elsewhere", "other", "2026-11-03T00:00:00Z"), 5)
    lies(empty, '{"type":"queue-operation"}\n', 6)
    lies(broken, "\0" * 100, 7)
    lies("agent-a1b2", said(cwd, "of a sub-agent", "2026-11-04T00:00:00Z"), 8)
    lies(session.mint(), said(cwd, "of a sub-agent", "2026-11-04T00:00:00Z", isSidechain=True), 9)
    transcript(session.mint(), cwd, env).mkdir()

    for seen in (cwd, link):
        found = await session.discover(at(seen))
        assert [(one.session_id, one.first) for one in found] == [(newer, "newer"), (older, "older")]
        assert {one.cwd for one in found} == {str(cwd.resolve())}


async def test_where_nothing_was_said_nothing_is_discovered(
    env: dict[str, str], tmp_path: Path, at: At
) -> None:
    assert "CLAUDE_CONFIG_DIR" in env
    assert list(await ClaudeSession().discover(at(tmp_path))) == []


async def test_a_conversation_is_described_wherever_it_lies(
    env: dict[str, str], tmp_path: Path, at: At
) -> None:
    session = ClaudeSession()
    there = tmp_path / "there"
    assert await session.describe(ID, at(tmp_path)) is None
    path = put(transcript(ID, there, env), said(there, "hi", "2026-11-01T00:00:00Z"))
    found = await session.describe(ID, at(tmp_path))
    assert found is not None
    assert (found.session_id, found.path, found.cwd, found.first) == (ID, str(path), str(there), "hi")
    assert found.size == path.stat().st_size
    put(transcript(ID, tmp_path, env), '{"type":"mode"}\n')
    assert await session.describe(ID, at(tmp_path)) == found


async def test_the_holder_is_found_by_its_record_lesson_20(
    env: dict[str, str], tmp_path: Path, at: At
) -> None:
    me = identify(os.getpid())
    assert me is not None
    record = {"pid": me.pid, "sessionId": ID, "procStart": me.start}
    put(Path(env["CLAUDE_CONFIG_DIR"], "sessions", f"{me.pid}.json"), json.dumps(record))
    assert await ClaudeSession().held_by(ID, at(tmp_path)) == me
    assert await ClaudeSession().held_by(ClaudeSession().mint(), at(tmp_path)) is None

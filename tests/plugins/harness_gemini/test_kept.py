"""A conversation that the program takes away after a resume is kept."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from afx.plugin import AgentKind, Evidence, LaunchRequest, Place
from afx_harness_gemini.chats import keep, set_apart
from afx_harness_gemini.provider import GeminiHarness
from afx_harness_gemini.session import GeminiSession
from plugins.session_tests import At, Write
from scripts import write_script

from .written import ID, OTHER, lines


def resume(place: Place, directory: Path) -> None:
    """Launch the harness as for a resume, without anything being started."""
    program = write_script(directory / "bin/gemini")
    env = {**place.env, "PATH": str(program.parent)}
    GeminiHarness().launch(
        LaunchRequest(
            kind=AgentKind.BUILDER,
            name="fix",
            cwd=str(place.cwd),
            env=env,
            session_args=tuple(GeminiSession().resume_args(ID)),
            directory=str(directory),
        )
    )


async def test_a_conversation_that_the_program_takes_away_after_a_resume_comes_back(
    write: Write, version: str, tmp_path: Path, at: At
) -> None:
    path = write(tmp_path, version=version)
    others = write(tmp_path, OTHER, version=version)
    resume(at(tmp_path), tmp_path)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
    content = path.read_bytes()
    path.unlink()
    others.unlink()
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND
    assert await session.verify(OTHER, at(tmp_path)) is Evidence.MISSING
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [ID]
    resume(at(tmp_path), tmp_path)
    assert path.read_bytes() == content
    (found,) = await session.discover(at(tmp_path))
    assert found.path == str(path)


async def test_what_was_kept_is_never_replaced_by_less(write: Write, tmp_path: Path, at: At) -> None:
    path = write(tmp_path)
    resume(at(tmp_path), tmp_path)
    path.unlink()
    path.write_text("\n".join(lines(tmp_path)), encoding="utf-8")
    resume(at(tmp_path), tmp_path)
    path.unlink()
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.FOUND


def test_where_nothing_can_be_kept_the_launch_goes_on(home: Path, tmp_path: Path, at: At) -> None:
    resume(at(tmp_path), tmp_path)
    (home / "projects.json").mkdir(parents=True)
    resume(at(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("second", "minute"),
    [
        pytest.param(30, 3, id="this minute"),
        pytest.param(61, 4, id="the next"),
        pytest.param(-1, 4, id="before"),
    ],
)
def test_what_is_resumed_in_its_first_minute_gets_another_name(
    write: Write, tmp_path: Path, home: Path, second: int, minute: int
) -> None:
    cwd = tmp_path / "w"
    cwd.mkdir()
    path = write(cwd)
    content = path.read_bytes()
    env = {"GEMINI_CLI_HOME": str(home.parent)}
    began = datetime.fromisoformat("2026-11-21T11:04:00+00:00").timestamp()
    keep(ID, cwd, env)
    set_apart(ID, cwd, env, began + second)
    name = f"session-2026-11-21T11-{minute:02}-{ID[:8]}.jsonl"
    for directory in ("chats", "chats-kept-by-afx"):
        (found,) = path.parents[1].joinpath(directory).iterdir()
        assert (found.name, found.read_bytes()) == (name, content)

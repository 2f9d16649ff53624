"""The real Gemini CLI, launched by the harness: it talks, is killed, and remembers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import Evidence, Exit, ExitInfo, ExitKind, Place
from afx_harness_gemini.provider import GeminiHarness

from .conftest import Home
from .launching import a_request, launch, say, until_stored
from .letting_go import until_let_go
from .loopback import read_for, read_until
from .model_server import QUESTION, ModelServer
from .screen import shown

pytestmark = pytest.mark.real

READY = "Type your message"


def is_gone(path: str) -> bool:
    return not Path(path).exists()


@pytest.fixture
def workspace(workspace: Path) -> Path:
    (workspace / "GEMINI.md").write_text("The project's word is Celery.\n", encoding="utf-8")
    return workspace


async def test_a_killed_conversation_is_resumed_again_and_again_with_all_that_was_said(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    session = GeminiHarness.session
    name = session.mint()
    request = a_request(workspace, home(workspace), tmp_path, *session.new_session_args(name))
    place = Place(cwd=workspace, env=request.env)
    assert await session.verify(name, place) is Evidence.MISSING
    with shown(launch(GeminiHarness(), request)) as screen:
        screen.until(READY)
        assert await session.verify(name, place) is Evidence.MISSING
        say(GeminiHarness(), screen, "Remember: the code word is marzipan")
        screen.until("Noted napizram.")
        await until_stored(session, place, screen)
        turn = server.wait_for(lambda turn: "marzipan" in turn.prompt)
        assert "Rhubarb" in turn.system
        holder = await session.held_by(name, place)
        assert holder is not None
        screen.kill()
    await until_let_go(session, name, place)
    (found,) = await session.discover(place)
    assert (found.session_id, found.cwd) == (name, str(workspace))
    assert found.first == "Remember: the code word is marzipan"

    # A second resume leaves a file in which nothing was said, beside the first. At the next start under
    # another id the program takes all files of this id for rubbish.
    rest = Path(found.path).with_name(f"session-2026-01-01T00-00-{name[:8]}.jsonl")
    other = msgspec.structs.replace(request, session_args=tuple(session.new_session_args(session.mint())))
    for number in range(2):
        assert await session.verify(name, place) is Evidence.FOUND
        resumed = msgspec.structs.replace(request, session_args=tuple(session.resume_args(name)))
        with shown(launch(GeminiHarness(), resumed)) as screen:
            screen.until(READY)
            say(GeminiHarness(), screen, QUESTION)
            screen.until("It was marzipan.")
            turn = server.wait_for(lambda turn: turn.prompt == QUESTION)
            assert any("marzipan" in text for _, text in turn.messages)
            assert "Rhubarb" in turn.system
        if number == 0:
            # One that is resumed in the minute in which it began has another file by now.
            (now,) = await session.discover(place)
            begin = (await anyio.Path(now.path).read_text(encoding="utf-8")).splitlines()[0]
            await anyio.Path(rest).write_text(f"{begin}\n", encoding="utf-8")
            with shown(launch(GeminiHarness(), other)) as screen:
                read_until(screen, partial(is_gone, now.path))
    assert [one.session_id for one in await session.discover(place)] == [name]


async def test_a_conversation_in_which_nothing_was_said_is_missing_and_its_id_refused_lesson_19(
    home: Home, workspace: Path, tmp_path: Path
) -> None:
    session = GeminiHarness.session
    name = session.mint()
    env = home(workspace)
    place = Place(cwd=workspace, env=env)
    with shown(
        launch(GeminiHarness(), a_request(workspace, env, tmp_path, *session.new_session_args(name)))
    ) as screen:
        read_until(screen, lambda: any(Path(env["HOME"], ".gemini", "tmp").rglob("session-*")))
        screen.until(READY)
    assert await session.verify(name, place) is Evidence.MISSING
    for arguments in (session.resume_args(name), session.new_session_args(name)):
        with shown(launch(GeminiHarness(), a_request(workspace, env, tmp_path, *arguments))) as screen:
            info = ExitInfo(exit=Exit(code=screen.drain(), at=0), ran_for=1)
        assert GeminiHarness().classify_exit(info) is ExitKind.UNRESUMABLE


def test_messages_arrive_whole_and_once_lesson_38(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    def prompt_of(text: str) -> str:
        before = len(server.turns)
        say(GeminiHarness(), screen, text)
        read_until(screen, lambda: len(server.turns) > before)
        read_for(screen, 0.5)
        assert len(server.turns) == before + 1
        return server.turns[-1].prompt

    long = "\n".join(f"line {number}" for number in range(1_000))
    with shown(launch(GeminiHarness(), a_request(workspace, home(workspace), tmp_path))) as screen:
        screen.until(READY)
        for text in ("first", "two\nlines\tand a tab", "ends in @GEM", "!exit 7", "ends in \\", long):
            assert prompt_of(text).startswith(text)


def test_a_task_that_looks_like_a_flag_is_said_and_the_project_is_known(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, home(workspace), tmp_path)
    task = "--version, please:\nthe code word is plum 'x' $(y)"
    request = msgspec.structs.replace(request, args=("--debug",), task=task)
    with shown(launch(GeminiHarness(), request)) as screen:
        screen.until("Noted mulp.")
    turn = server.wait_for(lambda _: True)
    assert turn.prompt == task
    assert "Celery" in turn.system
    assert turn.system.count("Rhubarb") == 1


@pytest.mark.parametrize(
    "parts", [("a.b_c", "Gru\u0308n 😀"), ("x" * 100, "ü" * 60, "😀" * 30)], ids=["short", "long"]
)
async def test_chats_lie_where_the_harness_looks_lesson_24(
    home: Home, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    real = tmp_path.joinpath(*parts)
    await anyio.Path(real).mkdir(parents=True)
    link = tmp_path / "link"
    await anyio.Path(link).symlink_to(real)
    session = GeminiHarness.session
    name = session.mint()
    request = a_request(link, home(real), tmp_path, *session.new_session_args(name))
    with shown(launch(GeminiHarness(), msgspec.structs.replace(request, task="hello"))) as screen:
        await until_stored(session, Place(cwd=real, env=request.env), screen)
    for cwd in (real, link):
        place = Place(cwd=cwd, env=request.env)
        assert await session.verify(name, place) is Evidence.FOUND
        assert [one.session_id for one in await session.discover(place)] == [name]

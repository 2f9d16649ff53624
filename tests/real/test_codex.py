"""The real Codex, launched by the harness: it talks, is killed, and remembers."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import (
    Evidence,
    Exit,
    ExitInfo,
    ExitKind,
    Launched,
    LaunchRequest,
    Place,
    identify,
)
from afx_harness_codex.provider import CodexHarness

from .conftest import Home
from .launching import a_request, launch, place_of, until_stored
from .letting_go import until_let_go
from .loopback import read_for, read_until
from .model_server import QUESTION, ModelServer
from .screen import Screen, shown

pytestmark = pytest.mark.real

READY = "Ask Codex to do anything"


async def captured(screen: Screen, request: LaunchRequest, at: float) -> str | None:
    launched = Launched(
        place=place_of(request), at=at, process=identify(screen.process.pid), directory=request.directory
    )
    return await CodexHarness.session.capture(launched)


async def test_a_killed_conversation_is_captured_and_resumed_with_all_that_was_said(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    session = CodexHarness.session
    request = a_request(workspace, home(workspace), tmp_path)
    at = time.time()
    with shown(launch(CodexHarness(), request)) as screen:
        screen.until(READY)
        assert await captured(screen, request, at) is None
        screen.type(*CodexHarness().keystrokes("Remember: the code word is marzipan"))
        screen.until("Noted napizram.")
        turn = server.wait_for(lambda turn: "marzipan" in turn.prompt)
        assert f"{tmp_path}/role.md" in turn.system
        name = await captured(screen, request, at)
        assert name is not None
        assert await session.verify(name, place_of(request)) is Evidence.FOUND
        holder = await session.held_by(name, place_of(request))
        assert holder is not None
        screen.kill()

    await until_let_go(session, name, place_of(request))
    (found,) = await session.discover(place_of(request))
    assert (found.session_id, found.cwd) == (name, str(workspace))
    assert (found.first, found.last) == ("Remember: the code word is marzipan", "Noted napizram.")
    assert found.began_at is not None
    assert at - 1 < found.began_at < found.modified_at + 1

    resumed = msgspec.structs.replace(request, session_args=tuple(session.resume_args(name)))
    with shown(launch(CodexHarness(), resumed)) as screen:
        screen.until("Noted napizram.")
        screen.type(*CodexHarness().keystrokes(QUESTION))
        screen.until("It was marzipan.")
        turn = server.wait_for(lambda turn: turn.prompt == QUESTION)
        assert any("marzipan" in text for _, text in turn.messages)
        assert f"{tmp_path}/role.md" in turn.system
    assert [one.session_id for one in await session.discover(place_of(request))] == [name]


async def test_a_conversation_is_missing_before_its_first_turn_lesson_19(
    home: Home, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, home(workspace), tmp_path)
    with shown(launch(CodexHarness(), request)) as screen:
        screen.until(READY)
        screen.kill()
    assert list(await CodexHarness.session.discover(place_of(request))) == []


def test_messages_arrive_whole_and_once_lesson_38(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    def prompt_of(text: str) -> str:
        before = len(server.turns)
        screen.type(*CodexHarness().keystrokes(text))
        read_until(screen, lambda: len(server.turns) > before)
        read_for(screen, 0.5)
        assert len(server.turns) == before + 1
        return server.turns[-1].prompt

    long = "\n".join(f"line {number}" for number in range(5_000))
    with shown(launch(CodexHarness(), a_request(workspace, home(workspace), tmp_path))) as screen:
        screen.until(READY)
        for text in ("first", "two\nlines\tand a tab", "look at $ima", "ends in @x", "ends in \\", long):
            assert prompt_of(text) == text
        assert prompt_of("!exit 7").strip() == "!exit 7"


def test_a_task_that_looks_like_a_flag_is_said_and_not_taken_for_one(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, home(workspace), tmp_path)
    task = "--version, please:\nthe code word is plum 'x' $(y)"
    request = msgspec.structs.replace(request, args=("--search",), task=task)
    with shown(launch(CodexHarness(), request)) as screen:
        # To a task's answer that comes at once the screen is sometimes blind, and says "Working" for ever.
        read_until(screen, lambda: bool(server.turns))
    assert server.turns[0].prompt == task


def test_a_refused_id_is_known_by_the_end(home: Home, workspace: Path, tmp_path: Path) -> None:
    unknown = CodexHarness.session.resume_args("11111111-2222-7333-8444-555555555555")
    with shown(launch(CodexHarness(), a_request(workspace, home(workspace), tmp_path, *unknown))) as screen:
        code = screen.drain()
        info = ExitInfo(exit=Exit(code=code, at=0), ran_for=1, tail=screen.output.decode()[-2000:])
    assert CodexHarness().classify_exit(info) is ExitKind.UNRESUMABLE


@pytest.mark.parametrize(
    "parts", [("a.b_c", "Gru\u0308n 😀"), ("x" * 100, "ü" * 60, "😀" * 30)], ids=["short", "long"]
)
async def test_rollouts_say_where_a_conversation_was_begun_lesson_24(
    home: Home, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    real = Path(await anyio.Path(tmp_path).resolve(), *parts)
    await anyio.Path(real).mkdir(parents=True)
    link = tmp_path / "link"
    await anyio.Path(link).symlink_to(real)
    session = CodexHarness.session
    request = msgspec.structs.replace(a_request(link, home(real), tmp_path), task="hello")
    with shown(launch(CodexHarness(), request)) as screen:
        await until_stored(session, place_of(request), screen)
    for cwd in (real, link):
        place = Place(cwd=cwd, env=request.env)
        (found,) = await session.discover(place)
        assert found.cwd == str(real)
        assert await session.verify(found.session_id, place) is Evidence.FOUND

"""The real Claude Code, launched by the harness: it talks, is killed, and remembers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import (
    Command,
    Evidence,
    Exit,
    ExitInfo,
    ExitKind,
    Place,
    Size,
    identify,
)
from afx.tower.screen import shown as rows_shown
from afx_harness_claude.provider import ClaudeHarness
from afx_harness_claude.talk import has_turn
from afx_harness_claude.transcripts import transcript

from .conftest import Home
from .launching import a_request, launch
from .model_server import QUESTION, ModelServer
from .screen import Screen, shown

pytestmark = pytest.mark.real

# Claude Code has its input line ready when it asks for bracketed paste.
READY = b"\x1b[?2004h"


async def becomes(question: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Ask until the answer is the wanted one."""
    with anyio.fail_after(30):
        while await question() != wanted:  # noqa: ASYNC110 - the program tells nobody when it writes
            await anyio.sleep(0.05)


def end_of(screen: Screen) -> ExitInfo:
    code = screen.drain()
    return ExitInfo(exit=Exit(code=code, at=0), ran_for=1, tail=screen.output.decode()[-2000:])


def printed(command: Command) -> str:
    done = subprocess.run(
        command.argv,
        env=command.env,
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def trust_nothing(home: Path) -> None:
    settings = {"hasCompletedOnboarding": True, "projects": {}}
    (home / ".claude.json").write_text(json.dumps(settings), encoding="utf-8")


async def test_a_killed_conversation_is_resumed_with_all_that_was_said(
    home: Home,
    server: ModelServer,
    workspace: Path,
    tmp_path: Path,
) -> None:
    env = home(workspace)
    place = Place(cwd=workspace, env=env)
    session = ClaudeHarness.session
    name = session.mint()
    request = a_request(workspace, env, tmp_path, *session.new_session_args(name))
    assert await session.verify(name, place) is Evidence.MISSING

    with shown(launch(ClaudeHarness(), request)) as screen:
        screen.until(READY)
        assert await session.verify(name, place) is Evidence.MISSING
        screen.type(*ClaudeHarness().keystrokes("Remember: the code word is marzipan"))
        turn = server.wait_for(lambda turn: "marzipan" in turn.prompt)
        assert "Rhubarb" in turn.system
        screen.until("Noted napizram.")
        written = transcript(name, workspace, env)
        with anyio.fail_after(30):
            while not has_turn(written):  # noqa: ASYNC110 - the program tells nobody when it writes
                await anyio.sleep(0.05)
        assert await session.verify(name, place) is Evidence.FOUND
        screen.kill()

    resumed = msgspec.structs.replace(request, session_args=tuple(session.resume_args(name)))
    with shown(launch(ClaudeHarness(), resumed)) as screen:
        screen.until(READY)
        screen.until("marzipan")
        screen.type(*ClaudeHarness().keystrokes(QUESTION))
        turn = server.wait_for(lambda turn: turn.prompt == QUESTION)
        assert any("marzipan" in text for _, text in turn.messages)
        assert "Rhubarb" in turn.system
        screen.until("It was marzipan.")


def test_messages_arrive_whole_once_and_beside_a_draft_lesson_38(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    def prompt_of(*keys: bytes) -> str:
        before = len(server.turns)
        screen.type(*keys)
        found = server.wait_for(lambda _: True, since=before)
        screen.until(found.prompt.splitlines()[-1])
        assert len(server.turns) == before + 1
        return found.prompt

    harness = ClaudeHarness()
    long = "\n".join(f"line {number}" for number in range(20_000))
    with shown(launch(ClaudeHarness(), a_request(workspace, home(workspace), tmp_path))) as screen:
        screen.until(READY)
        assert prompt_of(*harness.keystrokes("first")) == "first"
        screen.type(b"a draft of mine")
        screen.until("a draft of mine")
        assert prompt_of(*harness.keystrokes("a message")) == "a message"
        assert prompt_of(b"\r") == "a draft of mine"
        assert prompt_of(*harness.keystrokes("!exit 7")).strip() == "!exit 7"
        assert prompt_of(*harness.keystrokes("ends in \\")) == "ends in \\"
        assert long in prompt_of(*harness.keystrokes(long))


def test_a_task_that_looks_like_a_flag_is_said_and_not_taken_for_one(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, home(workspace), tmp_path)
    task = "--version, please:\nthe code word is plum 'x' $(y)"
    request = msgspec.structs.replace(request, args=("--allowedTools", "Read"), task=task)
    with shown(launch(ClaudeHarness(), request)) as screen:
        assert server.wait_for(lambda _: True).prompt == task
        screen.until("Noted mulp.")


def test_a_refused_id_is_known_by_the_end(home: Home, workspace: Path, tmp_path: Path) -> None:
    session = ClaudeHarness.session
    unknown = session.resume_args(session.mint())
    with shown(launch(ClaudeHarness(), a_request(workspace, home(workspace), tmp_path, *unknown))) as screen:
        assert ClaudeHarness().classify_exit(end_of(screen)) is ExitKind.UNRESUMABLE


def test_a_missing_login_is_known_by_the_end(home: Home, workspace: Path, tmp_path: Path) -> None:
    env = home(workspace)
    del env["ANTHROPIC_AUTH_TOKEN"]
    request = msgspec.structs.replace(a_request(workspace, env, tmp_path), args=("--print",), task="hello")
    with shown(launch(ClaudeHarness(), request)) as screen:
        assert ClaudeHarness().classify_exit(end_of(screen)) is ExitKind.AUTH


async def test_a_dialog_takes_no_message_and_the_prompt_does_lesson_38(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    harness = ClaudeHarness()
    request = a_request(workspace, home(workspace), tmp_path)
    request = msgspec.structs.replace(request, args=("--permission-mode", "default"))
    # The program runs under a wrapper, as it may in a person's terminal.
    command = launch(ClaudeHarness(), request)
    wrapped = msgspec.structs.replace(command, argv=("/bin/sh", "-c", '"$@"; exit $?', "sh", *command.argv))
    with shown(wrapped) as screen:
        process = identify(screen.process.pid)
        assert process is not None

        async def takes() -> bool | None:
            return await harness.takes_messages(process, None)

        screen.until(READY)
        await becomes(takes, True)
        screen.type(*harness.keystrokes("Run the command: touch approved"))
        screen.until("Do you want to proceed?")
        await becomes(takes, False)
        screen.type(b"\x1b")
        await becomes(takes, True)
        screen.type(*harness.keystrokes("/status"))
        server.wait_for(lambda turn: turn.prompt.endswith("Message: /status"))
        screen.until("Message: /status")
        assert not (workspace / "approved").exists()


async def test_the_question_of_trust_takes_no_message(home: Home, workspace: Path, tmp_path: Path) -> None:
    env = home(workspace)
    trust_nothing(Path(env["HOME"]))
    with shown(launch(ClaudeHarness(), a_request(workspace, env, tmp_path))) as screen:
        screen.until("Enter to confirm")
        process = identify(screen.process.pid)
        assert process is not None

        async def takes() -> bool | None:
            rows = rows_shown(screen.output, Size(cols=screen.cols, rows=40))
            return await ClaudeHarness().takes_messages(process, rows)

        await becomes(takes, False)


async def test_only_the_conversation_of_this_directory_is_discovered_lesson_16(
    home: Home, workspace: Path, tmp_path: Path
) -> None:
    # The names of both are the same to the program, which keeps their transcripts in one directory.
    beside = tmp_path / "work-space.é-1"
    beside.mkdir()
    env = home(workspace)
    place = Place(cwd=workspace, env=env)
    session = ClaudeHarness.session
    names = [session.mint() for _ in range(3)]
    for name, cwd in zip(names, (workspace, workspace, beside), strict=True):
        request = a_request(cwd, env, tmp_path, *session.new_session_args(name))
        command = launch(
            ClaudeHarness(), msgspec.structs.replace(request, args=("--print",), task=f"hello of {cwd.name}")
        )
        assert printed(command) == f"You said: hello of {cwd.name}"
    assert len({transcript(name, cwd, env).parent for name in names for cwd in (workspace, beside)}) == 1

    found = await session.discover(place)
    assert [one.session_id for one in found] == [names[1], names[0]]
    assert {one.cwd for one in found} == {str(workspace)}
    assert found[0].first == f"hello of {workspace.name}"
    assert found[0].last == f"You said: hello of {workspace.name}"
    assert [one.session_id for one in await session.discover(Place(cwd=beside, env=env))] == [names[2]]
    assert await session.describe(names[1], place) == found[0]


async def test_the_holder_is_the_live_process_and_nobody_once_it_was_killed_lesson_20(
    home: Home, workspace: Path, tmp_path: Path
) -> None:
    env = home(workspace)
    place = Place(cwd=workspace, env=env)
    session = ClaudeHarness.session
    name = session.mint()
    with shown(
        launch(ClaudeHarness(), a_request(workspace, env, tmp_path, *session.new_session_args(name)))
    ) as screen:
        screen.until(READY)
        await becomes(lambda: session.held_by(name, place), identify(screen.process.pid))
        assert await session.held_by(session.mint(), place) is None
        screen.kill()
        assert await anyio.Path(env["HOME"], ".claude", "sessions", f"{screen.process.pid}.json").exists()
        assert await session.held_by(name, place) is None


@pytest.mark.parametrize(
    "parts", [("a.b_c", "Gru\u0308n 😀"), ("x" * 100, "ü" * 60, "😀" * 30)], ids=["short", "long"]
)
async def test_transcripts_lie_where_the_harness_looks_lesson_24(
    home: Home, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    workspace = tmp_path.joinpath(*parts)
    workspace.mkdir(parents=True)
    env = home(workspace)
    session = ClaudeHarness.session
    name = session.mint()
    request = a_request(workspace, env, tmp_path, *session.new_session_args(name))
    command = launch(ClaudeHarness(), msgspec.structs.replace(request, args=("--print",), task="hello"))
    assert printed(command) == "You said: hello"
    assert has_turn(transcript(name, workspace, env))
    (found,) = await session.discover(Place(cwd=workspace, env=env))
    assert (found.session_id, found.cwd) == (name, str(workspace.resolve()))

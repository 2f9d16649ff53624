"""The real Codex, launched by the harness: it talks, is killed, and remembers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import (
    AgentKind,
    Command,
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

from . import codex_server
from .codex_server import CodexServer
from .letting_go import until_let_go
from .loopback import read_for, read_until
from .model_server import QUESTION
from .npm import installed
from .screen import Screen, shown

pytestmark = pytest.mark.real

VERSION = CodexHarness.checked_versions[0]
ROLE = "You are the architect of a test.\n"
READY = "Ask Codex to do anything"

Home = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def codex_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("codex", f"@openai/codex@{VERSION}", VERSION, tmp_path_factory.mktemp("npm-home"))


@pytest.fixture
def server() -> Iterator[CodexServer]:
    with codex_server.serve() as server:
        yield server


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "work space.é_1"
    path.mkdir()
    return path.resolve()


@pytest.fixture
def codex_home(codex_program: Path, server: CodexServer, tmp_path: Path) -> Home:
    """Give an environment in which `codex` asks no question in a workspace and talks to the model server."""

    def prepare(workspace: Path) -> dict[str, str]:
        home = tmp_path / "codex-home"
        home.mkdir(exist_ok=True)
        trusted = msgspec.json.encode(str(workspace)).decode()
        settings = f"""
            check_for_update_on_startup = false
            model = "gpt-5"
            model_provider = "loopback"
            [model_providers.loopback]
            name = "loopback"
            base_url = "{server.url}/v1"
            wire_api = "responses"
            env_key = "LOOPBACK_KEY"
            [features]
            apps = false
            plugins = false
            [analytics]
            enabled = false
            [projects.{trusted}]
            trust_level = "trusted"
        """
        (home / "config.toml").write_text(settings, encoding="utf-8")
        return {
            "HOME": str(tmp_path),
            "CODEX_HOME": str(home),
            "LOOPBACK_KEY": "not-a-secret",
            "PATH": f"{codex_program.parent}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "SHELL": "/bin/sh",
            # The program keeps its own helpers in its home, and not where that is for passing things only.
            "TMPDIR": str(workspace),
            "no_proxy": "127.0.0.1",
        }

    return prepare


def launch(request: LaunchRequest) -> Command:
    command = CodexHarness().launch(request)
    for path, content in command.files.items():
        Path(path).write_text(content, encoding="utf-8")
    return command


def a_request(workspace: Path, env: dict[str, str], tmp_path: Path, *session_args: str) -> LaunchRequest:
    return LaunchRequest(
        kind=AgentKind.ARCHITECT,
        name="main",
        cwd=str(workspace),
        env=env,
        role=ROLE,
        session_args=session_args,
        directory=str(tmp_path),
    )


def place_of(request: LaunchRequest) -> Place:
    return Place(cwd=Path(request.cwd), env=request.env)


async def captured(screen: Screen, request: LaunchRequest, at: float) -> str | None:
    launched = Launched(
        place=place_of(request), at=at, process=identify(screen.process.pid), directory=request.directory
    )
    return await CodexHarness.session.capture(launched)


async def test_a_killed_conversation_is_captured_and_resumed_with_all_that_was_said(
    codex_home: Home, server: CodexServer, workspace: Path, tmp_path: Path
) -> None:
    session = CodexHarness.session
    request = a_request(workspace, codex_home(workspace), tmp_path)
    at = time.time()
    with shown(launch(request)) as screen:
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
    with shown(launch(resumed)) as screen:
        screen.until("Noted napizram.")
        screen.type(*CodexHarness().keystrokes(QUESTION))
        screen.until("It was marzipan.")
        turn = server.wait_for(lambda turn: turn.prompt == QUESTION)
        assert any("marzipan" in text for _, text in turn.messages)
        assert f"{tmp_path}/role.md" in turn.system
    assert [one.session_id for one in await session.discover(place_of(request))] == [name]


async def test_a_conversation_is_missing_before_its_first_turn_lesson_19(
    codex_home: Home, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, codex_home(workspace), tmp_path)
    with shown(launch(request)) as screen:
        screen.until(READY)
        screen.kill()
    assert list(await CodexHarness.session.discover(place_of(request))) == []


def test_messages_arrive_whole_and_once_lesson_38(
    codex_home: Home, server: CodexServer, workspace: Path, tmp_path: Path
) -> None:
    def prompt_of(text: str) -> str:
        before = len(server.turns)
        screen.type(*CodexHarness().keystrokes(text))
        read_until(screen, lambda: len(server.turns) > before)
        read_for(screen, 0.5)
        assert len(server.turns) == before + 1
        return server.turns[-1].prompt

    long = "\n".join(f"line {number}" for number in range(5_000))
    with shown(launch(a_request(workspace, codex_home(workspace), tmp_path))) as screen:
        screen.until(READY)
        for text in ("first", "two\nlines\tand a tab", "look at $ima", "ends in @x", "ends in \\", long):
            assert prompt_of(text) == text
        assert prompt_of("!exit 7").strip() == "!exit 7"


def test_a_task_that_looks_like_a_flag_is_said_and_not_taken_for_one(
    codex_home: Home, server: CodexServer, workspace: Path, tmp_path: Path
) -> None:
    request = a_request(workspace, codex_home(workspace), tmp_path)
    task = "--version, please:\nthe code word is plum 'x' $(y)"
    request = msgspec.structs.replace(request, args=("--search",), task=task)
    with shown(launch(request)) as screen:
        screen.until("Noted mulp.")
        assert server.wait_for(lambda _: True).prompt == task


def test_a_refused_id_is_known_by_the_end(codex_home: Home, workspace: Path, tmp_path: Path) -> None:
    unknown = CodexHarness.session.resume_args("11111111-2222-7333-8444-555555555555")
    with shown(launch(a_request(workspace, codex_home(workspace), tmp_path, *unknown))) as screen:
        code = screen.drain()
        info = ExitInfo(exit=Exit(code=code, at=0), ran_for=1, tail=screen.output.decode()[-2000:])
    assert CodexHarness().classify_exit(info) is ExitKind.UNRESUMABLE


@pytest.mark.parametrize(
    "parts", [("a.b_c", "Gru\u0308n 😀"), ("x" * 100, "ü" * 60, "😀" * 30)], ids=["short", "long"]
)
async def test_rollouts_say_where_a_conversation_was_begun_lesson_24(
    codex_home: Home, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    real = Path(await anyio.Path(tmp_path).resolve(), *parts)
    await anyio.Path(real).mkdir(parents=True)
    link = tmp_path / "link"
    await anyio.Path(link).symlink_to(real)
    request = msgspec.structs.replace(a_request(link, codex_home(real), tmp_path), task="hello")
    with shown(launch(request)) as screen:
        screen.until("You said: hello")
    session = CodexHarness.session
    for cwd in (real, link):
        place = Place(cwd=cwd, env=request.env)
        (found,) = await session.discover(place)
        assert found.cwd == str(real)
        assert await session.verify(found.session_id, place) is Evidence.FOUND

"""The real OpenCode, launched by the harness: it talks, is killed, and remembers."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from afx.plugin import (
    Doing,
    Evidence,
    Exit,
    ExitInfo,
    ExitKind,
    Launched,
    Place,
)
from afx_harness_opencode.provider import OpenCodeHarness

from .conftest import Home
from .launching import a_request, launch, say
from .loopback import read_until
from .model_server import QUESTION, ModelServer
from .screen import Screen, shown

pytestmark = pytest.mark.real

UNKNOWN = "ses_00000000000000000000000000"


def until_shown(screen: Screen, text: str) -> None:
    # Not `Screen.until`, which changes the size: then the program draws only what differs from what it
    # believes to be there.
    read_until(screen, lambda: text in screen.shown, seconds=60)


def until_told(server: ModelServer, screen: Screen, text: str) -> None:
    read_until(screen, lambda: server.turns[-1].prompt == text, seconds=60)


def until_doing(screen: Screen, doing: Doing) -> None:
    read_until(screen, lambda: OpenCodeHarness().doing(screen.shown) is doing, seconds=60)


async def test_a_killed_conversation_is_captured_and_resumed_with_all_that_was_said(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    session = OpenCodeHarness.session
    request = a_request(workspace, home(workspace), tmp_path)
    place = Place(cwd=workspace, env=request.env)
    launched = Launched(place=place, at=time.time(), directory=str(tmp_path))
    task = "--help me: the code word is marzipan"
    with shown(launch(OpenCodeHarness(), msgspec.structs.replace(request, task=task))) as screen:
        until_shown(screen, "Noted napizram.")
        until_doing(screen, Doing.WAITING)
        turn = server.wait_for(lambda turn: "marzipan" in turn.prompt and turn.has_tools)
        assert "Rhubarb" in turn.system
        name = await session.capture(launched)
        assert name is not None
        screen.kill()
    assert await session.verify(name, place) is Evidence.FOUND
    assert await session.verify(UNKNOWN, place) is Evidence.MISSING
    (found,) = await session.discover(place)
    assert (found.session_id, found.cwd, found.first) == (name, str(workspace), task)

    resumed = msgspec.structs.replace(request, session_args=tuple(session.resume_args(name)))
    with shown(launch(OpenCodeHarness(), resumed)) as screen:
        until_doing(screen, Doing.WAITING)
        assert await OpenCodeHarness().takes_messages(None, screen.shown)
        say(OpenCodeHarness(), screen, QUESTION)
        until_shown(screen, "It was marzipan.")
        turn = server.wait_for(lambda turn: turn.prompt.strip() == QUESTION and turn.has_tools)
        assert "Rhubarb" in turn.system
        # Neither acts on the program: it begins no conversation, and chooses nothing from a list.
        for text, said in (("/new", "Message: /new "), ("look at @wor", "look at @wor ")):
            until_doing(screen, Doing.WAITING)
            say(OpenCodeHarness(), screen, text)
            until_told(server, screen, said)
    assert [one.session_id for one in await session.discover(place)] == [name]


def test_an_unknown_id_is_refused(home: Home, workspace: Path, tmp_path: Path) -> None:
    command = launch(OpenCodeHarness(), a_request(workspace, home(workspace), tmp_path, "--session", UNKNOWN))
    with shown(command) as screen:
        code = screen.drain()
    info = ExitInfo(exit=Exit(code=code, at=0), ran_for=1, tail=screen.output.decode(errors="replace"))
    assert OpenCodeHarness().classify_exit(info) is ExitKind.UNRESUMABLE

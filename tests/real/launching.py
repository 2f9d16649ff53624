"""How a test launches a real program by its harness: an architect's request, and the files of its command."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import anyio

from afx.plugin import (
    AgentKind,
    Command,
    HarnessProvider,
    HarnessSession,
    LaunchRequest,
    Place,
    Transcript,
)
from afx.tower.echo import echoes

from .loopback import read_for, read_until
from .screen import Screen

ROLE = "You are the architect of a test. Your role's word is Rhubarb.\n"
# The Tower types the parts of a message with such a pause between them.
PAUSE = 0.15


def launch(harness: HarnessProvider, request: LaunchRequest) -> Command:
    """Return the command of a harness, with its files written, as the Tower writes them."""
    command = harness.launch(request)
    for path, content in command.files.items():
        Path(path).write_text(content, encoding="utf-8")
    return command


def a_request(workspace: Path, env: dict[str, str], tmp_path: Path, *session_args: str) -> LaunchRequest:
    """Ask for an architect in a workspace."""
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
    """Return where the program that is asked for keeps its transcripts."""
    return Place(cwd=Path(request.cwd), env=request.env)


async def until_stored(session: HarnessSession, place: Place, screen: Screen) -> Sequence[Transcript]:
    """Read what a program draws until it has written its conversation down, a moment after it has spoken."""
    with anyio.fail_after(30):
        while not (found := await session.discover(place)):
            read_for(screen, 0.1)
    return found


def say(harness: HarnessProvider, screen: Screen, text: str) -> None:
    """Type a message as the Tower does, and read what the program draws meanwhile."""
    first, *others = harness.keystrokes(text)
    before = echoes(first, screen.shown)
    screen.type(first)
    with contextlib.suppress(AssertionError):
        read_until(screen, lambda: echoes(first, screen.shown) > before, seconds=3)
    for part in others:
        read_for(screen, PAUSE)
        screen.type(part)
    for _ in range(5):
        with contextlib.suppress(AssertionError):
            read_until(screen, lambda: not harness.shows_draft(screen.shown), seconds=1)
            return
        screen.type(others[-1])

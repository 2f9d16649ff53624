"""A real program for which there is no Python: Qwen Code, by the definition that stands in the documents."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from afx.plugin import (
    AgentKind,
    Evidence,
    Exit,
    ExitInfo,
    ExitKind,
    HarnessContext,
    LaunchRequest,
    Place,
)
from afx_harness_declared.provider import DeclaredHarness

from . import chat_server
from .conftest import Home
from .launching import launch, say, until_stored
from .model_server import QUESTION, ModelServer
from .programs import Program
from .screen import shown

pytestmark = pytest.mark.real

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/declare-a-harness.md"
ROLE = "You are the architect of a test. Your role's word is Rhubarb.\n"
READY = "Type your message"


def declared(name: str) -> DeclaredHarness:
    """Return the harness that a section in the document declares."""
    blocks = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    sections = [tomllib.loads(block)["harness"] for block in blocks]
    (section,) = (found[name] for found in sections if name in found)
    return DeclaredHarness(HarnessContext(name=name, settings=section))


def settle(home: Path, workspace: Path, url: str) -> dict[str, str]:
    del workspace
    directory = home / ".qwen"
    directory.mkdir(exist_ok=True)
    settings = {
        "security": {"auth": {"selectedType": "openai"}},
        "general": {"disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
        "ui": {"theme": "Qwen Dark"},
    }
    (directory / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"OPENAI_API_KEY": "not-a-secret", "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "loopback"}


QWEN = Program(
    "qwen", "@qwen-code/qwen-code", declared("qwen").checked_versions[0], chat_server.serve, settle
)


@pytest.fixture
def program() -> Program:
    return QWEN


async def test_qwen_is_resumed_with_all_that_was_said(
    home: Home, server: ModelServer, workspace: Path, tmp_path: Path
) -> None:
    harness = declared("qwen")
    session = harness.session
    assert session is not None
    name = session.mint()
    request = LaunchRequest(
        kind=AgentKind.ARCHITECT,
        name="main",
        cwd=str(workspace),
        env=home(workspace),
        role=ROLE,
        task="-- the code word is marzipan",
        session_args=tuple(session.new_session_args(name)),
        directory=str(tmp_path),
    )
    place = Place(cwd=workspace, env=request.env)
    assert await session.verify(name, place) is Evidence.MISSING
    with shown(launch(harness, request)) as screen:
        screen.until("Noted napizram.", seconds=60)
        assert "Rhubarb" in server.wait_for(lambda turn: "marzipan" in turn.prompt).system
        (found,) = await until_stored(session, place, screen)
        screen.kill()
    assert found.session_id == name
    assert await session.verify(name, place) is Evidence.FOUND

    again = msgspec.structs.replace(request, task=None, session_args=tuple(session.resume_args(name)))
    with shown(launch(harness, again)) as screen:
        screen.until(READY, seconds=60)
        say(harness, screen, QUESTION)
        screen.until("It was marzipan.", seconds=60)
        assert "Rhubarb" in server.wait_for(lambda turn: turn.prompt == QUESTION).system

    unknown = msgspec.structs.replace(again, session_args=tuple(session.resume_args(session.mint())))
    with shown(launch(harness, unknown)) as screen:
        code = screen.drain()
    info = ExitInfo(exit=Exit(code=code, at=0), ran_for=1, tail=screen.output.decode(errors="replace"))
    assert harness.classify_exit(info) is ExitKind.UNRESUMABLE

"""A declared harness at work: its command, its conversations, its screen and its ends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from afx.api.errors import SpawnError
from afx.api.harness import (
    Doing,
    Evidence,
    ExitInfo,
    ExitKind,
    HarnessContext,
    Launched,
    LaunchRequest,
    Place,
)
from afx.api.model import AgentKind, Exit
from afx.tower.launch import child_environment
from afx_harness_declared.provider import DeclaredHarness
from afx_harness_declared.session import DeclaredSession
from scripts import write_script

ID = "0b5a7d1e-0000-4000-8000-000000000001"
OTHER = "0b5a7d1e-0000-4000-8000-000000000002"

FULL: dict[str, Any] = {
    "command": "foo",
    "install": "npm install -g foo",
    "args": ["--name", "{name}"],
    "role": ["--system", "{role_file}"],
    "task": ["--", "{task}"],
    "new": ["--id", "{session_id}"],
    "resume": ["--resume", "{session_id}"],
    "env": {"FOO_ROLE": "{role_file}", "FOO_BRACES": "{{}}"},
    "scrub": ["FOO_INSIDE"],
    "unattended": ["--yes", "--mode never-ask"],
    "transcripts": {
        "files": "${FOO_HOME:-~/.foo}/{cwd_dashes}/*.jsonl",
        "id": {"path": r"([^/]+)\.jsonl$"},
        "cwd": {"json": "meta.cwd"},
    },
    "exits": {"unresumable": [42, "No such conversation"], "auth": ["not signed in"], "quit": [130]},
    "screen": {"waiting": [r"Allow\?"], "working": [r"^\* "]},
}


def harness(**changes: object) -> DeclaredHarness:
    settings = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    return DeclaredHarness(HarnessContext(name="foo", settings=settings))


def session(**changes: object) -> DeclaredSession:
    made = harness(**changes).session
    assert made is not None
    return made


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return write_script(tmp_path / "bin/foo")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    cwd = tmp_path / "a.b c"
    cwd.mkdir()
    return Place(cwd=cwd, env={"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")})


def request(place: Place, **changes: Any) -> LaunchRequest:
    given = {"kind": AgentKind.BUILDER, "name": "fix", "cwd": str(place.cwd), "env": dict(place.env)}
    return LaunchRequest(**{**given, "directory": "/agents/a", **changes})


def write(place: Place, session_id: str, cwd: Path | None = None, *, below: str = ".foo") -> Path:
    name = "".join(one if one.isalnum() else "-" for one in str(place.cwd.resolve()))
    path = Path(place.env["HOME"], below, name, f"{session_id}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"type": "queue"}, {"meta": {"cwd": str(cwd or place.cwd)}}]
    path.write_text("no json\n" + "".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_no_child_inherits_the_marks_that_are_to_be_scrubbed() -> None:
    kept = child_environment({"FOO_INSIDE": "1", "FOO_HOME": "/foo"}, [harness()], {})
    assert "FOO_INSIDE" not in kept
    assert kept["FOO_HOME"] == "/foo"


def test_the_command_has_everything_in_its_order(program: Path, place: Place) -> None:
    command = harness().launch(
        request(place, role="You build.", task="-x {a}", args=("--fast",), session_args=("--id", ID))
    )
    assert command.argv == (
        str(program), "--name", "fix", "--id", ID, "--system", "/agents/a/role.md", "--fast", "--", "-x {a}"
    )  # fmt: skip
    assert command.files == {"/agents/a/role.md": "You build."}
    assert (command.env["FOO_ROLE"], command.env["FOO_BRACES"]) == ("/agents/a/role.md", "{}")


@pytest.mark.usefixtures("program")
def test_what_is_not_wanted_leaves_no_trace(place: Place) -> None:
    command = harness(env=None).launch(request(place))
    assert command.argv[1:] == ("--name", "fix")
    assert command.files == {"/agents/a/role.md": ""}
    command = harness(env=None, role=None, task=["@{task_file}"]).launch(request(place, role="r", task="t"))
    assert command.argv[3:] == ("@/agents/a/task.md",)
    assert command.files == {"/agents/a/task.md": "t"}


def test_a_missing_program_is_told_with_the_way_to_install_it(place: Place) -> None:
    with pytest.raises(SpawnError, match="`foo` is not on the PATH") as caught:
        harness().launch(request(place))
    assert "npm install -g foo" in caught.value.hint


def test_without_a_way_to_resume_there_are_no_conversations() -> None:
    assert harness(new=None, resume=None).session is None


async def test_transcripts_are_found_for_exactly_the_directory_lesson_16(
    place: Place, tmp_path: Path
) -> None:
    write(place, ID)
    # Another directory whose name is spelled alike.
    write(place, OTHER, tmp_path / "a-b-c")
    declared = session()
    assert await declared.verify(ID, place) is Evidence.FOUND
    assert await declared.verify(OTHER, place) is Evidence.MISSING
    assert (
        await session(transcripts={**FULL["transcripts"], "anywhere": True}).verify(OTHER, place)
        is Evidence.FOUND
    )
    assert await declared.verify("0b5a7d1e-0000-4000-8000-000000000003", place) is Evidence.MISSING
    assert await declared.verify("-x", place) is Evidence.MISSING
    assert await session(transcripts=None).verify(ID, place) is Evidence.UNKNOWN
    (found,) = await declared.discover(place)
    assert (found.session_id, found.cwd) == (ID, str(place.cwd.resolve()))
    described = await declared.describe(ID, place)
    assert described is not None
    assert described.path.endswith(f"{ID}.jsonl")


async def test_the_agents_own_environment_says_where_they_lie(place: Place, tmp_path: Path) -> None:
    write(place, ID, below="else[where]")
    moved = Place(cwd=place.cwd, env={**place.env, "FOO_HOME": str(tmp_path / "home/else[where]")})
    assert await session().verify(ID, moved) is Evidence.FOUND
    assert await session().verify(ID, place) is Evidence.MISSING


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
async def test_what_cannot_be_read_is_unknown(place: Place, make: Callable[[Path], None]) -> None:
    path = write(place, ID)
    path.unlink()
    make(path)
    write(place, OTHER)
    with anyio.fail_after(10):
        assert await session().verify(ID, place) is Evidence.UNKNOWN
        assert [one.session_id for one in await session().discover(place)] == [OTHER]


async def test_the_newest_comes_first(place: Place) -> None:
    for number, session_id in enumerate((OTHER, ID)):
        os.utime(write(place, session_id), (number, number))
    assert [one.session_id for one in await session().discover(place)] == [ID, OTHER]


@pytest.mark.usefixtures("program")
async def test_an_id_that_the_program_chose_is_captured_when_it_is_certain(
    place: Place, tmp_path: Path
) -> None:
    declared = harness(new=None)
    assert declared.session is not None
    assert not declared.session.mints_ids
    write(place, ID)
    command = declared.launch(request(place, directory=str(tmp_path)))
    for path, text in command.files.items():
        await anyio.Path(path).write_text(text)
    launched = Launched(place=place, at=time.time(), directory=str(tmp_path))
    assert await declared.session.capture(launched) is None
    write(place, ID)  # Somebody goes on with an older one.
    assert await declared.session.capture(launched) is None
    write(place, OTHER)
    assert await declared.session.capture(launched) == OTHER
    write(place, OTHER[:-1] + "9")
    assert await declared.session.capture(launched) is None, "One of two: not certain."
    assert await declared.session.capture(Launched(place=place, at=0, directory="/nowhere")) is None


def test_ids_have_the_form_that_was_declared() -> None:
    assert session().is_id(session().mint())
    assert not session().is_id(f"{ID}x")
    named = session(id="afx-[0-9a-f]{32}", mint="afx-{hex}")
    assert named.is_id(named.mint())
    assert not named.is_id(ID)
    assert not named.is_id("--x")


@pytest.mark.parametrize(
    ("code", "tail", "kind"),
    [
        (0, "", ExitKind.QUIT),
        (130, "", ExitKind.QUIT),
        (3, "", ExitKind.CRASH),
        (42, "", ExitKind.UNRESUMABLE),
        (0, "Error: \x1b[31mNo such conversation\x1b[0m", ExitKind.UNRESUMABLE),
        (1, "You are not signed in.", ExitKind.AUTH),
    ],
)
def test_ends_are_told_apart(code: int, tail: str, kind: ExitKind) -> None:
    info = ExitInfo(exit=Exit(code=code, at=1.0), ran_for=1.0, tail=tail)
    assert harness().classify_exit(info) is kind


def test_the_screen_says_what_it_does() -> None:
    assert harness().doing("* busy\nAllow?") is Doing.WAITING
    assert harness().doing("a\n* busy") is Doing.WORKING
    assert harness().doing("a * b") is Doing.UNKNOWN


def test_messages_are_pasted_or_typed() -> None:
    assert harness().keystrokes("a\nb")[0].startswith(b"\x1b[200~")
    assert harness(paste=False).keystrokes("a\nb") == (b"a b", b"\r")

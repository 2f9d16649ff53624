"""What is known of Gemini CLI's conversations, in the layout of each of its versions."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from afx.plugin import AgentKind, Evidence, Launched, LaunchRequest, Place, identify
from afx_harness_gemini.chats import keep, set_apart
from afx_harness_gemini.provider import GeminiHarness
from afx_harness_gemini.session import GeminiSession

# Nobody on this machine has these.
ID = "2647dc37-f7cf-4647-9e62-00000000000a"
OTHER = "3647dc37-f7cf-4647-9e62-e47afe148df3"
BEGAN = "2026-11-21T11:04:21.927Z"
BEGAN_AT = 1795259061.927

SAID = (("user", "Mend\n the roof"), ("gemini", "It is mended."))
CONTEXT = "<session_context>\nThis is the Gemini CLI.\n</session_context>"

At = Callable[[Path], Place]
Write = Callable[..., Path]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "gemini home" / ".gemini"


@pytest.fixture
def at(home: Path) -> At:
    """Say where an agent works. Its environment is not the test's own."""
    return lambda cwd: Place(cwd=cwd, env={"GEMINI_CLI_HOME": str(home.parent)})


def message(kind: str, text: str) -> dict[str, object]:
    content = [{"text": text}] if kind == "user" else text
    return {"id": f"{kind}-1", "timestamp": BEGAN, "type": kind, "content": content}


def head(cwd: object, session_id: str = ID, kind: str = "main") -> dict[str, object]:
    hashed = sha256(str(cwd).encode()).hexdigest()
    return {"sessionId": session_id, "projectHash": hashed, "startTime": BEGAN, "kind": kind}


def lines(cwd: object, session_id: str = ID, *said: tuple[str, str], kind: str = "main") -> list[str]:
    """The lines of a chat, as newer programs write them: what is said, and changes of the whole."""
    begin = {"$set": {"messages": [message("user", CONTEXT)]}}
    changes = [change for one in said for change in (message(*one), {"$set": {"lastUpdated": BEGAN}})]
    return [json.dumps(one) for one in (head(cwd, session_id, kind), begin, *changes)]


@pytest.fixture(params=["0.61", "0.38", "0.26", "unregistered", "link"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write(home: Path) -> Write:
    """Write a chat where a version of the program would, and what leads to it."""

    def write(
        cwd: Path,
        session_id: str = ID,
        *said: tuple[str, str],
        version: str = "0.61",
        minute: int = 4,
        content: str | None = None,
        kind: str = "main",
    ) -> Path:
        said = said or SAID
        slug = sha256(str(cwd).encode()).hexdigest() if version == "0.26" else f"slug-{len(str(cwd))}"
        directory = home / "tmp" / slug
        (directory / "chats").mkdir(parents=True, exist_ok=True)
        if version == "unregistered":
            (directory / ".project_root").write_text(str(cwd), encoding="utf-8")
        elif version != "0.26":
            register = home / "projects.json"
            known = json.loads(register.read_bytes())["projects"] if register.exists() else {}
            register.write_text(json.dumps({"projects": {**known, str(cwd): slug}}), encoding="utf-8")
        is_document = version in {"0.38", "0.26"}
        text = "\n".join(lines(cwd, session_id, *said, kind=kind)) + "\n"
        if is_document:
            messages = [message(*one) for one in (("user", CONTEXT), *said)]
            text = json.dumps({**head(cwd, session_id, kind), "messages": messages}, indent=2)
        name = f"session-2026-11-21T11-{minute:02}-{session_id[:8]}.json{'' if is_document else 'l'}"
        path = directory / "chats" / name
        path.write_text(text if content is None else content, encoding="utf-8")
        return path

    return write


def test_ids_are_minted_as_uuids_and_named_in_the_arguments() -> None:
    session = GeminiSession()
    first, second = session.mint(), session.mint()
    assert str(UUID(first)) == first
    assert first != second
    assert tuple(session.new_session_args(ID)) == ("--session-id", ID)
    assert tuple(session.resume_args(ID)) == ("--resume", ID)


async def test_the_agents_environment_says_where_and_not_the_towers(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path / "of-the-tower"))
    write(tmp_path, ID, *SAID)
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND
    assert await session.verify(ID, Place(cwd=tmp_path, env={"HOME": str(tmp_path)})) is Evidence.MISSING


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["", "../x", "x" * 300, "-t", "a\nb", "\0", f"{{{ID}}}", "latest", "5"])
async def test_what_is_no_uuid_names_no_conversation_lesson_47(tmp_path: Path, name: str, at: At) -> None:
    session = GeminiSession()
    assert not session.is_id(name)
    assert await session.verify(name, at(tmp_path)) is Evidence.MISSING
    assert await session.describe(name, at(tmp_path)) is None
    assert await session.held_by(name, at(tmp_path)) is None


@pytest.mark.parametrize(
    "parts",
    [
        ("plain",),
        ("two  words", "a.b_c"),
        ("Gru\u0308n \u00fc 😀 日本",),
        ("x" * 100, "ü" * 60, "😀" * 30, "y" * 50),
        ('quo"te', "back\\slash"),
    ],
    ids=["plain", "spaces-dots", "letters", "long", "json"],
)
async def test_a_conversation_is_found_by_its_directory_lesson_24(
    write: Write, version: str, tmp_path: Path, parts: tuple[str, ...], at: At
) -> None:
    cwd = tmp_path.joinpath(*parts)
    cwd.mkdir(parents=True)
    path = write(cwd, version=version)
    asked = cwd
    if version == "link":
        asked = tmp_path / "link"
        asked.symlink_to(cwd)
    session = GeminiSession()
    assert await session.verify(ID, at(asked)) is Evidence.FOUND
    (found,) = await session.discover(at(asked))
    assert found == await session.describe(ID, at(asked))
    assert (found.session_id, found.path, found.cwd) == (ID, str(path), str(cwd))
    assert (found.first, found.last) == ("Mend the roof", "It is mended.")
    assert found.began_at == pytest.approx(BEGAN_AT)
    assert found.size == path.stat().st_size


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        ((("user", "hello"),), Evidence.FOUND),
        ((("gemini", "hello"),), Evidence.FOUND),
        ((("user", "/stats"), ("user", "?")), Evidence.MISSING),
        ((("user", "/stats"), ("gemini", "hello")), Evidence.FOUND),
    ],
)
async def test_what_was_said_to_the_program_alone_is_no_turn_lesson_19(
    write: Write, tmp_path: Path, said: tuple[tuple[str, str], ...], evidence: Evidence, at: At
) -> None:
    write(tmp_path, ID, *said)
    assert await GeminiSession().verify(ID, at(tmp_path)) is evidence


async def test_before_the_first_turn_and_of_a_bare_stub_it_is_missing_lesson_19(
    home: Path, write: Write, version: str, tmp_path: Path, at: At
) -> None:
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    await anyio.Path(home).mkdir(parents=True)
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    write(tmp_path, ID, ("info", "Update available"), version=version)
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    assert await session.discover(at(tmp_path)) == []


async def test_the_stub_of_a_resume_does_not_hide_the_conversation(
    write: Write, tmp_path: Path, at: At
) -> None:
    whole = write(tmp_path)
    write(tmp_path, minute=9, content="\n".join(lines(tmp_path)))
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND
    (found,) = await session.discover(at(tmp_path))
    assert found.path == str(whole)


async def test_of_several_files_of_one_conversation_the_newest_counts(
    write: Write, tmp_path: Path, at: At
) -> None:
    older, newer = write(tmp_path), write(tmp_path, minute=9)
    os.utime(older, (1, 1))
    (found,) = await GeminiSession().discover(at(tmp_path))
    assert found.path == str(newer)


async def test_conversations_come_newest_first_and_only_of_exactly_this_directory_lesson_16(
    write: Write, version: str, tmp_path: Path, at: At
) -> None:
    for day, session_id in enumerate((ID, OTHER)):
        os.utime(write(tmp_path, session_id, version=version), (day, day))
    inner = "4647dc37-f7cf-4647-9e62-e47afe148df3"
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", inner, version=version)
    session = GeminiSession()
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [OTHER, ID]
    # The program resumes a conversation in its own directory only.
    assert await session.verify(inner, at(tmp_path)) is Evidence.MISSING


async def test_a_chat_of_another_directory_that_strayed_in_is_left_out(
    write: Write, tmp_path: Path, at: At
) -> None:
    write(tmp_path, content="\n".join(lines("/elsewhere", ID, *SAID)))
    assert await GeminiSession().discover(at(tmp_path)) == []
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.MISSING


async def test_what_the_program_talks_with_itself_is_left_out(
    write: Write, version: str, tmp_path: Path, at: At
) -> None:
    write(tmp_path, version=version, kind="subagent")
    assert await GeminiSession().discover(at(tmp_path)) == []


def resume(place: Place, directory: Path) -> None:
    """Launch the harness as for a resume, without anything being started."""
    program = directory / "bin" / "gemini"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
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
    ("content", "evidence"),
    [
        ("", Evidence.MISSING),
        (lines("CWD", ID, *SAID)[0][:60], Evidence.MISSING),
        (lines("CWD", ID, *SAID)[0], Evidence.MISSING),
        ("[1]\n", Evidence.MISSING),
        ("\n".join(lines("CWD", ID, *SAID))[:-30], Evidence.FOUND),
        ("\n".join([*lines("CWD", ID, *SAID), "not JSON", '{"type":5}', '{"$set":1}']), Evidence.FOUND),
    ],
)
async def test_a_file_that_was_cut_short_tells_what_is_left_of_it(
    write: Write, tmp_path: Path, content: str, evidence: Evidence, at: At
) -> None:
    hashes = [sha256(name.encode()).hexdigest() for name in ("CWD", str(tmp_path))]
    write(tmp_path, content=content.replace(*hashes))
    assert await GeminiSession().verify(ID, at(tmp_path)) is evidence
    assert len(await GeminiSession().discover(at(tmp_path))) == (evidence is Evidence.FOUND)


async def test_a_file_of_another_id_than_its_name_is_that_of_the_id(
    write: Write, tmp_path: Path, at: At
) -> None:
    write(tmp_path, content="\n".join(lines(tmp_path, OTHER, *SAID)))
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [OTHER]


@pytest.mark.parametrize("shape", ["directory", "loop", "pipe"])
async def test_what_cannot_be_read_is_not_missing_lesson_03(
    write: Write, tmp_path: Path, shape: str, at: At
) -> None:
    path = write(tmp_path)
    path.unlink()
    if shape == "directory":
        path.mkdir()
    elif shape == "loop":
        path.symlink_to(path)
    else:
        os.mkfifo(path)
    session = GeminiSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.UNKNOWN
    write(tmp_path, OTHER)
    assert [one.session_id for one in await session.discover(at(tmp_path))] == [OTHER]
    write(tmp_path, minute=9)
    assert await session.verify(ID, at(tmp_path)) is Evidence.FOUND


async def test_a_register_that_cannot_be_read_says_nothing_lesson_03(
    home: Path, tmp_path: Path, at: At
) -> None:
    (home / "projects.json").mkdir(parents=True)
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.UNKNOWN


@pytest.mark.parametrize("register", ["{", '{"projects": []}', '{"projects": {"CWD": "../../x"}}', "[]"])
async def test_a_broken_register_leads_nowhere(
    home: Path, write: Write, tmp_path: Path, register: str, at: At
) -> None:
    write(tmp_path, version="unregistered")
    (home / "projects.json").write_text(register.replace("CWD", str(tmp_path)), encoding="utf-8")
    assert await GeminiSession().verify(ID, at(tmp_path)) is Evidence.FOUND


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start what stands for the program, in a terminal of its own or without one."""
    program = tmp_path / "gemini"
    program.write_text("print('up', flush=True); input()", encoding="utf-8")
    running: list[tuple[subprocess.Popen[bytes], int]] = []

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def start(*arguments: str, in_terminal: bool) -> int:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            stdin=slave,
            stdout=slave,
            start_new_session=True,
            preexec_fn=take_terminal if in_terminal else None,  # noqa: PLW1509 - one call, no locks
        )
        os.close(slave)
        running.append((process, master))
        assert os.read(master, 100).startswith(b"up")
        return process.pid

    yield start
    for process, master in running:
        os.write(master, b"\n")
        process.wait(10)
        os.close(master)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
@pytest.mark.parametrize(
    ("arguments", "in_terminal", "holds"),
    [
        (("--resume", ID), True, True),
        ((f"--session-id={ID}",), True, True),
        (("--resume", ID), False, False),
        (("--resume", OTHER), True, False),
        ((ID,), True, False),
    ],
)
async def test_a_process_that_was_started_with_the_id_holds_it_lesson_20(
    tmp_path: Path,
    started: Callable[..., int],
    arguments: tuple[str, ...],
    *,
    in_terminal: bool,
    holds: bool,
    at: At,
) -> None:
    pid = started(*arguments, in_terminal=in_terminal)
    holder = await GeminiSession().held_by(ID, at(tmp_path))
    assert (None if holder is None else holder.pid) == (pid if holds else None)


def log(home: Path, cwd: Path, *typed: tuple[float, str], session_id: str = ID) -> None:
    """Write the log of what was typed, each so many seconds before or after `BEGAN`."""
    entries = [
        {
            "sessionId": session_id,
            "messageId": number,
            "type": "user",
            "message": text,
            "timestamp": datetime.fromtimestamp(BEGAN_AT + after, UTC).isoformat().replace("+00:00", "Z"),
        }
        for number, (after, text) in enumerate(typed)
    ]
    (home / "tmp" / f"slug-{len(str(cwd))}" / "logs.json").write_text(json.dumps(entries), encoding="utf-8")


CLEARED = ((-60.0, "hello"), (-0.5, "/clear"), (5.0, "/stats"), (9.0, SAID[0][1]), (12.0, "and on"))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
@pytest.mark.parametrize(
    ("typed", "since", "arguments", "found"),
    [
        (CLEARED, -90.0, ("--session-id", ID), OTHER),
        (CLEARED, -90.0, (f"--resume={ID}",), OTHER),
        # Of another process, of an earlier run, nothing cleared, nothing said since, something else said.
        (CLEARED, -90.0, ("--session-id", OTHER), None),
        (CLEARED, -90.0, (), None),
        (CLEARED, 0.0, ("--session-id", ID), None),
        (CLEARED[2:], -90.0, ("--session-id", ID), None),
        (CLEARED[:3], -90.0, ("--session-id", ID), None),
        ((*CLEARED[:3], (9.0, "Mend the door")), -90.0, ("--session-id", ID), None),
        # Long before the chat began, and once more after it.
        (((-50.0, "/clear"), *CLEARED[3:]), -90.0, ("--session-id", ID), None),
        ((*CLEARED, (60.0, "/clear")), -90.0, ("--session-id", ID), None),
    ],
)
async def test_a_conversation_begun_in_the_program_is_that_of_the_words_typed_after_it_was_cleared(
    home: Path,
    write: Write,
    tmp_path: Path,
    started: Callable[..., int],
    typed: tuple[tuple[float, str], ...],
    since: float,
    arguments: tuple[str, ...],
    found: str | None,
    at: At,
) -> None:
    write(tmp_path, OTHER)
    log(home, tmp_path, *typed)
    process = identify(started(*arguments, in_terminal=True))
    launched = Launched(place=at(tmp_path), at=BEGAN_AT + since, process=process, directory=str(tmp_path))
    assert await GeminiSession().capture(launched) == found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
async def test_of_two_conversations_with_the_same_words_neither_is_taken(
    home: Path, write: Write, tmp_path: Path, started: Callable[..., int], at: At
) -> None:
    write(tmp_path, OTHER)
    write(tmp_path, "4647dc37-f7cf-4647-9e62-e47afe148df3")
    log(home, tmp_path, *CLEARED)
    process = identify(started("--session-id", ID, in_terminal=True))
    launched = Launched(place=at(tmp_path), at=0.0, process=process, directory=str(tmp_path))
    assert await GeminiSession().capture(launched) is None


@pytest.mark.parametrize("content", ["", "{", "{}", '[{"timestamp": "never"}, 1]'])
async def test_a_broken_log_says_nothing(
    home: Path, write: Write, tmp_path: Path, started: Callable[..., int], content: str, at: At
) -> None:
    log_file = write(tmp_path, OTHER).parent.parent / "logs.json"
    log_file.write_text(content, encoding="utf-8")
    process = identify(started("--session-id", ID, in_terminal=True))
    launched = Launched(place=at(tmp_path), at=0.0, process=process, directory=str(home))
    assert await GeminiSession().capture(launched) is None


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

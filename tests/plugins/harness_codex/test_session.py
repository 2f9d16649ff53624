"""What is known of Codex's conversations from its rollouts, and from what its processes have open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from afx.plugin import Evidence, Launched, Place, ProcessIdentity, identify
from afx_harness_codex import processes
from afx_harness_codex.session import CodexSession
from plugins.session_tests import At, SessionTests, Write

ID = "01a1fdc1-f920-78d1-b3e4-0ccc39245fe0"
OTHER = "01a1fdca-0eba-71b0-a608-b39df7cf440b"
THIRD = "01a1fdca-001a-79c2-a925-c448854cad42"
BEGAN = "2026-11-21T10:58:30.315Z"
BEGAN_AT = 1795258710.315


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "codex-home"


@pytest.fixture
def at(home: Path) -> At:
    """Say where an agent works. Its environment is not the test's own."""
    return lambda cwd: Place(cwd=cwd, env={"CODEX_HOME": str(home)})


def lines(session_id: str, cwd: object, *said: tuple[str, str], source: object = "cli") -> list[str]:
    """The lines of a rollout, as the program writes them."""
    meta = {"id": session_id, "session_id": session_id, "timestamp": BEGAN, "cwd": cwd, "source": source}
    told = [("user", "<environment_context>\n  <cwd>/w</cwd>\n</environment_context>"), *said]
    messages = [
        {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
        for role, text in told
    ]
    return [
        json.dumps({"timestamp": BEGAN, "type": "session_meta", "payload": meta}),
        json.dumps({"timestamp": BEGAN, "type": "event_msg", "payload": {"type": "task_started"}}),
        *(json.dumps({"timestamp": BEGAN, "type": "response_item", "payload": one}) for one in messages),
        json.dumps({"timestamp": BEGAN, "type": "event_msg", "payload": {"type": "task_complete"}}),
    ]


@pytest.fixture
def write(home: Path) -> Write:
    def write(
        cwd: object,
        session_id: str = ID,
        *,
        day: str = "2026/11/21",
        root: str = "sessions",
        source: object = "cli",
        content: str | None = None,
        suffix: str = ".jsonl",
    ) -> Path:
        said = (("user", "Mend\n the roof"), ("assistant", "It is mended."))
        path = home.joinpath(root, *day.split("/"), f"rollout-2026-11-21T10-58-30-{session_id}{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines(session_id, str(cwd), *said, source=source)) + "\n"
        path.write_text(text if content is None else content, encoding="utf-8")
        return path

    return write


class TestSession(SessionTests):
    session = CodexSession
    home = "CODEX_HOME"
    written = ID
    other = OTHER
    began_at = BEGAN_AT


def test_the_arguments_name_the_id_and_none_is_minted() -> None:
    session = CodexSession()
    assert tuple(session.resume_args(ID)) == ("resume", ID)
    assert tuple(session.new_session_args(ID)) == ()
    assert not session.mints_ids


async def test_a_directory_that_is_a_link_in_the_rollout_is_the_real_one(
    write: Write, tmp_path: Path, at: At
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    write(link)
    assert await CodexSession().verify(ID, at(tmp_path)) is Evidence.FOUND
    (found,) = await CodexSession().discover(at(tmp_path))
    assert found.cwd == str(tmp_path)


async def test_conversations_come_newest_first_and_only_of_exactly_this_directory_lesson_16(
    write: Write, tmp_path: Path, at: At
) -> None:
    for day, session_id in enumerate((ID, OTHER)):
        os.utime(write(tmp_path, session_id, day=f"2026/11/2{day}"), (day, day))
    write(tmp_path / "inner", THIRD)
    write(tmp_path.parent, "01a1fdca-001a-79c2-a925-c448854cad43")
    assert [one.session_id for one in await CodexSession().discover(at(tmp_path))] == [OTHER, ID]


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("cli", True),
        ("vscode", True),
        ("exec", False),
        ("mcp", False),
        ({"subagent": {"thread_spawn": {}}}, False),
        (None, False),
    ],
)
async def test_only_what_a_person_began_is_discovered(
    write: Write, tmp_path: Path, source: object, *, counts: bool, at: At
) -> None:
    write(tmp_path, source=source)
    assert len(await CodexSession().discover(at(tmp_path))) == counts
    assert await CodexSession().verify(ID, at(tmp_path)) is Evidence.FOUND


async def test_before_the_first_turn_there_is_nothing_lesson_19(home: Path, tmp_path: Path, at: At) -> None:
    session = CodexSession()
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    (home / "sessions" / "2026").mkdir(parents=True)
    assert await session.verify(ID, at(tmp_path)) is Evidence.MISSING
    assert await session.discover(at(tmp_path)) == []
    assert await session.describe(ID, at(tmp_path)) is None


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        ("", Evidence.MISSING),
        (lines(ID, "CWD")[0][:60], Evidence.MISSING),
        (lines(ID, "CWD")[1] + "\n", Evidence.MISSING),
        ("[1]\n", Evidence.MISSING),
        (lines(OTHER, "CWD", ("user", "x"))[0] + "\n", Evidence.MISSING),
        (lines(ID, "CWD")[0], Evidence.UNKNOWN),
        ("\n".join(lines(ID, "CWD")), Evidence.UNKNOWN),
        ("\n".join(lines(ID, "CWD", ("user", "x")))[:-30], Evidence.FOUND),
        ("\n".join([*lines(ID, "CWD", ("user", "x")), "not JSON", '{"type":5}', '{"pay']), Evidence.FOUND),
    ],
)
async def test_a_file_that_was_cut_short_tells_what_is_left_of_it(
    write: Write, tmp_path: Path, content: str, evidence: Evidence, at: At
) -> None:
    write(tmp_path, content=content.replace("CWD", str(tmp_path)))
    assert await CodexSession().verify(ID, at(tmp_path)) is evidence
    assert len(await CodexSession().discover(at(tmp_path))) == (evidence is Evidence.FOUND)


async def test_of_another_directory_in_the_archive_or_packed_it_may_be_resumable(
    write: Write, tmp_path: Path, at: At
) -> None:
    session = CodexSession()
    path = write(tmp_path / "other")
    assert await session.verify(ID, at(tmp_path)) is Evidence.UNKNOWN
    path.unlink()
    path = write(tmp_path, root="archived_sessions", day="")
    assert await session.verify(ID, at(tmp_path)) is Evidence.UNKNOWN
    assert await session.discover(at(tmp_path)) == []
    path.unlink()
    write(tmp_path, suffix=".jsonl.zst", content="packed")
    assert await session.verify(ID, at(tmp_path)) is Evidence.UNKNOWN
    assert await session.discover(at(tmp_path)) == []
    assert await session.describe(ID, at(tmp_path)) is None


async def test_where_its_directory_should_be_is_none_it_is_not_missing_lesson_03(
    home: Path, tmp_path: Path, at: At
) -> None:
    await anyio.Path(home).mkdir()
    (home / "sessions").write_text("not a directory", encoding="utf-8")
    assert await CodexSession().verify(ID, at(tmp_path)) is Evidence.UNKNOWN


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Callable[..., ProcessIdentity]]:
    """Start what stands for the program: a process whose child, called codex, has files open."""
    program = tmp_path / "codex"
    program.symlink_to(sys.executable)
    child = "import sys; files = [open(path) for path in sys.argv[1:]]; print('open', flush=True); input()"
    parent = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    started: list[subprocess.Popen[str]] = []

    def hold(*paths: Path) -> ProcessIdentity:
        argv = [sys.executable, "-c", parent, str(program), "-c", child, *map(str, paths)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        identity = identify(process.pid)
        assert identity is not None
        return identity

    yield hold
    for process in started:
        process.communicate("\n", timeout=10)


def launched(cwd: Path, process: ProcessIdentity | None, *taken: str, at: float = 0.0) -> Launched:
    directory = str(cwd / "own")
    place = Place(cwd=cwd, env={"CODEX_HOME": str(cwd / "codex-home")})
    return Launched(place=place, at=at, process=process, directory=directory, taken=frozenset(taken))


needs_proc = pytest.mark.skipif(not processes.can_tell(), reason="this system has no /proc with open files")


@needs_proc
async def test_the_id_is_that_of_the_rollout_that_the_process_has_open(
    write: Write, tmp_path: Path, holding: Callable[..., ProcessIdentity], at: At
) -> None:
    session = CodexSession()
    write(tmp_path, OTHER)
    idle, busy = holding(), holding(write(tmp_path))
    assert await session.capture(launched(tmp_path, idle)) is None
    assert await session.capture(launched(tmp_path, busy)) == ID
    assert await session.capture(launched(tmp_path, busy, ID)) is None
    holder = await session.held_by(ID, at(tmp_path))
    assert holder is not None
    assert holder.pid != busy.pid
    assert await session.held_by(OTHER, at(tmp_path)) is None


@needs_proc
async def test_of_several_open_ones_the_newest_of_the_person_is_meant(
    write: Write, tmp_path: Path, holding: Callable[..., ProcessIdentity]
) -> None:
    first, part = write(tmp_path), write(tmp_path, THIRD, source={"subagent": "review"})
    second = write(tmp_path, OTHER)
    second.write_text(second.read_text(encoding="utf-8").replace("10:58:30", "10:59:30"), encoding="utf-8")
    process = holding(second, part, first)
    assert await CodexSession().capture(launched(tmp_path, process)) == OTHER


@needs_proc
async def test_a_newcomer_with_the_pid_is_not_asked_lesson_01(
    write: Write, tmp_path: Path, holding: Callable[..., ProcessIdentity]
) -> None:
    process = holding(write(tmp_path))
    former = ProcessIdentity(pid=process.pid, start="1", boot_id=process.boot_id)
    assert await CodexSession().capture(launched(tmp_path, former)) is None


async def test_where_open_files_are_hidden_only_the_one_new_rollout_counts(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path / "no-proc")
    session = CodexSession()
    process = identify(os.getpid())
    assert await session.held_by(ID, at(tmp_path)) is None
    assert await session.capture(launched(tmp_path, process, at=BEGAN_AT)) is None
    write(tmp_path / "other", THIRD)
    assert await session.capture(launched(tmp_path, process, at=BEGAN_AT)) is None
    write(tmp_path)
    assert await session.capture(launched(tmp_path, process, at=BEGAN_AT)) == ID
    assert await session.capture(launched(tmp_path, process, at=BEGAN_AT + 5)) is None
    write(tmp_path, OTHER)
    assert await session.capture(launched(tmp_path, process, at=BEGAN_AT)) is None
    assert await session.capture(launched(tmp_path, process, OTHER, at=BEGAN_AT)) == ID

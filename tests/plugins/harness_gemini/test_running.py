"""Which conversation a running program is in."""

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
from pathlib import Path
from uuid import uuid4

import pytest

from afx.plugin import Launched, identify
from afx_harness_gemini.session import GeminiSession
from plugins.session_tests import At, Write

from .written import BEGAN_AT, ID, OTHER, SAID


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
        (("--resume", "MINE"), True, True),
        (("--session-id=MINE",), True, True),
        (("--resume", "MINE"), False, False),
        (("--resume", OTHER), True, False),
        (("MINE",), True, False),
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
    mine = str(uuid4())  # All processes of the machine are looked at, those of other tests too.
    pid = started(*(argument.replace("MINE", mine) for argument in arguments), in_terminal=in_terminal)
    holder = await GeminiSession().held_by(mine, at(tmp_path))
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

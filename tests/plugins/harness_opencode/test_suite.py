"""The suite that every harness passes, with rows as OpenCode writes them, and what is particular to it."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from afx.plugin import (
    Doing,
    Evidence,
    Exit,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    Launched,
    Place,
    SpawnError,
)
from afx.testing.harness_suite import HarnessSuite
from afx_harness_opencode.provider import OpenCodeHarness

TABLES = """
CREATE TABLE IF NOT EXISTS session (id text PRIMARY KEY, parent_id text, directory text NOT NULL,
    time_created integer NOT NULL, time_updated integer NOT NULL);
CREATE TABLE IF NOT EXISTS part (id text PRIMARY KEY, session_id text, time_created integer, data text);
"""


def write(place: Place, session_id: str, parent: str | None = None, began: float | None = None) -> Path:
    path = Path(place.env["HOME"], ".local/share/opencode/opencode.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    at = int((time.time() if began is None else began) * 1000)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(TABLES)
        row = (session_id, parent, os.path.realpath(place.cwd), at, at)
        database.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", row)
        said = [
            {"type": "text", "text": "Mend\nit"},
            {"type": "step-start"},
            {"type": "text", "text": "Done."},
        ]
        for number, part in enumerate(said):
            values = (f"{session_id}{number}", session_id, at + number, json.dumps(part))
            database.execute("INSERT INTO part VALUES (?, ?, ?, ?)", values)
        database.commit()
    return path


class TestOpenCode(HarnessSuite):
    def harness(self) -> HarnessProvider:
        return OpenCodeHarness()

    def new_id(self) -> str:
        return f"ses_{secrets.token_hex(13)}"

    def record(self, place: Place, session_id: str) -> Path:
        return write(place, session_id)

    async def test_what_was_said_is_told(self, place: Place) -> None:
        session_id = self.new_id()
        write(place, session_id)
        (found,) = await OpenCodeHarness.session.discover(place)
        assert (found.first, found.last) == ("Mend it", "Done.")

    async def test_sub_agents_are_not_the_persons(self, place: Place) -> None:
        mine = self.new_id()
        write(place, mine)
        write(place, self.new_id(), parent=mine)
        assert [one.session_id for one in await OpenCodeHarness.session.discover(place)] == [mine]

    async def test_the_only_one_that_began_since_is_captured(self, place: Place) -> None:
        session = OpenCodeHarness.session
        now = time.time()
        write(place, self.new_id(), began=now - 60)
        launched = Launched(place=place, at=now, directory="/nowhere")
        assert await session.capture(launched) is None
        mine = self.new_id()
        write(place, mine, began=now + 1)
        assert await session.capture(launched) == mine
        write(place, self.new_id(), began=now + 2)
        assert await session.capture(launched) is None

    async def test_one_of_another_directory_would_take_the_program_there(self, tmp_path: Path) -> None:
        here, there = self.make_place(tmp_path, "here"), self.make_place(tmp_path, "there")
        session_id = self.new_id()
        write(here, session_id)
        assert await OpenCodeHarness.session.verify(session_id, there) is Evidence.MISSING

    async def test_a_database_that_cannot_be_read_is_no_missing_one(self, place: Place) -> None:
        write(place, self.new_id()).write_bytes(b"no database at all" * 100)
        assert await OpenCodeHarness.session.verify(self.new_id(), place) is Evidence.UNKNOWN

    def test_the_role_comes_beside_the_persons_own_instructions(self, place: Place) -> None:
        own = {"instructions": ["MINE.md"], "theme": "dark"}
        env = {**place.env, "OPENCODE_CONFIG_CONTENT": json.dumps(own)}
        command = self.launch(place, env=env, role="You build.")
        told = json.loads(command.env["OPENCODE_CONFIG_CONTENT"])
        (path,) = command.files
        assert told == {"instructions": ["MINE.md", path], "theme": "dark"}
        for wrong in ("{", "[]", '{"instructions": 3}'):
            with pytest.raises(SpawnError, match="OPENCODE_CONFIG_CONTENT"):
                self.launch(place, env={**place.env, "OPENCODE_CONFIG_CONTENT": wrong}, role="x")

    async def test_the_screen_says_whether_it_takes_messages(self) -> None:
        harness = OpenCodeHarness()
        for screen, takes, doing in (
            ("", False, Doing.UNKNOWN),
            ("tab agents  ctrl+p commands", True, Doing.WAITING),
            ("esc interrupt   ctrl+p commands", True, Doing.WORKING),
            ("Permission required\nAllow once  ctrl+p commands", False, Doing.WAITING),
        ):
            assert await harness.takes_messages(None, screen) is takes
            assert harness.doing(screen) is doing
        assert await harness.takes_messages(None, None) is None

    def test_a_message_is_never_a_command_lesson_38(self, place: Place) -> None:
        assert OpenCodeHarness().keystrokes("/new")[0] == b"\x1b[200~Message: /new \x1b[201~"
        assert OpenCodeHarness().keystrokes("see @src")[0] == b"\x1b[200~see @src \x1b[201~"
        assert self.launch(place, task="/init").argv[-1] == "--prompt=Message: /init"

    def test_a_refused_id_is_known_by_what_is_said(self) -> None:
        info = ExitInfo(exit=Exit(code=1, at=1.0), ran_for=1.0, tail="Error: Session not found: ses_1")
        assert OpenCodeHarness().classify_exit(info) is ExitKind.UNRESUMABLE

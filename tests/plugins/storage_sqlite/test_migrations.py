"""Files of older formats, and the copies that are made of them before they change."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from afx.api.errors import StorageError
from afx.api.model import AgentKind, AgentState, Size
from afx.api.storage import Snapshot
from afx.testing.storage_records import (
    HOST,
    a_conversation,
    a_message,
    a_process,
    a_terminal,
    a_workspace,
    an_agent,
    put,
)
from afx_storage_sqlite.schema import MIGRATIONS, Migration
from plugins.storage_sqlite.file import NEXT, dump, filled, looking, make, modes, number

FIRST_ROWS = """
INSERT INTO workspaces VALUES ('here', '/w/one', 'one', 1.0, 1, 0);
INSERT INTO agents VALUES
    ('here', 'a', '/w/one', 'builder', 'a', NULL, 'memory', 'running', '', '/w/one', NULL, NULL, NULL,
     '[]', '[]', 2.0, NULL),
    ('here', 'b', '/w/one', 'architect', 'main', 'foo', 'memory', 'lost', 'It is gone.', '/w/one', 'b/fix',
     'a', 'mend it', '["-v"]', '["S"]', 2.0, 8.0);
INSERT INTO conversations VALUES ('here', 'a', 'A', 'foo', 'minted', 3.0);
INSERT INTO messages VALUES ('here', 'M', 'a', 'go on', 4.0, NULL);
INSERT INTO terminal_sessions VALUES
    ('here', 'T', 'a', 'memory', '{"socket":"/s"}', NULL, NULL, NULL, 80, 24, 5.0, '[]', NULL, NULL, NULL);
"""
"""One host's rows as the first format had them, in plain SQL: no code of today has a part in them."""

FIRST_RECORDS = Snapshot(
    workspaces=(a_workspace(),),
    agents=(
        an_agent(),
        an_agent(
            "b",
            kind=AgentKind.ARCHITECT,
            name="main",
            harness="foo",
            state=AgentState.LOST,
            reason="It is gone.",
            branch="b/fix",
            spawned_by="a",
            task="mend it",
            args=("-v",),
            past_terminals=("S",),
            removed_at=8.0,
        ),
    ),
    conversations=(a_conversation(),),
    messages=(a_message(),),
    terminals=(a_terminal(),),
)


async def filled_by_the_first(directory: Path) -> None:
    """Leave a file of the first format, with a row in every table."""
    storage = make(directory, MIGRATIONS[:1])
    await storage.open()
    await storage.aclose()
    with looking(directory) as connection:
        connection.execute(FIRST_ROWS)


async def test_each_runs_once_and_a_copy_is_made_before(tmp_path: Path) -> None:
    await filled(tmp_path)
    assert list(modes(tmp_path)) == ["afx.db"]
    third = Migration(
        NEXT.number + 1, "a word", "INSERT INTO notes VALUES ('kept'); UPDATE agents SET reason = 'seen'"
    )
    # Another Tower has the file open, so that what was stored last stands in the write-ahead log only.
    other = make(tmp_path)
    await other.open()
    await other.apply(HOST, put(a_conversation("B")))
    storage = make(tmp_path, (*MIGRATIONS, NEXT, third))
    for _ in range(2):
        await storage.open()
        await storage.aclose()
    await storage.open()
    found = await storage.load(HOST)
    await storage.aclose()
    await other.aclose()
    assert [agent.reason for agent in found.agents] == ["seen"]
    assert found.conversations == (a_conversation(), a_conversation("B"))
    with looking(tmp_path) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",)]
    assert number(tmp_path) == third.number
    copy = f"afx.db.before-{NEXT.number}"
    assert modes(tmp_path) == {"afx.db": 0o600, copy: 0o600}
    # The copy is a whole database of the old format.
    (tmp_path / "restored").mkdir()
    (tmp_path / copy).rename(tmp_path / "restored" / "afx.db")
    storage = make(tmp_path / "restored")
    await storage.open()
    assert (await storage.load(HOST)).conversations == (a_conversation(), a_conversation("B"))
    await storage.aclose()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE half (text) STRICT; CREATE TABLE nonsense (text) STRICT",
        "CREATE TABLE half (text TEXT) STRICT; INSERT INTO half SELECT no_such_column FROM agents",
        "CREATE TABLE half (text TEXT) STRICT; DELETE FROM agents",
        "CREATE TABLE half (text TEXT) STRICT; UPDATE conversations SET id = 'gone'",
    ],
)
async def test_one_that_fails_leaves_the_database_as_before(tmp_path: Path, sql: str) -> None:
    await filled(tmp_path)
    bad = Migration(NEXT.number + 1, "trouble", sql)
    with pytest.raises(StorageError):
        await make(tmp_path, (*MIGRATIONS, NEXT, bad)).open()
    # Migrations are a transaction each: the one before it stays.
    assert number(tmp_path) == NEXT.number
    with looking(tmp_path) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchone() is None
    storage = make(tmp_path, (*MIGRATIONS, NEXT))
    await storage.open()
    assert (await storage.load(HOST)).agents == (an_agent(),)
    with pytest.raises(StorageError):
        # Foreign keys, which are off while migrating, are on again.
        await storage.apply(HOST, put(a_conversation(agent_id="nobody")))
    await storage.aclose()


async def test_a_file_of_the_first_format(tmp_path: Path) -> None:
    await filled_by_the_first(tmp_path)
    assert number(tmp_path) == 1
    storage = make(tmp_path)
    await storage.open()
    assert await storage.load(HOST) == FIRST_RECORDS
    full = an_agent(
        owns_branch=True,
        conversation="A",
        conversation_before="Z",
        env={"CODEX_HOME": "/c"},
        size=Size(132, 50),
        plan={"rung": "stored"},
    )
    await storage.apply(HOST, put(full))
    assert await storage.claim(HOST, "a", a_process()) == a_process()
    await storage.aclose()
    assert number(tmp_path) == len(MIGRATIONS)
    await storage.open()
    assert (await storage.load(HOST)).agents == (full, FIRST_RECORDS.agents[1])
    await storage.aclose()


async def test_the_copy_of_a_file_of_the_first_format_is_what_was_there(tmp_path: Path) -> None:
    await filled_by_the_first(tmp_path)
    with looking(tmp_path) as connection:
        before = dump(connection)
    storage = make(tmp_path)
    await storage.open()
    await storage.aclose()
    assert modes(tmp_path) == {"afx.db": 0o600, "afx.db.before-2": 0o600}
    restored = tmp_path / "restored"
    restored.mkdir()
    (tmp_path / "afx.db.before-2").rename(restored / "afx.db")
    assert number(restored) == 1
    with looking(restored) as connection:
        assert dump(connection) == before
    # And an afx that knows both formats can begin again from it.
    storage = make(restored)
    await storage.open()
    assert await storage.load(HOST) == FIRST_RECORDS
    await storage.aclose()


async def test_many_may_migrate_a_file_at_once(tmp_path: Path) -> None:
    await filled_by_the_first(tmp_path)
    with looking(tmp_path) as connection:
        before = dump(connection)
    storages = [make(tmp_path) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for storage in storages:
            tasks.start_soon(storage.open)
    for storage in storages:
        assert await storage.load(HOST) == FIRST_RECORDS
        await storage.aclose()
    # The copy is of the time before: none that came late made it again, of what is new.
    assert set(modes(tmp_path)) == {"afx.db", "afx.db.before-2"}
    (tmp_path / "afx.db").unlink()
    (tmp_path / "afx.db.before-2").rename(tmp_path / "afx.db")
    with looking(tmp_path) as connection:
        assert dump(connection) == before


async def test_a_copy_that_cannot_be_made_stops_the_migration(tmp_path: Path) -> None:
    await filled_by_the_first(tmp_path)
    (tmp_path / "afx.db.before-2").mkdir()
    with pytest.raises(StorageError, match="could not be used"):
        await make(tmp_path).open()
    assert number(tmp_path) == 1
    (tmp_path / "afx.db.before-2").rmdir()
    # What is left of that copy is in nobody's way.
    storage = make(tmp_path)
    await storage.open()
    assert await storage.load(HOST) == FIRST_RECORDS
    await storage.aclose()
    assert set(modes(tmp_path)) == {"afx.db", "afx.db.before-2"}


async def test_many_may_open_a_new_place_at_once(tmp_path: Path) -> None:
    storages = [make(tmp_path, (*MIGRATIONS, NEXT)) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for storage in storages:
            tasks.start_soon(storage.open)
    assert number(tmp_path) == NEXT.number
    # A place that is new needs no copy.
    assert set(modes(tmp_path)) == {"afx.db", "afx.db-wal", "afx.db-shm"}
    for storage in storages:
        await storage.aclose()

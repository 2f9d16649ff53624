"""The storage in one SQLite file: the common suite, and what only a file on a disk can show."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afx.api.errors import StorageError, StorageTooNewError
from afx.api.model import AgentKind, AgentState, Size
from afx.api.storage import Changes, Record, Snapshot, Storage, StorageContext
from afx.testing.storage_records import (
    HOST,
    a_conversation,
    a_message,
    a_process,
    a_terminal,
    a_workspace,
    agents,
    an_agent,
    conversations,
    messages,
    put,
    terminals,
    workspaces,
)
from afx.testing.storage_suite import StorageSuite
from afx_storage_sqlite.schema import APPLICATION_ID, MIGRATIONS, Migration
from afx_storage_sqlite.storage import SqliteStorage

BASE = (a_workspace(), an_agent(), a_conversation(), a_message(), a_terminal())
NEXT = Migration(len(MIGRATIONS) + 1, "notes", "CREATE TABLE notes (text TEXT NOT NULL) STRICT")


def make(directory: Path, migrations: Sequence[Migration] = MIGRATIONS) -> SqliteStorage:
    return SqliteStorage(StorageContext(directory, {}), migrations)


@contextmanager
def looking(directory: Path) -> Iterator[apsw.Connection]:
    """Look at, or meddle with, the file behind the storage's back.

    Not with `sqlite3`: a second copy of SQLite in one process does not see the locks of the first.
    """
    connection = apsw.Connection(str(directory / "afx.db"))
    try:
        yield connection
    finally:
        connection.close()


def number(directory: Path) -> int:
    with looking(directory) as connection:
        found = connection.pragma("user_version")
    assert isinstance(found, int)
    return found


def modes(directory: Path) -> dict[str, int]:
    """Return the names and permissions of the files of the storage."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.glob("afx.db*")}


def contents(directory: Path) -> dict[str, bytes]:
    """Return what is stored in the files, without the index of the write-ahead log and empty logs."""
    found = {path.name: path.read_bytes() for path in directory.glob("afx.db*") if path.suffix != ".db-shm"}
    return {name: content for name, content in found.items() if content}


def dump(connection: apsw.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the format and all rows, by table."""
    # SQLite's own tables hold statistics, which opening the file may refresh.
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        str(sql): sorted(connection.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608
        for name, sql in tables
    }


async def filled(directory: Path) -> None:
    storage = make(directory)
    await storage.open()
    await storage.apply(HOST, put(*BASE))
    await storage.aclose()


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


class TestSqliteStorage(StorageSuite):
    def storage_factory(self, directory: Path) -> Storage:
        return make(directory)


class TestTheFile:
    async def test_only_its_owner_can_read_it_from_the_first_moment(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            storage = make(tmp_path)
            await storage.open()
            await storage.apply(HOST, put(*BASE))
            found = modes(tmp_path)
            await storage.aclose()
        finally:
            os.umask(before)
        assert found == {"afx.db": 0o600, "afx.db-wal": 0o600, "afx.db-shm": 0o600}

    async def test_its_format_is_marked_and_strict(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        with looking(tmp_path) as connection:
            assert connection.pragma("application_id") == APPLICATION_ID
            assert connection.pragma("user_version") == len(MIGRATIONS)
            assert connection.pragma("journal_mode") == "wal"
            tables = connection.execute(
                "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
        names = ("workspaces", "agents", "conversations", "messages", "terminal_sessions", "claims")
        assert set(tables) == {(name, 1) for name in names}

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM conversations",
            "UPDATE conversations SET id = 'other'",
            "REPLACE INTO conversations SELECT host, agent_id, id, 'other', source, at FROM conversations",
            "PRAGMA foreign_keys = ON; DELETE FROM agents",
        ],
    )
    async def test_no_statement_erases_a_conversation_lesson_18(self, tmp_path: Path, statement: str) -> None:
        await filled(tmp_path)
        with looking(tmp_path) as connection:
            before = connection.execute("SELECT * FROM conversations").fetchall()
            refusals = 0
            try:
                connection.execute(statement).fetchall()
            except apsw.ConstraintError:
                refusals = 1
            assert refusals == (0 if "REPLACE" in statement else 1)
            assert connection.execute("SELECT * FROM conversations").fetchall() == before
        assert len(before) == 1

    async def test_a_word_that_the_format_does_not_know_is_refused(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        with looking(tmp_path) as connection:
            for column in ("kind", "state", "args", "env", "plan", "owns_branch"):
                with pytest.raises(apsw.ConstraintError):
                    connection.execute(f"UPDATE agents SET {column} = 'nonsense'")  # noqa: S608
            with pytest.raises(apsw.ConstraintError):
                connection.execute("UPDATE agents SET cols = 80")

    async def test_a_value_that_cannot_be_stored_is_one_sentence(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        storage = make(tmp_path)
        await storage.open()
        for record in (
            an_agent(name="\udcff"),
            an_agent(created_at=float("nan")),
            an_agent(env={"x": "\udcff"}),
            an_agent(plan={"x": object()}),
            a_terminal(handle={"x": object()}),
            a_terminal(exit=None, started_at="soon"),
        ):
            with pytest.raises(StorageError, match="cannot be stored"):
                await storage.apply(HOST, put(a_conversation("lost"), record))
        assert (await storage.load(HOST)).conversations == (a_conversation(),)
        await storage.aclose()


class TestWhatIsRefused:
    @pytest.mark.parametrize("content", [b"This is a letter to my aunt.\n" * 99, b"x", b"\0" * 4096])
    async def test_a_file_that_is_no_database(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "afx.db").write_bytes(content)
        with pytest.raises(StorageError, match=r"afx\.db is no SQLite database\.") as caught:
            await make(tmp_path).open()
        assert caught.value.hint
        assert (tmp_path / "afx.db").read_bytes() == content
        assert list(modes(tmp_path)) == ["afx.db"]

    async def test_another_programs_database(self, tmp_path: Path) -> None:
        with looking(tmp_path) as connection:
            connection.execute("CREATE TABLE recipes (text)")
        before = (tmp_path / "afx.db").read_bytes()
        with pytest.raises(StorageError, match="of another program") as caught:
            await make(tmp_path).open()
        assert caught.value.hint
        assert (tmp_path / "afx.db").read_bytes() == before

    @pytest.mark.parametrize("left_open", [False, True], ids=["at rest", "in use"])
    async def test_a_newer_format(self, tmp_path: Path, left_open: bool) -> None:
        await filled(tmp_path)
        newer = make(tmp_path, (*MIGRATIONS, NEXT))
        await newer.open()
        # In use, the number of the format stands in the write-ahead log only.
        if not left_open:
            await newer.aclose()
        before = contents(tmp_path)
        with pytest.raises(StorageTooNewError) as caught:
            await make(tmp_path).open()
        assert f"{tmp_path / 'afx.db'} has format {NEXT.number}" in caught.value.message
        assert f"up to {len(MIGRATIONS)}" in caught.value.message
        assert "Upgrade afx" in caught.value.hint
        assert contents(tmp_path) == before
        await newer.aclose()

    async def test_a_newer_format_that_a_killed_tower_left_in_its_log(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        newer = make(tmp_path, (*MIGRATIONS, NEXT))
        await newer.open()
        left = tmp_path / "left"
        left.mkdir()
        for name, content in contents(tmp_path).items():
            (left / name).write_bytes(content)
        await newer.aclose()
        before = contents(left)
        assert "afx.db-wal" in before
        with pytest.raises(StorageTooNewError):
            await make(left).open()
        assert contents(left) == before

    async def test_a_format_that_becomes_newer_while_it_is_open(self, tmp_path: Path) -> None:
        storage = make(tmp_path)
        await storage.open()
        await storage.apply(HOST, put(*BASE))
        newer = make(tmp_path, (*MIGRATIONS, NEXT))
        await newer.open()
        with pytest.raises(StorageTooNewError):
            await storage.apply(HOST, put(a_conversation("B")))
        with pytest.raises(StorageTooNewError):
            await storage.claim(HOST, "a", a_process())
        with pytest.raises(StorageTooNewError):
            await storage.release(HOST, "a", a_process())
        assert (await newer.load(HOST)).conversations == (a_conversation(),)
        await storage.aclose()
        await newer.aclose()

    async def test_a_directory_in_its_place_or_none_above_it(self, tmp_path: Path) -> None:
        (tmp_path / "afx.db").mkdir()
        for directory in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(StorageError, match=r"afx\.db could not be used") as caught:
                await make(directory).open()
            assert caught.value.message.endswith(".")

    async def test_a_storage_that_is_opened_a_second_time(self, tmp_path: Path) -> None:
        storage = make(tmp_path)
        await storage.open()
        with pytest.raises(StorageError, match="open already"):
            await storage.open()
        await storage.apply(HOST, put(*BASE))
        await storage.aclose()


class TestMigrations:
    async def test_each_runs_once_and_a_copy_is_made_before(self, tmp_path: Path) -> None:
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
    async def test_one_that_fails_leaves_the_database_as_before(self, tmp_path: Path, sql: str) -> None:
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

    async def test_a_file_of_the_first_format(self, tmp_path: Path) -> None:
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

    async def test_the_copy_of_a_file_of_the_first_format_is_what_was_there(self, tmp_path: Path) -> None:
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

    async def test_many_may_migrate_a_file_at_once(self, tmp_path: Path) -> None:
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

    async def test_a_copy_that_cannot_be_made_stops_the_migration(self, tmp_path: Path) -> None:
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

    async def test_many_may_open_a_new_place_at_once(self, tmp_path: Path) -> None:
        storages = [make(tmp_path, (*MIGRATIONS, NEXT)) for _ in range(8)]
        async with anyio.create_task_group() as tasks:
            for storage in storages:
                tasks.start_soon(storage.open)
        assert number(tmp_path) == NEXT.number
        # A place that is new needs no copy.
        assert set(modes(tmp_path)) == {"afx.db", "afx.db-wal", "afx.db-shm"}
        for storage in storages:
            await storage.aclose()


class TestWaiting:
    async def test_the_event_loop_goes_on_while_another_process_writes(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        storage = make(tmp_path)
        await storage.open()
        with looking(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(storage.apply, HOST, put(a_conversation("B")))
                for _ in range(10):
                    await anyio.sleep(0.01)
                assert connection.execute("SELECT count(*) FROM conversations").fetchone() == (1,)
                # Were the loop held up, nobody would come here before the storage had given up waiting.
                connection.execute("COMMIT")
        assert len((await storage.load(HOST)).conversations) == 2
        await storage.aclose()

    async def test_opening_a_new_place_waits_for_another_that_makes_it(self, tmp_path: Path) -> None:
        storage = make(tmp_path)
        with looking(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE; CREATE TABLE t (c)")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(storage.open)
                await anyio.sleep(0.1)
                assert connection.pragma("journal_mode") == "delete"
                connection.execute("ROLLBACK")
        assert number(tmp_path) == len(MIGRATIONS)
        await storage.aclose()

    async def test_a_step_that_has_begun_is_carried_through(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        storage = make(tmp_path)
        await storage.open()
        returned = False

        async def cancelled() -> None:
            nonlocal returned
            with anyio.move_on_after(0.1):
                await storage.apply(HOST, put(a_conversation("B")))
            returned = True

        with looking(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancelled)
                await anyio.sleep(0.3)
                assert not returned
                connection.execute("COMMIT")
        assert len((await storage.load(HOST)).conversations) == 2
        await storage.aclose()


WRITER = """
import sys
from pathlib import Path

import anyio

from afx.plugin import Changes, Conversation, ConversationSource, StorageContext
from afx_storage_sqlite.storage import SqliteStorage


async def main(directory, host, prefix):
    storage = SqliteStorage(StorageContext(Path(directory), {}))
    await storage.open()
    for number in range(100_000):
        conversations = tuple(
            Conversation(
                agent_id="a",
                id=f"{prefix}-{number}-{part}",
                harness="foo",
                source=ConversationSource.MINTED,
                at=1.0,
            )
            for part in range(3)
        )
        await storage.apply(host, Changes(put=conversations))
        print(number, flush=True)


anyio.run(main, *sys.argv[1:])
"""


def write_until_killed(directory: Path, prefix: int, steps: int) -> set[str]:
    """Let another process write, kill it after so many steps, and return those that it reported as stored."""
    command = [sys.executable, "-c", WRITER, str(directory), HOST, str(prefix)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(steps)]
        writer.kill()
        said += [line for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    return {f"{prefix}-{int(line)}" for line in said}


async def test_kill_9_loses_nothing_that_apply_returned_from(tmp_path: Path) -> None:
    await filled(tmp_path)
    promised: set[str] = set()
    for prefix in range(4):
        # At an ever later moment: at the first step, and further on.
        promised |= write_until_killed(tmp_path, prefix, 1 + 17 * prefix)
        storage = make(tmp_path)
        await storage.open()
        stored = [conversation.id for conversation in (await storage.load(HOST)).conversations]
        await storage.aclose()
        steps = {id_.rpartition("-")[0] for id_ in stored if "-" in id_}
        assert promised <= steps
        # Each step is there whole.
        assert len(stored) == 1 + 3 * len(steps)
    assert len(promised) > 100


CLAIMANT = """
import sys
from pathlib import Path

import anyio
import anyio.to_thread

from afx.plugin import ProcessIdentity, StorageContext
from afx_storage_sqlite.storage import SqliteStorage


async def main(directory, host, pid):
    storage = SqliteStorage(StorageContext(Path(directory), {}))
    await storage.open()
    me = ProcessIdentity(pid=int(pid), start="7", boot_id="a boot")
    dead = ProcessIdentity(pid=1, start="7", boot_id="a boot")
    print("ready", flush=True)
    for line in sys.stdin:
        holder = await storage.claim(host, line.strip(), me, displacing=dead)
        print(holder.pid, flush=True)
    await storage.aclose()


anyio.run(main, *sys.argv[1:])
"""


async def test_of_processes_that_race_one_has_each_claim_lesson_28(tmp_path: Path) -> None:
    pids = (100, 200, 300)
    storage = make(tmp_path)
    await storage.open()
    for agent_id in range(0, 200, 2):
        # Half of the claims are free, half are a dead process's.
        await storage.claim(HOST, str(agent_id), a_process(1))
    with ExitStack() as stack:
        racers = [stack.enter_context(racing(tmp_path, pid)) for pid in pids]
        told = [race(racers, agent_id) for agent_id in range(200)]
    for agent_id, holders in enumerate(told):
        # All name the same holder, so that exactly one of them is named to itself.
        assert len(set(holders)) == 1
        assert holders[0] in pids
        assert await storage.claim(HOST, str(agent_id), a_process(400)) == a_process(holders[0])
    await storage.aclose()
    # It was a race: nobody was always first.
    assert len({holders[0] for holders in told}) > 1


@contextmanager
def racing(directory: Path, pid: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that claims, under the identity of `pid`, what it is told to; end it afterwards."""
    command = [sys.executable, "-c", CLAIMANT, str(directory), HOST, str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as racer:
        try:
            yield racer
        finally:
            racer.kill()


def race(racers: Sequence[subprocess.Popen[str]], agent_id: int) -> list[int]:
    """Tell all at once to claim, and return the pids of the holders that they were told."""
    if agent_id == 0:
        assert [answer(racer) for racer in racers] == ["ready"] * len(racers)
    # Whoever is told first changes from round to round.
    first = agent_id % len(racers)
    for racer in (*racers[first:], *racers[:first]):
        assert racer.stdin is not None
        racer.stdin.write(f"{agent_id}\n")
        racer.stdin.flush()
    return [int(answer(racer)) for racer in racers]


def answer(racer: subprocess.Popen[str]) -> str:
    assert racer.stdout is not None
    return racer.stdout.readline().strip()


@pytest.mark.parametrize("drawn", [workspaces(), agents(), conversations(), messages(), terminals()])
def test_every_field_of_a_record_is_drawn_for_the_suite(drawn: st.SearchStrategy[Record]) -> None:
    # A field that no drawn record sets could be lost in every storage, and no test would see it.
    fields: set[str] = set()
    seen: set[str] = set()

    @given(drawn)
    @settings(max_examples=100, database=None, derandomize=True)
    def draw(record: Record) -> None:
        optional = [field for field in msgspec.structs.fields(record) if not field.required]
        fields.update(field.name for field in optional)
        seen.update(field.name for field in optional if getattr(record, field.name) != default(field))

    draw()
    assert seen == fields


def default(field: msgspec.structs.FieldInfo) -> object:
    """Return the value that a field has where nobody gives one."""
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def test_what_changes_says_is_what_is_tested() -> None:
    # A field that is added to Changes needs a place in every storage, and tests here and in the suite.
    assert Changes.__struct_fields__ == ("put", "prune", "forget")


async def test_the_reference_names_every_table_and_column(tmp_path: Path) -> None:
    await filled(tmp_path)
    text = (Path(__file__).parents[3] / "docs/reference/storage.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in text.split("\n### `")[1:]}
    with looking(tmp_path) as connection:
        columns = connection.execute(
            "SELECT t.name, c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c "
            "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.name <> 'host'"
        ).fetchall()
    assert {table for table, _ in columns} == set(sections)
    assert [(table, column) for table, column in columns if f"`{column}`" not in sections[table]] == []
    formats = text.partition("## Formats")[2]
    assert [m.number for m in MIGRATIONS if f"\n| {m.number} |" not in formats] == []
    assert f"`PRAGMA application_id` is {APPLICATION_ID}" in formats

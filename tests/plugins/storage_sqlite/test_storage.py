"""The storage in one SQLite file: the common suite, and what only a file on a disk can show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afx.api.errors import StorageError, StorageTooNewError
from afx.api.storage import Changes, Record, Storage
from afx.testing.storage_records import (
    HOST,
    a_conversation,
    a_process,
    a_terminal,
    agents,
    an_agent,
    conversations,
    messages,
    put,
    terminals,
    workspaces,
)
from afx.testing.storage_suite import StorageSuite
from afx_storage_sqlite.schema import APPLICATION_ID, MIGRATIONS
from afx_storage_sqlite.storage import SqliteStorage
from plugins.storage_sqlite.file import BASE, NEXT, contents, filled, looking, make, modes, number


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

    @pytest.mark.parametrize(
        "content", [None, b"", b"x", b"\0" * 4096], ids=["none", "empty", "short", "zeros"]
    )
    async def test_a_rehearsal_lets_pass_what_open_may_mend_and_changes_nothing(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "afx.db"
        if content is not None:
            file.write_bytes(content)
        await make(tmp_path).rehearse()
        assert (file.read_bytes() if file.exists() else None) == content
        assert list(modes(tmp_path)) == ([] if content is None else ["afx.db"])

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
        copy = tmp_path / f"afx.db.before-{NEXT.number}"
        assert copy.exists()
        assert f"{copy} is what it was before the upgrade." in caught.value.hint
        with pytest.raises(StorageTooNewError, match=f"format {NEXT.number}"):
            await make(tmp_path).rehearse()
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

    @pytest.mark.parametrize("plant", [Path.mkdir, os.mkfifo])
    async def test_what_is_no_file_in_its_place(self, tmp_path: Path, plant: Callable[[Path], None]) -> None:
        plant(tmp_path / "afx.db")
        with pytest.raises(StorageError, match=r"afx\.db is no plain file"):
            await make(tmp_path).open()

    async def test_no_directory_above_it(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"afx\.db could not be used") as caught:
            await make(tmp_path / "nowhere").open()
        assert caught.value.message.endswith(".")

    async def test_a_storage_that_is_opened_a_second_time(self, tmp_path: Path) -> None:
        storage = make(tmp_path)
        await storage.open()
        with pytest.raises(StorageError, match="open already"):
            await storage.open()
        await storage.apply(HOST, put(*BASE))
        await storage.aclose()


async def has_begun(storage: SqliteStorage) -> None:
    """Wait until the storage is at work, in its thread."""
    with anyio.fail_after(5):
        while not storage._turn.borrowed_tokens:
            await anyio.lowlevel.checkpoint()


class TestWaiting:
    async def test_the_event_loop_goes_on_while_another_process_writes(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        storage = make(tmp_path)
        await storage.open()
        with looking(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(storage.apply, HOST, put(a_conversation("B")))
                await has_begun(storage)
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
                await has_begun(storage)
                await anyio.sleep(0.1)  # For it to meet the other, of which SQLite tells nobody.
                assert connection.pragma("journal_mode") == "delete"
                connection.execute("ROLLBACK")
        assert number(tmp_path) == len(MIGRATIONS)
        await storage.aclose()

    async def test_a_step_that_has_begun_is_carried_through(self, tmp_path: Path) -> None:
        await filled(tmp_path)
        storage = make(tmp_path)
        await storage.open()
        returned = anyio.Event()
        scope = anyio.CancelScope()

        async def apply() -> None:
            with scope:
                await storage.apply(HOST, put(a_conversation("B")))
            returned.set()

        with looking(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(apply)
                await has_begun(storage)
                scope.cancel()
                await anyio.wait_all_tasks_blocked()
                assert not returned.is_set()
                connection.execute("COMMIT")
        assert len((await storage.load(HOST)).conversations) == 2
        await storage.aclose()


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
    assert Changes.__struct_fields__ == ("put", "prune", "forget", "outlives_power")


async def test_the_reference_names_every_table_and_column(tmp_path: Path) -> None:
    await filled(tmp_path)
    text = (Path(__file__).parents[3] / "docs/reference/storage.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in text.split("\n### `")[1:]}
    with looking(tmp_path) as connection:
        rows = connection.execute(
            "SELECT t.name, c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c "
            "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.name <> 'host'"
        ).fetchall()
    columns = [(str(table), str(column)) for table, column in rows]
    assert {table for table, _ in columns} == set(sections)
    assert [(table, column) for table, column in columns if f"`{column}`" not in sections[table]] == []
    formats = text.partition("## Formats")[2]
    assert [m.number for m in MIGRATIONS if f"\n| {m.number} |" not in formats] == []
    assert f"`PRAGMA application_id` is {APPLICATION_ID}" in formats

"""The file is damaged, emptied, deleted, replaced: what was stored is back, and nothing is thrown away."""

from __future__ import annotations

import logging
import os
import random
import shutil
from pathlib import Path

import pytest

from afx.plugin import Changes, DoctorContext, StorageError
from afx.testing.storage_records import HOST, a_conversation, a_process, a_terminal, an_agent, put
from afx_storage_sqlite.check import SqliteCheck
from afx_storage_sqlite.database import inspect_database
from afx_storage_sqlite.rescue import COPY_NAME
from afx_storage_sqlite.schema import MIGRATIONS
from plugins.storage_sqlite.file import BASE, filled, looking, make, modes

MANY = 300


async def stored_ids(directory: Path) -> set[str]:
    storage = make(directory)
    await storage.open()
    found = {one.id for one in (await storage.load(HOST)).conversations}
    await storage.aclose()
    return found


async def with_many(directory: Path, first: int = 0) -> set[str]:
    """Store many conversations; return the ids of all that are stored."""
    storage = make(directory)
    await storage.open()
    await storage.apply(HOST, put(*(a_conversation(f"c{first + n}") for n in range(MANY))))
    found = {one.id for one in (await storage.load(HOST)).conversations}
    await storage.aclose()
    return found


def age_copy(directory: Path) -> None:
    """Have the next opening make a new copy."""
    os.utime(directory / COPY_NAME, (1, 1))


def aside(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("afx.db.damaged-*[0-9]"))


def damage(path: Path, seed: int) -> None:
    """Overwrite a page in the middle, as a bad disk does."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    data = bytearray(path.read_bytes())
    page = dice.randrange(2, len(data) // 4096)
    data[page * 4096 : page * 4096 + 4096] = dice.randbytes(4096)
    path.write_bytes(data)


def is_damaged(path: Path) -> bool:
    try:
        return bool(inspect_database(path, len(MIGRATIONS)))
    except StorageError:
        return True


@pytest.mark.parametrize("seed", range(6))
async def test_a_bad_page_costs_nothing_that_was_copied(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(tmp_path)
    ids = await with_many(tmp_path)
    age_copy(tmp_path)
    await stored_ids(tmp_path)
    damage(tmp_path / "afx.db", seed)
    damaged = (tmp_path / "afx.db").read_bytes()
    hurts = is_damaged(tmp_path / "afx.db")
    with caplog.at_level(logging.ERROR):
        assert await stored_ids(tmp_path) == ids
    assert bool(aside(tmp_path)) is hurts
    if not hurts:  # The page was one that nobody reads.
        return
    assert (tmp_path / aside(tmp_path)[0]).read_bytes() == damaged
    assert "It is kept as afx.db.damaged-" in caplog.text
    assert {mode & 0o077 for mode in modes(tmp_path).values()} == {0}


async def test_what_came_after_the_copy_is_read_from_the_damaged_file(tmp_path: Path) -> None:
    await filled(tmp_path)
    await with_many(tmp_path)
    ids = await with_many(tmp_path, first=1000)
    path = tmp_path / "afx.db"
    with looking(tmp_path) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").fetchone()
    assert found is not None
    root = int(str(found[0]))
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096 : root * 4096] = b"\xee" * 4096
    path.write_bytes(data)
    assert await stored_ids(tmp_path) == ids, "the messages' page was lost, and no conversation was on it"
    assert len(aside(tmp_path)) == 1


@pytest.mark.parametrize("left", [0, 100, 4096, 4096 * 5 + 17])
async def test_a_file_that_was_cut_short_is_rescued(tmp_path: Path, left: int) -> None:
    await filled(tmp_path)
    ids = await with_many(tmp_path)
    age_copy(tmp_path)
    await stored_ids(tmp_path)
    with (tmp_path / "afx.db").open("r+b") as file:
        file.truncate(left)
    assert await stored_ids(tmp_path) == ids
    assert len(aside(tmp_path)) == 1


async def test_garbage_in_its_place_is_set_aside_where_a_copy_shows_that_it_was_ours(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "afx.db").write_bytes(b"garbage" * 1000)
    assert await stored_ids(tmp_path) == {a_conversation().id}
    assert len(aside(tmp_path)) == 1


async def test_a_database_of_another_program_is_never_rescued(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "afx.db").unlink()
    with looking(tmp_path) as connection:
        connection.execute("CREATE TABLE recipes (text)")
    with pytest.raises(StorageError, match="another program"):
        await make(tmp_path).open()
    assert aside(tmp_path) == []


async def test_a_damaged_copy_is_not_used(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / COPY_NAME).write_bytes(b"garbage" * 1000)
    with (tmp_path / "afx.db").open("r+b") as file:
        file.truncate(4096)
    assert await stored_ids(tmp_path) <= {a_conversation().id}
    assert len(aside(tmp_path)) == 1


@pytest.mark.parametrize("parts", [("afx.db",), ("afx.db", "afx.db-wal", "afx.db-shm")])
async def test_a_file_that_is_deleted_meanwhile_is_written_again(
    tmp_path: Path, parts: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    await filled(tmp_path)
    storage = make(tmp_path)
    await storage.open()
    await storage.apply(HOST, put(a_conversation("before")))
    for name in parts:
        (tmp_path / name).unlink()
    with caplog.at_level(logging.ERROR):
        await storage.apply(HOST, put(a_conversation("after")))
    assert "was deleted while the Tower ran" in caplog.text
    await storage.apply(HOST, put(a_conversation("later")))
    await storage.aclose()
    assert {"before", "after", "later"} <= await stored_ids(tmp_path)


async def test_a_file_that_is_replaced_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    await filled(tmp_path)
    storage = make(tmp_path)
    await storage.open()
    (tmp_path / "afx.db").unlink()
    (tmp_path / "afx.db").write_bytes(b"another")
    with pytest.raises(StorageError, match="was replaced while"):
        await storage.apply(HOST, put(an_agent(reason="new")))
    with pytest.raises(StorageError):
        await storage.apply(HOST, put(an_agent(reason="newer")))
    await storage.aclose()
    assert (tmp_path / "afx.db").read_bytes() == b"another"


async def test_the_doctor_names_what_was_set_aside(tmp_path: Path) -> None:
    await filled(tmp_path)
    with (tmp_path / "afx.db").open("r+b") as file:
        file.truncate(0)
    await stored_ids(tmp_path)
    found = [*SqliteCheck().examine(DoctorContext(home=tmp_path, env={}))]
    assert any(aside(tmp_path)[0] in finding.what for finding in found)


async def test_what_is_stored_has_reached_the_disk(tmp_path: Path) -> None:
    """A power cut cannot be had here; what SQLite was told to do about one can be asked."""
    storage = make(tmp_path)
    await storage.open()
    await storage.apply(HOST, put(*BASE))
    assert storage._connection is not None
    assert storage._connection.pragma("synchronous") == 2
    # A claim need not outlive a loss of power. What is stored after it must again.
    await storage.claim(HOST, an_agent().id, a_process())
    assert storage._connection.pragma("synchronous") == 2
    # Nor need what is told so. It is stored all the same, and what comes after it outlives that again.
    await storage.apply(HOST, Changes(put=(an_agent("fleeting"),), outlives_power=False))
    assert "fleeting" in {agent.name for agent in (await storage.load(HOST)).agents}
    assert storage._connection.pragma("synchronous") == 2
    assert storage._connection.pragma("fullfsync") == 1
    await storage.aclose()


async def test_what_a_killed_tower_stored_is_copied_by_the_next(tmp_path: Path) -> None:
    await filled(tmp_path)
    killed = make(tmp_path)
    await killed.open()
    await killed.apply(HOST, put(a_conversation("last words")))
    assert killed._connection is not None
    killed._connection.close()  # As the system does; nothing of what `aclose` does beside that.
    await stored_ids(tmp_path)
    with (tmp_path / "afx.db").open("r+b") as file:
        file.truncate(0)
    assert "last words" in await stored_ids(tmp_path)


async def test_what_a_cut_log_has_lost_comes_back_from_the_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To SQLite the file is whole, and nothing tells that it was newer once."""
    await filled(tmp_path)
    killed = make(tmp_path)
    await killed.open()
    later = an_agent("later", name="later")
    await killed.apply(
        HOST, put(later, a_conversation("last words", "later"), a_terminal("its", agent_id="later"))
    )
    assert killed._connection is not None
    killed._copy()
    for part in ("afx.db", COPY_NAME):
        shutil.copyfile(tmp_path / part, tmp_path / f"{part}.then")
    killed._connection.close()
    for part in ("afx.db", COPY_NAME):
        (tmp_path / f"{part}.then").replace(tmp_path / part)
    with looking(tmp_path) as connection:
        names = {row[0] for row in connection.execute("SELECT id FROM conversations")}
        assert "last words" not in names, "the log was cut"
    with caplog.at_level(logging.ERROR, logger="afx.storage"):
        assert "last words" in await stored_ids(tmp_path)
    assert "they are back" in caplog.text
    storage = make(tmp_path)
    await storage.open()
    found = await storage.load(HOST)
    await storage.aclose()
    assert "later" in {agent.id for agent in found.agents}
    assert "its" in {terminal.id for terminal in found.terminals}


async def test_who_removes_the_file_gets_a_new_one(tmp_path: Path) -> None:
    await filled(tmp_path)
    assert (tmp_path / COPY_NAME).exists()
    for name in modes(tmp_path):
        (tmp_path / name).unlink()
    assert await stored_ids(tmp_path) == set()

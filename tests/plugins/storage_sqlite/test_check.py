"""The check of the SQLite file: whole, damaged, foreign, too new, gone, and never changed by a look."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.plugin import DoctorContext, Finding, Level
from afx_storage_sqlite import afx_doctor_checks
from afx_storage_sqlite.check import SqliteCheck
from plugins.storage_sqlite.file import contents, filled, looking


def examine(home: Path, terminals: frozenset[str] | None = None) -> list[Finding]:
    return [*SqliteCheck().examine(DoctorContext(home=home, env={}, terminals=terminals))]


def test_the_entry_names_the_check() -> None:
    assert [entry.name for entry in afx_doctor_checks()] == [SqliteCheck.name]


async def test_a_whole_file_is_fine_and_stays_as_it_is(tmp_path: Path) -> None:
    await filled(tmp_path)
    before = contents(tmp_path)
    (finding,) = examine(tmp_path)
    assert finding.level is Level.OK
    assert contents(tmp_path) == before


async def test_damage_is_found(tmp_path: Path) -> None:
    await filled(tmp_path)
    path = tmp_path / "afx.db"
    data = bytearray(path.read_bytes())
    for offset in range(4096 * 2, len(data), 4096):
        data[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(data)
    (finding,) = examine(tmp_path)
    assert finding.level is Level.ERROR
    assert "damaged" in finding.what


async def test_a_newer_format_and_a_loose_mode_are_errors(tmp_path: Path) -> None:
    await filled(tmp_path)
    with looking(tmp_path) as connection:
        connection.pragma("user_version", 999)
    (tmp_path / "afx.db").chmod(0o644)
    loose, newer = examine(tmp_path)
    assert loose.command == f"chmod 600 {tmp_path / 'afx.db'}"
    assert "format 999" in newer.what


@pytest.mark.parametrize(
    ("terminals", "level"), [(None, Level.OK), (frozenset[str](), Level.ERROR)], ids=["no Tower", "a Tower"]
)
def test_a_missing_file_matters_where_a_tower_runs(
    tmp_path: Path, terminals: frozenset[str] | None, level: Level
) -> None:
    assert [finding.level for finding in examine(tmp_path, terminals)] == [level]

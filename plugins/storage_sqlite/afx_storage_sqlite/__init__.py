"""Keeps the Tower's state in one SQLite file. This module only registers the storage."""

from __future__ import annotations

from collections.abc import Iterable

from afx.plugin import CheckEntry, StorageEntry, hookimpl


@hookimpl
def afx_storages() -> Iterable[StorageEntry]:
    """Bring the storage ``sqlite``."""
    return [
        StorageEntry(
            name="sqlite",
            summary="One SQLite file in the state directory.",
            factory="afx_storage_sqlite.storage:SqliteStorage",
            api_version=1,
        )
    ]


@hookimpl
def afx_doctor_checks() -> Iterable[CheckEntry]:
    """Bring the check of that file."""
    return [
        CheckEntry(
            name="sqlite",
            summary="Whether the SQLite file is whole.",
            factory="afx_storage_sqlite.check:SqliteCheck",
            api_version=1,
        )
    ]

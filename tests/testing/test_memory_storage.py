from __future__ import annotations

from pathlib import Path

from afx.api.storage import Storage, StorageContext
from afx.testing.memory_storage import MemoryStorage
from afx.testing.storage_suite import StorageSuite


class TestMemoryStorage(StorageSuite):
    def storage_factory(self, directory: Path) -> Storage:
        return MemoryStorage(StorageContext(directory, {}))

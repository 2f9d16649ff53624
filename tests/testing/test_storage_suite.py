"""The suite of storages finds what is wrong with one."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

from testing import wrong_storages
from testing.catching import SuiteTests


class TestStorageSuite(SuiteTests):
    module: ClassVar[ModuleType] = wrong_storages
    least = 21

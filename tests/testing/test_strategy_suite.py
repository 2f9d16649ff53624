"""The suite of reconnect strategies finds what is wrong with one."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

from testing import wrong_strategies
from testing.catching import SuiteTests


class TestStrategySuite(SuiteTests):
    module: ClassVar[ModuleType] = wrong_strategies
    least = 16

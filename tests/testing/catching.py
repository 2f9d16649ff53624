"""What shows that a suite finds faults: of many that are wrong in one way each, it catches every one.

A module of such ones has a class `Suite`, which is a `WrongOnes` and the suite in question, a subclass of it
named `TestRight`, and one with a `caught_by` for each fault.
"""

from __future__ import annotations

import inspect
import os
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from afx.testing.conformance import Outcome, examine

TESTS = Path(__file__).parents[1]


class WrongOnes:
    """Whoever is wrong meets the test that catches it, and no other.

    Attributes:
        caught_by: The name of that test; empty for who is right, and meets them all.
    """

    caught_by: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in dir(cls):
            if cls.caught_by and name.startswith("test_") and name != cls.caught_by:
                setattr(cls, name, None)


def caught_by(module: ModuleType) -> dict[str, str]:
    """Return by which test each wrong one of a module is to be caught, by the name of its class."""
    return {
        name: suite.caught_by
        for name, suite in vars(module).items()
        if inspect.isclass(suite) and issubclass(suite, WrongOnes) and suite.caught_by
    }


@cache
def outcome_of(module: ModuleType) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
        return examine(inspect.getsource(module))


class SuiteTests:
    """A subclass in a test module says where the wrong ones are."""

    module: ClassVar[ModuleType]
    least: ClassVar[int]
    """How many tests of the suite there are for the right one, at the least."""

    def test_the_right_one_passes(self) -> None:
        outcome = outcome_of(self.module)
        assert not outcome.trouble
        assert outcome.suites["TestRight"] >= self.least
        assert [failure for failure in outcome.failures if failure.suite == "TestRight"] == []

    def test_each_wrong_one_is_caught_by_name_and_with_a_reason(self) -> None:
        failures = outcome_of(self.module).failures
        assert {failure.suite: failure.test for failure in failures} == caught_by(self.module)
        assert [failure for failure in failures if not failure.why.endswith(".") or not failure.message] == []

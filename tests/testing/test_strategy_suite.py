"""The suite of reconnect strategies finds what is wrong with one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afx.testing.conformance import Outcome, examine

TEXT = Path(__file__).with_name("wrong_strategies.py").read_text()
CAUGHT_BY = dict(re.findall(r'class (Test\w+)\(Suite\):\n    caught_by = "(\w+)"', TEXT))


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    outcome = examine(TEXT)
    assert not outcome.trouble
    return outcome


def test_the_right_one_passes(outcome: Outcome) -> None:
    assert outcome.suites["TestRight"] > 15
    assert [failure for failure in outcome.failures if failure.suite == "TestRight"] == []


@pytest.mark.parametrize("suite", CAUGHT_BY)
def test_a_wrong_one_is_caught_by_name(outcome: Outcome, suite: str) -> None:
    caught = {failure.test: failure for failure in outcome.failures if failure.suite == suite}
    assert CAUGHT_BY[suite] in caught
    assert caught[CAUGHT_BY[suite]].why.endswith(".")

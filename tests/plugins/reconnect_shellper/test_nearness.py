"""What holders run is moved together in memory, and does what it did."""

from __future__ import annotations

import sys

from afx_reconnect_shellper.shellper.nearness import lay_together


def called() -> int:
    return helper() + 1


def helper() -> int:
    return 41


def named() -> str:
    return "named"


def passed_over() -> None:
    """Nobody calls this."""


def test_what_is_called_or_named_gets_code_of_its_own_that_does_the_same() -> None:
    def work() -> None:
        called()

    before = {function: function.__code__ for function in (called, helper, named, passed_over)}
    lay_together(work, [named])
    assert sys.getprofile() is None
    assert (called(), named()) == (42, "named")
    for function, code in before.items():
        assert (function.__code__ is code) == (function is passed_over)
        assert function.__code__ == code

"""When an agent's process may be ended so that another strategy can hold its terminal."""

from __future__ import annotations

import pytest

from afx.api.harness import Doing
from afx.api.model import Exit, Position, Size
from afx.api.strategy import TerminalFacts
from afx.tower.conversion import is_idle

NOW = 1000.0
ENDED = Exit(code=0, at=1.0)


@pytest.mark.parametrize(
    ("doing", "quiet_for", "has_draft", "ended", "wanted"),
    [
        (Doing.WAITING, 2.0, False, None, True),
        (Doing.WAITING, 0.5, False, None, False),
        (Doing.WAITING, 100.0, True, None, False),
        (Doing.WORKING, 100.0, False, None, False),
        (Doing.UNKNOWN, 2.0, False, None, False),
        (Doing.UNKNOWN, 6.0, False, None, True),
        (Doing.UNKNOWN, None, False, None, True),
        (Doing.WORKING, 0.0, True, ENDED, True),
    ],
)
def test_nothing_is_lost_at_an_idle_moment(
    doing: Doing, quiet_for: float | None, *, has_draft: bool, ended: Exit | None, wanted: bool
) -> None:
    facts = TerminalFacts(
        process=None,
        size=Size(),
        end=Position("e", 1),
        last_output_at=None if quiet_for is None else NOW - quiet_for,
        exit=ended,
    )
    assert is_idle(doing, facts, NOW, has_draft=has_draft) is wanted

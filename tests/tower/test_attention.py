"""When a terminal is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.harness import Doing
from afx.tower.attention import LOOK_AT_LAST, LOOK_AT_LAST_WHILE_WORKING, PAUSE, Look, next_look

times = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("last", "last_output_at", "at"),
    [
        pytest.param(Look(100), None, None, id="it never wrote anything"),
        pytest.param(Look(100), 90, 90 + PAUSE, id="a survivor that was quiet is looked at now"),
        pytest.param(Look(100), 100.2, 100.2 + PAUSE, id="output has to pause"),
        pytest.param(Look(100), 101.5, 100 + LOOK_AT_LAST, id="but is not waited for without end"),
        pytest.param(Look(100, 90, Doing.WAITING), 90, None, id="nothing new"),
        pytest.param(Look(100, 90, Doing.WAITING), 130, 100 + LOOK_AT_LAST, id="who waited began to write"),
        pytest.param(Look(100, 90, Doing.WORKING), 101, 101 + PAUSE, id="who worked has paused"),
        pytest.param(
            Look(100, 90, Doing.WORKING), 130, 100 + LOOK_AT_LAST_WHILE_WORKING, id="who works is left to it"
        ),
    ],
)
def test_next_look(last: Look, last_output_at: float | None, at: float | None) -> None:
    assert next_look(last, last_output_at) == at


@given(times, times, times, st.sampled_from(Doing))
def test_what_was_seen_is_not_looked_at_again_and_what_was_not_is(
    at: float, seen: float, written: float, doing: Doing
) -> None:
    due = next_look(Look(at, seen, doing), written)
    assert (due is None) == (written <= seen)
    assert due is None or due <= written + PAUSE

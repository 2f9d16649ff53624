"""What is done about an end, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.harness import ExitKind, Rung
from afx.api.strategy import Cause
from afx.tower.supervisor import FAST, TRIES, Failure, GiveUp, Leave, TryAgain, decide

CRASH, QUIT, AUTH = ExitKind.CRASH, ExitKind.QUIT, ExitKind.AUTH
UNRESUMABLE, UNKNOWN = ExitKind.UNRESUMABLE, ExitKind.UNKNOWN
NONE: frozenset[Rung] = frozenset()


def failures(*rungs: Rung, kind: ExitKind = CRASH) -> list[Failure]:
    return [Failure(rung, kind) for rung in rungs]


S, D, F = Rung.STORED, Rung.DISCOVERED, Rung.FRESH


@pytest.mark.parametrize(
    ("kind", "before", "expected"),
    [
        pytest.param(QUIT, [], Leave(), id="a quit, lesson 25"),
        pytest.param(QUIT, failures(S, S), Leave(), id="a quit after crashes"),
        pytest.param(CRASH, [], TryAgain(0.25, NONE), id="a crash after long"),
        pytest.param(UNKNOWN, [], TryAgain(0.25, NONE), id="nobody knows why"),
        pytest.param(CRASH, failures(S), TryAgain(0.25, NONE), id="one at once"),
        pytest.param(CRASH, failures(S, S), TryAgain(0.5, NONE), id="two at once"),
        pytest.param(CRASH, failures(S, S, S), TryAgain(1.0, frozenset({S})), id="three at once, lesson 27"),
        pytest.param(CRASH, failures(S, S, S, D), TryAgain(2.0, frozenset({S})), id="and the next rung"),
        pytest.param(
            CRASH, failures(S, S, S, D, D, D), TryAgain(8.0, frozenset({S, D})), id="two rungs, lesson 27"
        ),
        pytest.param(
            UNRESUMABLE, failures(S, kind=UNRESUMABLE), TryAgain(0.25, frozenset({S})), id="refused"
        ),
        pytest.param(CRASH, failures(F), TryAgain(0.25, NONE), id="a new one, once"),
    ],
)
def test_decide(kind: ExitKind, before: list[Failure], expected: object) -> None:
    assert decide(kind, before) == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        pytest.param(Cause.FAILURE, TryAgain(0.25, NONE), id="its holder died"),
        pytest.param(Cause.CLOSED, Leave(), id="a person ended the terminal"),
        pytest.param(Cause.SHUT_DOWN, Leave(), id="a person ended what held it"),
    ],
)
def test_decide_about_a_loss(cause: Cause, expected: object) -> None:
    assert decide(CRASH, failures(S), cause) == expected


@pytest.mark.parametrize(
    ("kind", "before", "word"),
    [
        pytest.param(AUTH, [], "signed in", id="not signed in, lesson 26"),
        pytest.param(AUTH, failures(S, S), "signed in", id="signed out meanwhile, lesson 26"),
        pytest.param(CRASH, failures(F, F, F), "3 times", id="new ones fail too, lesson 27"),
        pytest.param(CRASH, failures(S, S, S, F, F, F), "3 times", id="all rungs fail, lesson 27"),
    ],
)
def test_give_up(kind: ExitKind, before: list[Failure], word: str) -> None:
    decision = decide(kind, before)
    assert isinstance(decision, GiveUp)
    assert word in decision.reason


@given(st.lists(st.sampled_from(Rung), max_size=40))
def test_there_is_an_end_to_trying_lesson_27(rungs: list[Rung]) -> None:
    decision = decide(CRASH, failures(*rungs))
    if rungs.count(F) >= TRIES:
        assert isinstance(decision, GiveUp)
    else:
        assert isinstance(decision, TryAgain)
        assert decision.pause <= FAST
        assert {rung for rung in Rung if rungs.count(rung) >= TRIES} == decision.failed

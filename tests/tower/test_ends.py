"""What an end, a loss and a return mean for an agent, as tables."""

from __future__ import annotations

import msgspec
import pytest

from afx.api.model import Agent, AgentState, Exit, Position, Size, TerminalRecord
from afx.api.strategy import Cause, TerminalFacts
from afx.testing.storage_records import an_agent
from afx.tower.ends import after_end, after_loss, after_return, describe
from afx.tower.reconcile import Prune

RUNNING, STOPPED, EXITED = AgentState.RUNNING, AgentState.STOPPED, AgentState.EXITED
CRASHED, LOST, NEEDS = AgentState.CRASHED, AgentState.LOST, AgentState.NEEDS_ATTENTION
QUIT, CRASH = Exit(code=0, at=5.0), Exit(code=3, at=5.0)
SIZE = Size(80, 24)


def agent(state: AgentState = RUNNING, harness: str | None = "claude") -> Agent:
    return an_agent(state=state, harness=harness)


def record(end: Exit | None = None) -> TerminalRecord:
    return TerminalRecord(
        id="t", agent_id="a", host="h", strategy="s", handle={}, size=SIZE, started_at=1.0, exit=end
    )


def facts(end: Exit | None = None, size: Size = SIZE) -> TerminalFacts:
    return TerminalFacts(process=None, size=size, end=Position("e", 0), exit=end)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (CRASH, "Its process ended with exit code 3."),
        (Exit(signal=9, at=1.0), "Its process was ended by SIGKILL."),
        (Exit(signal=99, at=1.0), "Its process was ended by signal 99."),
        (Exit(at=1.0), "Its process ended; how is not known."),
    ],
)
def test_describe(end: Exit, said: str) -> None:
    assert describe(end) == said


@pytest.mark.parametrize(("end", "state"), [(QUIT, EXITED), (CRASH, CRASHED), (Exit(at=1.0), CRASHED)])
def test_after_end(end: Exit, state: AgentState) -> None:
    assert (after_end(agent(), end).state, after_end(agent(), end).reason) == (state, describe(end))


@pytest.mark.parametrize(
    ("before", "cause", "stored", "seen", "state", "says"),
    [
        (RUNNING, Cause.FAILURE, None, None, LOST, "Gone."),
        (RUNNING, Cause.CLOSED, None, None, EXITED, "Gone."),
        (RUNNING, Cause.SHUT_DOWN, None, None, LOST, "Gone."),
        (RUNNING, Cause.SHUT_DOWN, None, CRASH, LOST, "Gone."),
        (RUNNING, Cause.SHUT_DOWN, None, QUIT, EXITED, "exit code 0"),
        (RUNNING, Cause.FAILURE, None, CRASH, CRASHED, "exit code 3"),
        (RUNNING, Cause.FAILURE, QUIT, None, EXITED, "exit code 0"),
        (RUNNING, Cause.FAILURE, QUIT, CRASH, CRASHED, "exit code 3"),
        (STOPPED, Cause.FAILURE, None, CRASH, STOPPED, ""),
        (STOPPED, Cause.CLOSED, None, None, STOPPED, ""),
        (NEEDS, Cause.FAILURE, CRASH, None, NEEDS, ""),
        (NEEDS, Cause.CLOSED, CRASH, None, EXITED, "Gone."),
    ],
)
def test_after_loss(
    before: AgentState, cause: Cause, stored: Exit | None, seen: Exit | None, state: AgentState, says: str
) -> None:
    after = after_loss(agent(before), Prune(record(stored), "Gone.", seen, cause))
    assert after.state is state
    assert says in after.reason


def test_a_loss_changes_nothing_of_who_was_removed() -> None:
    removed = msgspec.structs.replace(agent(), removed_at=2.0)
    assert after_loss(removed, Prune(record(), "Gone.")) == removed


@pytest.mark.parametrize(
    ("before", "stored", "seen", "adopted", "state", "ended"),
    [
        (RUNNING, None, None, False, RUNNING, False),
        (LOST, None, None, True, RUNNING, False),
        (CRASHED, CRASH, None, False, RUNNING, False),
        (RUNNING, None, CRASH, False, CRASHED, True),
        (RUNNING, None, QUIT, False, EXITED, True),
        (CRASHED, CRASH, CRASH, False, CRASHED, True),
        (EXITED, QUIT, QUIT, False, EXITED, False),
        (NEEDS, CRASH, CRASH, False, NEEDS, False),
        (LOST, CRASH, CRASH, True, CRASHED, True),
    ],
)
def test_after_return(
    before: AgentState,
    stored: Exit | None,
    seen: Exit | None,
    *,
    adopted: bool,
    state: AgentState,
    ended: bool,
) -> None:
    wide = Size(120, 40)
    found = after_return(agent(before), record(stored), facts(seen, wide), adopted=adopted)
    assert (found.agent.state, found.ended) == (state, ended)
    assert (found.record.exit, found.record.size) == (seen, wide)


def test_of_a_shell_that_crashed_it_was_told_already_lesson_25() -> None:
    found = after_return(agent(CRASHED, harness=None), record(CRASH), facts(CRASH))
    assert not found.ended

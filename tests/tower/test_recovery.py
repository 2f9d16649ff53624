"""Who is brought back by a recovery, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.model import Agent, AgentKind, AgentState
from afx.testing.storage_records import an_agent
from afx.tower.recovery import Eligibility, eligibility, in_order

DAY = 24 * 3600.0


def lost(name: str = "a", kind: AgentKind = AgentKind.BUILDER, parent: str | None = None) -> Agent:
    return an_agent(name, kind=kind, spawned_by=parent, state=AgentState.LOST)


@pytest.mark.parametrize(
    ("state", "facts", "expected"),
    [
        (AgentState.LOST, {}, Eligibility.ELIGIBLE),
        (AgentState.CRASHED, {}, Eligibility.ELIGIBLE),
        (AgentState.NEEDS_ATTENTION, {}, Eligibility.ELIGIBLE),
        (AgentState.RUNNING, {"runs": True}, Eligibility.LIVE),
        (AgentState.CRASHED, {"runs": True}, Eligibility.LIVE),
        (AgentState.STOPPED, {}, Eligibility.STOPPED),
        (AgentState.STOPPED, {"runs": True}, Eligibility.STOPPED),
        (AgentState.STOPPED, {"answers": False}, Eligibility.STOPPED),
        (AgentState.RUNNING, {"answers": False}, Eligibility.UNREACHABLE),
        (AgentState.EXITED, {}, Eligibility.EXITED),
        (AgentState.LOST, {"directory_is_there": False}, Eligibility.WORKTREE_MISSING),
        (AgentState.STOPPED, {"directory_is_there": False}, Eligibility.WORKTREE_MISSING),
        (AgentState.EXITED, {"directory_is_there": False}, Eligibility.WORKTREE_MISSING),
        (AgentState.LOST, {"last_seen": 0.0}, Eligibility.STALE),
        (AgentState.LOST, {"last_seen": 86.0 * DAY}, Eligibility.ELIGIBLE),
        (AgentState.LOST, {"last_seen": 85.0 * DAY}, Eligibility.STALE),
    ],
)
def test_eligibility(state: AgentState, facts: dict[str, Any], expected: Eligibility) -> None:
    agent = an_agent(state=state)
    given_facts = {
        "runs": False,
        "answers": True,
        "directory_is_there": True,
        "last_seen": 100.0 * DAY,
        "now": 100.0 * DAY,
        "max_age": 14 * DAY,
        **facts,
    }
    assert eligibility(agent, **given_facts) is expected


def test_architects_first_and_parents_before_children_lesson_27() -> None:
    shell = lost("s", AgentKind.SHELL)
    child = lost("b1", parent="b2")
    parent = lost("b2", parent="arch")
    architect = lost("arch", AgentKind.ARCHITECT)
    spawned_architect = lost("arch2", AgentKind.ARCHITECT, parent="s")
    order = [agent.id for agent in in_order([shell, child, parent, architect, spawned_architect])]
    assert order == ["arch", "arch2", "b2", "b1", "s"]


NAMES = st.sampled_from("abcdef")


@given(
    st.lists(st.builds(lost, NAMES, st.sampled_from(AgentKind), st.none() | NAMES), unique_by=lambda a: a.id)
)
def test_every_agent_once_whoever_spawned_whom(agents: list[Agent]) -> None:
    order = in_order(agents)
    assert sorted(agent.id for agent in order) == sorted(agent.id for agent in agents)
    kinds = [agent.kind is AgentKind.ARCHITECT for agent in order]
    assert kinds == sorted(kinds, reverse=True)

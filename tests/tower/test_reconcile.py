"""What the Tower makes of what it finds, as a table and as properties."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afx.api.model import Agent, AgentState, Exit, TerminalRecord
from afx.api.strategy import Life, Orphan, Survival
from afx.testing.storage_records import HOST, an_agent
from afx.testing.strategies import records
from afx.tower.reconcile import Adopt, FinishStop, Prune, Reconnect, Report, Wait, judge, reconcile


def a_record(name: str = "a", host: str = HOST) -> TerminalRecord:
    return TerminalRecord(id=f"t-{name}", agent_id=name, host=host, strategy="one", handle={}, started_at=1.0)


def an_orphan(name: str = "a", terminal: str = "stray", started_at: float = 2.0) -> Orphan:
    return Orphan(
        terminal_id=terminal, agent_id=name, strategy="one", handle={}, started_at=started_at, note="."
    )


ALIVE = Survival(Life.ALIVE)
DEAD = Survival(Life.DEAD, "Its holder is gone.")
SILENT = Survival(Life.NO_ANSWER, "It does not answer.")
STOPPED = an_agent(state=AgentState.STOPPED)
REMOVED = an_agent(removed_at=3.0)


@pytest.mark.parametrize(
    ("survival", "agent", "expected"),
    [
        pytest.param(ALIVE, an_agent(), Reconnect, id="alive"),
        pytest.param(ALIVE, an_agent(state=AgentState.LOST), Reconnect, id="alive though taken for lost"),
        pytest.param(
            ALIVE, an_agent(state=AgentState.CRASHED), Reconnect, id="alive and its program crashed"
        ),
        pytest.param(ALIVE, STOPPED, FinishStop, id="alive and to be stopped, lesson 15"),
        pytest.param(ALIVE, REMOVED, FinishStop, id="alive and removed, lesson 15"),
        pytest.param(ALIVE, None, FinishStop, id="alive and nobody's"),
        pytest.param(DEAD, an_agent(), Prune, id="dead"),
        pytest.param(DEAD, STOPPED, Prune, id="dead and stopped"),
        pytest.param(DEAD, None, Prune, id="dead and nobody's"),
        pytest.param(SILENT, an_agent(), Wait, id="silent, lesson 02"),
        pytest.param(SILENT, STOPPED, Wait, id="silent and to be stopped"),
        pytest.param(None, an_agent(), Wait, id="not surveyed, lesson 04"),
        pytest.param(None, REMOVED, Wait, id="not surveyed and removed, lesson 04"),
    ],
)
def test_judge(survival: Survival | None, agent: Agent | None, expected: type) -> None:
    assert type(judge(a_record(), survival, agent)) is expected


def test_a_dead_ones_end_and_reason_are_kept() -> None:
    end = Exit(code=3, at=5.0)
    decision = judge(a_record(), Survival(Life.DEAD, "Gone.", end), an_agent())
    assert decision == Prune(a_record(), "Gone.", end)


def decide(agents: list[Agent], orphans: list[Orphan], **survivals: Survival) -> list[object]:
    records = [a_record(name) for name in survivals]
    return list(
        reconcile(
            host=HOST,
            agents={agent.id: agent for agent in agents},
            records=records,
            survivals={f"t-{name}": survival for name, survival in survivals.items()},
            orphans=orphans,
        )
    )


def test_orphan_of_an_agent_without_terminal_is_adopted_lesson_06() -> None:
    assert decide([an_agent()], [an_orphan()]) == [Adopt(an_orphan())]


def test_orphan_of_an_agent_whose_terminal_died_is_adopted_lesson_06() -> None:
    assert [type(d) for d in decide([an_agent()], [an_orphan()], a=DEAD)] == [Prune, Adopt]


@pytest.mark.parametrize("survival", [ALIVE, SILENT])
def test_orphan_beside_a_terminal_is_only_listed_lesson_06(survival: Survival) -> None:
    assert decide([an_agent()], [an_orphan()], a=survival)[-1] == Report(an_orphan())


def test_orphan_of_nobody_is_only_listed_lesson_06() -> None:
    assert decide([], [an_orphan()]) == [Report(an_orphan())]
    assert decide([STOPPED], [an_orphan()]) == [Report(an_orphan())]
    assert decide([REMOVED], [an_orphan()]) == [Report(an_orphan())]


def test_of_two_orphans_the_younger_is_adopted() -> None:
    old, young = an_orphan(terminal="old", started_at=1.0), an_orphan(terminal="young", started_at=2.0)
    assert decide([an_agent()], [old, young]) == [Adopt(young), Report(old)]


NAMES = st.sampled_from(["a", "b", "c", "d"])


@given(
    agents=st.dictionaries(NAMES, records(Agent, host=st.just(HOST))),
    hosts=st.dictionaries(NAMES, st.sampled_from([HOST, "elsewhere"])),
    survivals=st.dictionaries(NAMES, st.sampled_from([ALIVE, DEAD, SILENT])),
    orphans=st.lists(
        records(Orphan, agent_id=NAMES, terminal_id=st.sampled_from(["t-a", "t-b", "x", "y"])), max_size=4
    ),
)
@example(agents={"a": an_agent()}, hosts={"a": HOST}, survivals={"a": SILENT}, orphans=[])
def test_only_proof_prunes_and_nobody_has_two_terminals(
    agents: dict[str, Agent],
    hosts: dict[str, str],
    survivals: dict[str, Survival],
    orphans: list[Orphan],
) -> None:
    known = [a_record(name, host) for name, host in hosts.items()]
    decisions = reconcile(
        host=HOST,
        agents={name: msgspec.structs.replace(agent, id=name) for name, agent in agents.items()},
        records=known,
        survivals={f"t-{name}": survival for name, survival in survivals.items()},
        orphans=orphans,
    )
    held: list[str] = []
    for decision in decisions:
        match decision:
            case Prune(record):
                assert survivals[record.agent_id] is DEAD
            case FinishStop(record):
                assert survivals[record.agent_id] is ALIVE
            case Reconnect(record) | Wait(record):
                held.append(record.agent_id)
            case Adopt(orphan):
                held.append(orphan.agent_id)
                assert orphan.terminal_id not in {record.id for record in known if record.host == HOST}
            case Report():
                pass
    assert len(held) == len(set(held))
    mine = {record.id for record in known if record.host == HOST}
    decided = [d.record.id for d in decisions if not isinstance(d, Adopt | Report)]
    assert sorted(decided) == sorted(mine), "every record of this host once, none of another's"

"""The live side of the terminals, over storage and a strategy in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import msgspec
import pytest

from afx.api.errors import ConnectionLostError, NotFoundError, SpawnError, StorageError, UnreachableError
from afx.api.model import AgentState, Exit, TerminalId, TerminalRecord
from afx.api.storage import Changes
from afx.api.strategy import Cause, Connection, StrategyContext, Survival
from afx.testing.clock import FakeClock
from afx.testing.memory_strategy import MemoryStrategy
from afx.tower.agents import Agents
from tower.lab import HOST, WORKSPACE, Lab, a_spec, an_agent, until


@pytest.fixture
def anyio_backend(fake_clock: FakeClock) -> object:
    return fake_clock.backend


async def test_survivors_are_connected_once_under_their_ids_lesson_09(lab: Lab) -> None:
    await lab.begin("a", "b")
    async with lab.tower() as (agents, terminals):
        assert [record.id for record in agents.terminals()] == ["t-a", "t-b"]
        assert {agents.state_of(agent)[0] for agent in agents.all()} == {AgentState.RUNNING}
        assert terminals.hub("t-a").terminal_id == "t-a"
    assert [holder.connections for holder in lab.world.holders.values()] == [2, 2]


async def test_the_dead_are_pruned_and_their_agents_lost(lab: Lab) -> None:
    await lab.begin("a", "b")
    lab.world.kill("t-a")
    async with lab.tower() as (agents, terminals):
        lost = agents.agent("a")
        assert (lost.state, lost.reason, lost.past_terminals) == (
            AgentState.LOST,
            "Its holder is gone.",
            ("t-a",),
        )
        assert agents.terminal_of("a") is None
        with pytest.raises(NotFoundError):
            terminals.hub("t-a")
        assert lab.lost == [], "nobody looked on; it waits for a recovery"
    assert [record.id for record in (await lab.storage.load(HOST)).terminals] == ["t-b"]


async def test_the_silent_are_left_alone_and_come_back_lesson_02(lab: Lab) -> None:
    await lab.begin("a", "b")
    lab.world.holders["t-a"].hangs = True
    async with lab.tower() as (agents, terminals):
        assert agents.state_of(agents.agent("a")) == (AgentState.UNREACHABLE, "Its holder does not answer.")
        assert agents.state_of(agents.agent("b"))[0] is AgentState.RUNNING
        with pytest.raises(UnreachableError):
            terminals.hub("t-a")
        lab.world.holders["t-a"].hangs = False
        await until(lambda: agents.state_of(agents.agent("a"))[0] is AgentState.RUNNING)
        assert terminals.hub("t-a").facts.exit is None
    assert lab.storage.failures == 0


async def test_a_strategy_that_is_not_there_loses_nothing_lesson_04(lab: Lab) -> None:
    await lab.begin("a")
    stored = (await lab.storage.load(HOST)).terminals[0]
    await lab.storage.apply(HOST, Changes(put=(msgspec.structs.replace(stored, strategy="unknown"),)))
    async with lab.tower() as (agents, _):
        assert agents.state_of(agents.agent("a"))[0] is AgentState.UNREACHABLE
    assert len((await lab.storage.load(HOST)).terminals) == 1


async def test_an_orphan_with_a_known_agent_is_adopted_lesson_06(lab: Lab) -> None:
    await lab.begin("a")
    await lab.storage.apply(HOST, Changes(prune=("t-a",)))
    async with lab.tower() as (agents, _):
        record = agents.terminal_of("a")
        assert record is not None
        assert record.id == "t-a"
        assert agents.state_of(agents.agent("a"))[0] is AgentState.RUNNING
        assert lab.survivors.orphans == []
    assert [record.id for record in (await lab.storage.load(HOST)).terminals] == ["t-a"]


async def test_an_orphan_of_nobody_is_listed_and_lives_lesson_06(lab: Lab) -> None:
    strategy = MemoryStrategy(StrategyContext(lab.directory, {}), lab.world)
    await (await strategy.spawn(a_spec("nobody"))).connection.aclose()
    async with lab.tower() as (agents, _):
        assert [orphan.terminal_id for orphan in lab.survivors.orphans] == ["t-nobody"]
        assert agents.terminals() == []
    assert "t-nobody" in lab.world.holders


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (Exit(code=0, at=5.0), AgentState.EXITED),
        (Exit(code=3, at=5.0), AgentState.CRASHED),
        (Exit(signal=9, at=5.0), AgentState.CRASHED),
        (Exit(at=5.0), AgentState.CRASHED),
    ],
)
async def test_an_end_is_noted_and_only_then_acknowledged(lab: Lab, end: Exit, state: AgentState) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        lab.storage.failures = 1
        lab.world.holders["t-a"].end(end)
        await until(lambda: lab.world.holders["t-a"].acknowledged)
        assert agents.agent("a").state is state
        assert agents.terminal("t-a").exit == end
    stored = await lab.storage.load(HOST)
    assert (stored.agents[0].state, stored.terminals[0].exit) == (state, end)


async def test_an_end_that_could_not_be_stored_is_not_laid_to_the_next_process(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        lab.storage.failures = 1
        lab.world.holders["t-a"].end(Exit(code=3, at=5.0))
        await until(lambda: lab.storage.failures == 0)
        await terminals.respawn(agents.agent("a"), agents.terminal("t-a"), a_spec().command)
        await until(lambda: lab.world.holders["t-a"].acknowledged)
        assert (agents.agent("a").state, agents.terminal("t-a").exit) == (AgentState.RUNNING, None)
        assert lab.ended == []


@pytest.mark.parametrize(
    ("refuses", "state"), [("There are no more processes.", AgentState.CRASHED), ("", AgentState.RUNNING)]
)
async def test_what_came_of_a_start_is_found_out_where_it_could_not_be_stored(
    lab: Lab, refuses: str, state: AgentState
) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        holder = lab.world.holders["t-a"]
        holder.end(Exit(code=3, at=5.0))
        await until(lambda: lab.ended == ["a"])
        lab.world.refuses = refuses
        lab.storage.spared, lab.storage.failures = 1, 1
        with pytest.raises(StorageError):
            await terminals.respawn(agents.agent("a"), agents.terminal("t-a"), a_spec().command)
        await until(lambda: agents.why_unreachable("t-a") is None)
        assert agents.agent("a").state is state
        assert agents.terminal("t-a").exit == holder.exit
        assert agents.terminal("t-a").process == holder.process
        assert terminals.hub("t-a").facts.exit == holder.exit
        assert lab.ended == ["a"] * (1 if state is AgentState.RUNNING else 2)


async def test_an_end_while_the_tower_was_away_is_in_the_first_state_lesson_35(lab: Lab) -> None:
    await lab.begin("a")
    lab.world.holders["t-a"].end(Exit(code=2, at=5.0))
    async with lab.tower() as (agents, _):
        assert agents.agent("a").state is AgentState.CRASHED
        assert agents.agent("a").reason == "Its process ended with exit code 2."
        await until(lambda: lab.world.holders["t-a"].acknowledged)


async def test_a_connection_that_breaks_is_made_again_lesson_14(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        holder = lab.world.holders["t-a"]
        before = holder.connections
        assert holder.hold is not None
        holder.hold.lose()
        await until(lambda: holder.connections == before + 1)
        await until(lambda: agents.state_of(agents.agent("a"))[0] is AgentState.RUNNING)
        assert terminals.hub("t-a").facts.exit is None


async def test_pauses_between_questions_outlast_another_loss(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    survey = MemoryStrategy.survey

    async def noting(
        self: MemoryStrategy, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        asked.append(anyio.current_time())
        return await survey(self, records, deadline)

    monkeypatch.setattr(MemoryStrategy, "survey", noting)
    await lab.begin("a", "b")
    lab.world.holders["t-a"].hangs = True
    async with lab.tower() as (agents, _):
        hold = lab.world.holders["t-b"].hold
        assert hold is not None
        hold.lose()
        await until(lambda: agents.why_unreachable("t-b") is not None)
        await until(lambda: agents.why_unreachable("t-b") is None)
        await anyio.sleep(5)
        asked.clear()
        await anyio.sleep(10)
    # Each waits a second for the answer, and then another one.
    assert 4 <= len(asked) <= 6


async def test_pauses_between_questions_outlast_a_holder_that_lives_and_takes_no_connection(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def refusing(_: MemoryStrategy, record: TerminalRecord) -> Connection:
        asked.append(anyio.current_time())
        raise ConnectionLostError(f"{record.id} takes nobody.")

    await lab.begin("a")
    monkeypatch.setattr(MemoryStrategy, "reconnect", refusing)
    async with lab.tower() as (agents, _):
        await anyio.sleep(5)
        assert agents.why_unreachable("t-a") == "t-a takes nobody."
        asked.clear()
        await anyio.sleep(10)
    assert 9 <= len(asked) <= 11, "It is asked once a second."


async def test_a_holder_that_dies_under_the_tower_is_lost(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        lab.world.kill("t-a")
        await until(lambda: lab.lost == ["a"])
        assert agents.agent("a").state is AgentState.LOST
        assert agents.terminals() == []


@pytest.mark.parametrize(
    ("cause", "end", "state"),
    [
        (Cause.CLOSED, None, AgentState.EXITED),
        (Cause.CLOSED, Exit(code=3, at=5.0), AgentState.EXITED),
        (Cause.SHUT_DOWN, None, AgentState.LOST),
        (Cause.SHUT_DOWN, Exit(code=3, at=5.0), AgentState.LOST),
        (Cause.SHUT_DOWN, Exit(code=0, at=5.0), AgentState.EXITED),
        (Cause.FAILURE, Exit(code=3, at=5.0), AgentState.CRASHED),
    ],
)
async def test_why_a_terminal_is_gone_decides_what_becomes_of_its_agent(
    lab: Lab, cause: Cause, end: Exit | None, state: AgentState
) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        if end is not None:
            lab.world.holders["t-a"].end(end)
            await until(lambda: lab.ended == ["a"])
        lab.world.kill("t-a", cause)
        await until(lambda: lab.lost == ["a"])
        assert lab.causes == [cause]
        assert agents.agent("a").state is state


async def test_a_person_who_closes_the_terminal_of_one_that_needs_attention_has_seen_it(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        lab.world.holders["t-a"].end(Exit(code=3, at=5.0))
        await until(lambda: lab.ended == ["a"])
        await agents.transition("a", AgentState.NEEDS_ATTENTION, "It ended at once.")
        lab.world.kill("t-a", Cause.CLOSED)
        await until(lambda: lab.lost == ["a"])
        assert agents.agent("a").state is AgentState.EXITED


async def test_who_needs_attention_still_does_once_its_holder_is_gone_lesson_27(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        lab.world.holders["t-a"].end(Exit(code=3, at=5.0))
        await until(lambda: lab.ended == ["a"])
        await agents.transition("a", AgentState.NEEDS_ATTENTION, "It ended at once.")
    lab.world.kill("t-a")
    async with lab.tower() as (agents, _):
        assert (agents.agent("a").state, agents.agent("a").reason) == (
            AgentState.NEEDS_ATTENTION,
            "It ended at once.",
        )


async def test_an_end_that_no_tower_saw_is_dealt_with_once(lab: Lab) -> None:
    await lab.begin("a", "b")
    lab.world.holders["t-a"].end(Exit(code=0, at=5.0))
    lab.world.holders["t-b"].end(Exit(code=3, at=5.0))
    async with lab.tower() as (agents, _):
        await until(lambda: sorted(lab.ended) == ["a", "b"])
        assert [agent.state for agent in agents.all()] == [AgentState.EXITED, AgentState.CRASHED]
    async with lab.tower():
        await anyio.sleep(0.05)
    assert sorted(lab.ended) == ["a", "b"], "of a shell it is told once, however often the Tower boots"


async def test_a_crash_that_a_tower_noted_and_did_no_more_about_is_dealt_with(lab: Lab) -> None:
    await lab.begin("a")
    lab.world.holders["t-a"].end(Exit(code=3, at=5.0))
    async with lab.tower() as (agents, _):
        await until(lambda: lab.ended == ["a"])
        await agents.amend("a", harness="claude")
    async with lab.tower():
        await until(lambda: lab.ended == ["a", "a"])


async def test_a_stop_that_was_begun_is_finished_at_boot_lesson_15(lab: Lab) -> None:
    await lab.begin("a")
    await lab.storage.apply(HOST, Changes(put=(an_agent(state=AgentState.STOPPED),)))
    async with lab.tower() as (agents, _):
        await until(lambda: not agents.terminals())
        assert agents.agent("a").state is AgentState.STOPPED
    assert lab.world.holders == {}


async def test_what_does_not_start_leaves_nothing(lab: Lab) -> None:
    lab.world.refuses = "There is no such program."
    async with lab.tower() as (agents, terminals):
        await agents.commit(WORKSPACE, an_agent())
        with pytest.raises(SpawnError):
            await terminals.open(an_agent(), a_spec())
        assert agents.terminals() == []


async def test_what_cannot_be_stored_is_ended_again(lab: Lab) -> None:
    async with lab.tower() as (agents, terminals):
        await agents.commit(WORKSPACE, an_agent())
        lab.storage.failures = 1
        with pytest.raises(StorageError):
            await terminals.open(an_agent(), a_spec())
        assert agents.terminals() == []
    assert lab.world.holders == {}


async def test_what_cannot_be_ended_is_said_and_kept_lesson_15(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        lab.world.holders["t-a"].hangs = True
        with pytest.raises(UnreachableError):
            await terminals.end(agents.terminal("t-a"), AgentState.STOPPED)
        assert agents.terminal("t-a").id == "t-a"


async def test_what_could_not_be_ended_is_ended_once_it_answers_lesson_15(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        lab.world.holders["t-a"].hangs = True
        await agents.transition("a", AgentState.STOPPED)
        with pytest.raises(UnreachableError):
            await terminals.end(agents.terminal("t-a"), AgentState.STOPPED)
        lab.world.holders["t-a"].hangs = False
        await until(lambda: not agents.terminals())
        assert lab.world.holders == {}


async def test_an_end_on_purpose_that_cannot_be_stored_is_stored_later(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        await agents.transition("a", AgentState.STOPPED)
        lab.storage.failures = 1
        with pytest.raises(StorageError):
            await terminals.end(agents.terminal("t-a"), AgentState.STOPPED)
        await until(lambda: not agents.terminals())
    assert (await lab.storage.load(HOST)).terminals == ()


async def test_other_hosts_terminals_are_not_touched(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower():
        pass
    other = Agents(lab.storage, "elsewhere")
    await other.load()
    assert other.terminals() == []
    assert list(other.all()) == []


async def test_changes_are_numbered_and_remembered(lab: Lab) -> None:
    async with lab.tower() as (agents, _):
        heard: list[int] = []
        stop = agents.listen(lambda change: heard.append(change.version))
        start = agents.version
        await agents.commit(WORKSPACE, an_agent())
        await agents.transition("a", AgentState.STOPPED)
        await agents.transition("a", AgentState.STOPPED)
        assert heard == [start + 1, start + 2], "a transition to the same state is no change"
        changes = agents.changes_since(start)
        assert changes is not None
        assert [set(change.agents) for change in changes] == [{"a"}, {"a"}]
        assert agents.changes_since(agents.version) == []
        assert agents.changes_since(agents.version + 1) is None
        stop()
        agents.touch("a")
        assert len(heard) == 2


async def test_a_commit_that_fails_changes_nothing(lab: Lab) -> None:
    async with lab.tower() as (agents, _):
        await agents.commit(WORKSPACE, an_agent())
        version = agents.version
        lab.storage.failures = 1
        with pytest.raises(StorageError):
            await agents.transition("a", AgentState.STOPPED)
        assert agents.agent("a").state is AgentState.LOST
        assert agents.version == version


async def test_an_amendment_leaves_what_others_changed_meanwhile(lab: Lab) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, _):
        async with anyio.create_task_group() as changes:
            changes.start_soon(partial(agents.amend, "a", conversation="c"))
            changes.start_soon(agents.transition, "a", AgentState.CRASHED, "It crashed.")
            changes.start_soon(partial(agents.amend, "a", task="t"))
        now = agents.agent("a")
        assert (now.conversation, now.state, now.task) == ("c", AgentState.CRASHED, "t")
        assert (await lab.storage.load(HOST)).agents == (now,)


async def test_who_was_removed_is_told_from_who_was_not(lab: Lab) -> None:
    await lab.begin("a", "b")
    async with lab.tower() as (agents, _):
        await agents.amend("a", removed_at=1.0)
        assert agents.removed(["a", "b", "nobody"]) == ["a"]
        with pytest.raises(NotFoundError):
            await agents.amend("a", task="t")

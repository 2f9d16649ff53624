"""What observers are told, and that none of them can hold the Tower up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from afx.api.harness import Doing
from afx.api.hookspecs import EventKind, TerminalEvent
from afx.api.model import AgentState, Exit, TerminalRecord
from afx.api.process import ProcessIdentity
from afx.api.storage import StorageContext
from afx.testing.memory_storage import MemoryStorage
from afx.testing.storage_records import a_workspace, an_agent
from afx.tower.agents import Agents
from afx.tower.observers import Observers, Sight, event_kind

RUNNING, CRASHED = AgentState.RUNNING, AgentState.CRASHED
UNREACHABLE = AgentState.UNREACHABLE
ONE, TWO = (ProcessIdentity(pid=pid, start=str(pid), boot_id="b") for pid in (1, 2))


def sight(
    state: AgentState = RUNNING,
    process: ProcessIdentity | None = ONE,
    *,
    stored: AgentState | None = None,
    is_resumed: bool = False,
    doing: Doing = Doing.UNKNOWN,
) -> Sight:
    return Sight(
        state=state,
        stored=stored or state,
        terminal_id="t",
        process=process,
        is_resumed=is_resumed,
        doing=doing,
    )


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, sight(AgentState.LOST, None), None),
        (None, sight(), EventKind.SPAWNED),
        (sight(AgentState.LOST, None), sight(), EventKind.SPAWNED),
        (sight(), sight(), None),
        (sight(), sight(CRASHED), EventKind.CRASHED),
        (sight(CRASHED), sight(CRASHED), None),
        (sight(), sight(AgentState.EXITED), EventKind.EXITED),
        (sight(CRASHED), sight(AgentState.NEEDS_ATTENTION), EventKind.NEEDS_ATTENTION),
        # A respawn is stored before the new process is known.
        (sight(CRASHED), sight(RUNNING, ONE, is_resumed=True), None),
        (sight(RUNNING, ONE), sight(RUNNING, TWO, is_resumed=True), EventKind.RESUMED),
        (sight(CRASHED), sight(RUNNING, TWO), EventKind.SPAWNED),
        (sight(), sight(UNREACHABLE, stored=RUNNING), EventKind.UNREACHABLE),
        (sight(UNREACHABLE, stored=RUNNING), sight(), EventKind.RECONNECTED),
        (sight(UNREACHABLE, stored=CRASHED), sight(CRASHED), None),
        (sight(UNREACHABLE, stored=RUNNING), sight(CRASHED), EventKind.CRASHED),
        (sight(), sight(AgentState.STOPPED, None), EventKind.STOPPED),
        (sight(), sight(AgentState.LOST, None), EventKind.LOST),
        (sight(doing=Doing.WORKING), sight(doing=Doing.WAITING), EventKind.WAITING),
        (sight(doing=Doing.WAITING), sight(doing=Doing.WAITING), None),
        (sight(doing=Doing.WAITING), sight(doing=Doing.WORKING), None),
        (sight(), None, EventKind.REMOVED),
        (None, None, None),
    ],
)
def test_what_happened_between_two_sights(
    before: Sight | None, after: Sight | None, kind: EventKind | None
) -> None:
    assert event_kind(before, after) is kind


AGENT = an_agent(name="fix")
TERMINAL = TerminalRecord(
    id="t", agent_id="a", host="here", strategy="memory", handle={}, process=ONE, started_at=1.0
)


@pytest.fixture
async def agents(tmp_path: Path) -> Agents:
    storage = MemoryStorage(StorageContext(tmp_path, {}))
    await storage.open()
    agents = Agents(storage, "here")
    await agents.commit(a_workspace(), AGENT, TERMINAL)
    return agents


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def test_events_come_in_order_and_begin_with_who_survived(agents: Agents) -> None:
    told: list[TerminalEvent] = []
    with Observers(agents, told.append).telling():
        await agents.note_end("t", Exit(signal=9, at=2.0), lambda: True)
        resumed = msgspec.structs.replace(AGENT, plan={"at": 1.0, "plan": {"action": "resume"}})
        await agents.commit(resumed, msgspec.structs.replace(TERMINAL, process=TWO))
        await agents.drop_terminal("t", AgentState.LOST, "Its holder is gone.")
        await agents.commit(msgspec.structs.replace(agents.agent("a"), removed_at=3.0))
    eventually(lambda: len(told) == 5)
    assert [event.kind for event in told] == ["reconnected", "crashed", "resumed", "lost", "removed"]
    assert {event.agent_name for event in told} == {"builder/fix"}
    assert told[3].reason == "Its holder is gone."
    assert [event.terminal_id for event in told] == ["t", "t", "t", None, None]


async def test_an_observer_that_never_returns_holds_nothing_up(agents: Agents) -> None:
    release, told = threading.Event(), []

    def stuck(event: TerminalEvent) -> None:
        told.append(event)
        release.wait(30)

    observers = Observers(agents, stuck, longest_queue=3)
    began = time.monotonic()
    with observers.telling():
        eventually(lambda: len(told) == 1)
        for number in range(20):
            await agents.transition("a", CRASHED if number % 2 else AgentState.EXITED)
        assert (observers.waiting, observers.dropped) == (3, 17)
    assert time.monotonic() - began < 10
    release.set()

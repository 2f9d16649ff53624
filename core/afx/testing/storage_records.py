"""Records, steps and an oracle for the tests of storages.

The records live in a small world, so that what is drawn at random meets what is stored. The tests that use
them are `storage_suite`'s.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from afx.api.model import (
    Agent,
    AgentKind,
    AgentState,
    Conversation,
    ConversationSource,
    Message,
    TerminalRecord,
    Workspace,
)
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Record, Snapshot

from .strategies import records

HOST = "here"
ELSEWHERE = "elsewhere"

PATHS = ("/w/one", "/w/two \N{SNOWMAN}")
AGENTS = tuple("abcd")
_IDS = tuple(string.ascii_uppercase[:4])


def workspaces(host: str = HOST) -> st.SearchStrategy[Workspace]:
    """Draw workspaces of a host from the few of the suite's world."""
    return records(Workspace, host=st.just(host), path=st.sampled_from(PATHS))


def agents(host: str = HOST) -> st.SearchStrategy[Agent]:
    """Draw agents of a host. Each id has its own name, workspace and kind, so that no two collide."""

    def complete(agent_id: str) -> st.SearchStrategy[Agent]:
        number = AGENTS.index(agent_id)
        return records(
            Agent,
            id=st.just(agent_id),
            host=st.just(host),
            workspace=st.just(PATHS[number % len(PATHS)]),
            kind=st.just(list(AgentKind)[number % len(AgentKind)]),
            name=st.just(f"agent {agent_id} \N{GREEK SMALL LETTER LAMDA}"),
        )

    return st.sampled_from(AGENTS).flatmap(complete)


def conversations() -> st.SearchStrategy[Conversation]:
    """Draw conversations of the agents of the suite's world."""
    return records(Conversation, agent_id=st.sampled_from(AGENTS), id=st.sampled_from(_IDS))


def messages() -> st.SearchStrategy[Message]:
    """Draw messages to the agents of the suite's world."""
    return records(Message, agent_id=st.sampled_from(AGENTS), id=st.sampled_from(_IDS))


def terminals(host: str = HOST) -> st.SearchStrategy[TerminalRecord]:
    """Draw terminals of the agents of the suite's world."""
    return records(
        TerminalRecord, agent_id=st.sampled_from(AGENTS), id=st.sampled_from(_IDS), host=st.just(host)
    )


def a_workspace(host: str = HOST, **fields: Any) -> Workspace:  # noqa: ANN401 - any field of it
    """Return a workspace to start from."""
    return msgspec.structs.replace(Workspace(host=host, path="/w/one", name="one", added_at=1.0), **fields)


def an_agent(agent_id: str = "a", host: str = HOST, **fields: Any) -> Agent:  # noqa: ANN401 - as above
    """Return an agent of `a_workspace` to start from."""
    agent = Agent(
        id=agent_id,
        host=host,
        workspace="/w/one",
        kind=AgentKind.BUILDER,
        name=agent_id,
        strategy="memory",
        state=AgentState.RUNNING,
        cwd="/w/one",
        created_at=2.0,
    )
    return msgspec.structs.replace(agent, **fields)


def a_conversation(id_: str = "A", agent_id: str = "a", **fields: Any) -> Conversation:  # noqa: ANN401
    """Return a conversation of `an_agent` to start from."""
    conversation = Conversation(
        agent_id=agent_id, id=id_, harness="foo", source=ConversationSource.MINTED, at=3.0
    )
    return msgspec.structs.replace(conversation, **fields)


def a_message(id_: str = "M", agent_id: str = "a", **fields: Any) -> Message:  # noqa: ANN401 - as above
    """Return a message to `an_agent` to start from."""
    return msgspec.structs.replace(Message(id=id_, agent_id=agent_id, text="go on", at=4.0), **fields)


def a_terminal(id_: str = "T", host: str = HOST, **fields: Any) -> TerminalRecord:  # noqa: ANN401
    """Return a terminal of `an_agent` to start from."""
    terminal = TerminalRecord(
        id=id_, agent_id="a", host=host, strategy="memory", handle={"socket": "/s"}, started_at=5.0
    )
    return msgspec.structs.replace(terminal, **fields)


def a_process(pid: int = 100, **fields: Any) -> ProcessIdentity:  # noqa: ANN401 - as above
    """Return the identity of a process to start from. It names none of this machine."""
    return msgspec.structs.replace(ProcessIdentity(pid=pid, start="7", boot_id="a boot"), **fields)


def put(*records: Record) -> Changes:
    """Return the changes that only put these records."""
    return Changes(put=records)


def in_one_order(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with those parts sorted whose order the contract leaves open."""
    return msgspec.structs.replace(
        snapshot,
        workspaces=tuple(sorted(snapshot.workspaces, key=lambda workspace: workspace.path)),
        agents=tuple(sorted(snapshot.agents, key=lambda agent: agent.id)),
        terminals=tuple(sorted(snapshot.terminals, key=lambda terminal: terminal.id)),
    )


class Ledger:
    """What must be stored about one host after changes that no storage may refuse: the suite's oracle."""

    def __init__(self) -> None:
        self.forgotten: set[str] = set()
        self.rows: dict[tuple[object, ...], Record] = {}

    def put(self, records: Iterable[Record]) -> None:
        """Note records."""
        for record in records:
            match record:
                case Workspace():
                    self.forgotten.discard(record.path)
                    self.rows[Workspace, record.path] = record
                case Conversation():
                    self.rows.setdefault((Conversation, record.agent_id, record.id), record)
                case _:
                    self.rows[type(record), record.id] = record

    def of(self, kind: type[Record]) -> list[Any]:
        """Return what is noted of one type, oldest first."""
        return [row for key, row in self.rows.items() if key[0] is kind]

    def note(self, changes: Changes) -> None:
        """Note a step."""
        self.put(changes.put)
        for terminal in changes.prune:
            self.rows.pop((TerminalRecord, terminal), None)
        self.forgotten |= set(changes.forget)

    def live(self, path: str) -> list[Agent]:
        """Return the agents of a workspace that are not removed."""
        return [agent for agent in self.of(Agent) if agent.workspace == path and agent.removed_at is None]

    def snapshot(self) -> Snapshot:
        """Return what `Storage.load` must return, in one order."""
        waiting = (message for message in self.of(Message) if message.delivered_at is None)
        return in_one_order(
            Snapshot(
                workspaces=tuple(w for w in self.of(Workspace) if w.path not in self.forgotten),
                agents=tuple(self.of(Agent)),
                conversations=tuple(sorted(self.of(Conversation), key=lambda record: record.at)),
                messages=tuple(sorted(waiting, key=lambda message: message.at)),
                terminals=tuple(self.of(TerminalRecord)),
            )
        )


def steps(ledger: Ledger, host: str) -> st.SearchStrategy[Changes]:
    """Draw changes that keep to the rules, whatever the ledger holds."""
    known = {agent.id for agent in ledger.of(Agent)}

    def complete(drawn: Sequence[Record]) -> tuple[Record, ...]:
        """Add the workspaces and agents that the drawn records need and that are not stored."""
        have = {record.path for record in drawn if isinstance(record, Workspace)}
        have |= {w.path for w in ledger.of(Workspace)} - ledger.forgotten
        new = {record.id for record in drawn if isinstance(record, Agent)} | known
        kept: list[Record] = []
        for record in drawn:
            if isinstance(record, Agent) and record.workspace not in have:
                have.add(record.workspace)
                kept.append(a_workspace(host, path=record.workspace))
            if isinstance(record, (Conversation, Message, TerminalRecord)) and record.agent_id not in new:
                continue
            kept.append(record)
        return tuple(kept)

    def with_forget(records: tuple[Record, ...]) -> st.SearchStrategy[Changes]:
        after = Ledger()
        after.rows, after.forgotten = dict(ledger.rows), set(ledger.forgotten)
        after.put(records)
        free = [path for path in PATHS if not after.live(path)]
        return st.builds(
            Changes,
            put=st.just(records),
            prune=st.lists(st.sampled_from(_IDS), max_size=2).map(tuple),
            forget=st.lists(st.sampled_from(free), max_size=1).map(tuple) if free else st.just(()),
        )

    drawn = st.one_of(workspaces(host), agents(host), conversations(), messages(), terminals(host))
    return st.lists(drawn, max_size=6).map(complete).flatmap(with_forget)


class Step(NamedTuple):
    """One step of a history: the changes of one host, and whether a storage must refuse them."""

    host: str
    changes: Changes
    refused: bool


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of two hosts, about one in four of which has something in it that spoils it."""
    # All is drawn before a test begins: drawing may end in an exception that no event loop should meet.
    ledgers = {HOST: Ledger(), ELSEWHERE: Ledger()}
    history = []
    for host in draw(st.lists(st.sampled_from([HOST, ELSEWHERE]), min_size=1, max_size=8)):
        changes = draw(steps(ledgers[host], host))
        refused = draw(st.sampled_from([False, False, False, True]))
        if refused:
            spoilt = (*changes.put, a_conversation(agent_id="nobody"))
            changes = msgspec.structs.replace(changes, put=spoilt)
        else:
            ledgers[host].note(changes)
        history.append(Step(host, changes, refused))
    return history

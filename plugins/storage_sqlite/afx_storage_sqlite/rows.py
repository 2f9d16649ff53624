"""Records as rows and rows as records, and the statements for both.

Values that a person may want to see with the ``sqlite3`` program are columns of their own; lists and a
strategy's handle are JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from afx.plugin import (
    Agent,
    AgentKind,
    AgentState,
    Conversation,
    ConversationSource,
    Exit,
    Message,
    ProcessIdentity,
    Record,
    Size,
    TerminalRecord,
    Workspace,
)

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Any, ...]
_R = TypeVar("_R", bound=Record)

_words = msgspec.json.Decoder(tuple[str, ...])
_environment = msgspec.json.Decoder(dict[str, str])
_objects = msgspec.json.Decoder(dict[str, Any])
_json = msgspec.json.Encoder()


class Table(NamedTuple, Generic[_R]):
    """How one type of record is kept.

    Attributes:
        to_row: Makes the parameters of `put`, without the host, which is the first.
        from_row: Makes a record of the host and a row of `select`.
        put: Inserts a row, or replaces the one of the same key.
        select: Reads a host's rows, in the order of `Snapshot`.
    """

    to_row: Callable[[_R], tuple[Value, ...]]
    from_row: Callable[[str, Row], _R]
    put: str
    select: str


def _put(table: str, key: Sequence[str], columns: Sequence[str], extra: str = "") -> str:
    names = ("host", *key, *columns)
    changed = ", ".join(f"{column} = excluded.{column}" for column in columns)
    # Names of tables and columns are ours; values only ever come as parameters.
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
    return f"{insert} ON CONFLICT (host, {', '.join(key)}) DO UPDATE SET {changed}{extra}"


def _select(table: str, columns: Sequence[str], rest: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} WHERE host = ? {rest}"  # noqa: S608 - as above


def _text(value: object) -> str:
    return _json.encode(value).decode()


_WORKSPACE = ("path", "name", "added_at", "active")
_AGENT = (
    "id",
    "workspace",
    "kind",
    "name",
    "harness",
    "strategy",
    "state",
    "reason",
    "cwd",
    "branch",
    "owns_branch",
    "spawned_by",
    "task",
    "args",
    "conversation",
    "conversation_before",
    "env",
    "cols",
    "rows",
    "plan",
    "past_terminals",
    "created_at",
    "removed_at",
)
_CONVERSATION = ("agent_id", "id", "harness", "source", "at")
_MESSAGE = ("id", "agent_id", "text", "at", "delivered_at")
_TERMINAL = (
    "id",
    "agent_id",
    "strategy",
    "handle",
    "pid",
    "process_start",
    "boot_id",
    "cols",
    "rows",
    "started_at",
    "predecessors",
    "exit_code",
    "exit_signal",
    "exited_at",
)


def _workspace_row(record: Workspace) -> tuple[Value, ...]:
    return (record.path, record.name, record.added_at, record.active)


def _workspace(host: str, row: Row) -> Workspace:
    path, name, added_at, active = row
    return Workspace(host=host, path=path, name=name, added_at=added_at, active=bool(active))


def _agent_row(record: Agent) -> tuple[Value, ...]:
    return (
        record.id,
        record.workspace,
        record.kind.value,
        record.name,
        record.harness,
        record.strategy,
        record.state.value,
        record.reason,
        record.cwd,
        record.branch,
        record.owns_branch,
        record.spawned_by,
        record.task,
        _text(record.args),
        record.conversation,
        record.conversation_before,
        _text(record.env),
        *((None, None) if record.size is None else (record.size.cols, record.size.rows)),
        None if record.plan is None else _text(record.plan),
        _text(record.past_terminals),
        record.created_at,
        record.removed_at,
    )


def _agent(host: str, row: Row) -> Agent:
    fields = dict(zip(_AGENT, row, strict=True))
    fields["kind"] = AgentKind(fields["kind"])
    fields["state"] = AgentState(fields["state"])
    fields["owns_branch"] = bool(fields["owns_branch"])
    fields["args"] = _words.decode(fields["args"])
    fields["env"] = _environment.decode(fields["env"])
    cols, rows = fields.pop("cols"), fields.pop("rows")
    fields["size"] = None if cols is None else Size(cols, rows)
    fields["plan"] = None if fields["plan"] is None else _objects.decode(fields["plan"])
    fields["past_terminals"] = _words.decode(fields["past_terminals"])
    return Agent(host=host, **fields)


def _conversation_row(record: Conversation) -> tuple[Value, ...]:
    return (record.agent_id, record.id, record.harness, record.source.value, record.at)


def _conversation(_host: str, row: Row) -> Conversation:
    agent_id, id_, harness, source, at = row
    return Conversation(agent_id=agent_id, id=id_, harness=harness, source=ConversationSource(source), at=at)


def _message_row(record: Message) -> tuple[Value, ...]:
    return (record.id, record.agent_id, record.text, record.at, record.delivered_at)


def _message(_host: str, row: Row) -> Message:
    return Message(**dict(zip(_MESSAGE, row, strict=True)))


def _terminal_row(record: TerminalRecord) -> tuple[Value, ...]:
    process, end = record.process, record.exit
    return (
        record.id,
        record.agent_id,
        record.strategy,
        _text(record.handle),
        *((None, None, None) if process is None else (process.pid, process.start, process.boot_id)),
        record.size.cols,
        record.size.rows,
        record.started_at,
        _text(record.predecessors),
        *((None, None, None) if end is None else (end.code, end.signal, end.at)),
    )


def _terminal(host: str, row: Row) -> TerminalRecord:
    id_, agent_id, strategy, handle, pid, start, boot_id, cols, rows, started_at, before, code, signal, at = (
        row
    )
    return TerminalRecord(
        id=id_,
        agent_id=agent_id,
        host=host,
        strategy=strategy,
        handle=_objects.decode(handle),
        process=None if pid is None else ProcessIdentity(pid=pid, start=start, boot_id=boot_id),
        size=Size(cols, rows),
        started_at=started_at,
        predecessors=_words.decode(before),
        exit=None if at is None else Exit(code=code, signal=signal, at=at),
    )


WORKSPACES: Table[Workspace] = Table(
    to_row=_workspace_row,
    from_row=_workspace,
    put=_put("workspaces", _WORKSPACE[:1], _WORKSPACE[1:], ", forgotten = 0"),
    select=_select("workspaces", _WORKSPACE, "AND NOT forgotten ORDER BY path"),
)
AGENTS: Table[Agent] = Table(
    to_row=_agent_row,
    from_row=_agent,
    put=_put("agents", _AGENT[:1], _AGENT[1:]),
    select=_select("agents", _AGENT, "ORDER BY created_at, rowid"),
)
CONVERSATIONS: Table[Conversation] = Table(
    to_row=_conversation_row,
    from_row=_conversation,
    # No word about conflicts: a trigger leaves the row that is stored alone.
    put="INSERT INTO conversations (host, agent_id, id, harness, source, at) VALUES (?, ?, ?, ?, ?, ?)",
    select=_select("conversations", _CONVERSATION, "ORDER BY at, rowid"),
)
MESSAGES: Table[Message] = Table(
    to_row=_message_row,
    from_row=_message,
    put=_put("messages", _MESSAGE[:1], _MESSAGE[1:]),
    select=_select("messages", _MESSAGE, "AND delivered_at IS NULL ORDER BY at, rowid"),
)
TERMINALS: Table[TerminalRecord] = Table(
    to_row=_terminal_row,
    from_row=_terminal,
    put=_put("terminal_sessions", _TERMINAL[:1], _TERMINAL[1:]),
    select=_select("terminal_sessions", _TERMINAL, "ORDER BY started_at, rowid"),
)

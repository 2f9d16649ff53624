"""The shapes that cross the Tower's door, both ways. Documented in ``docs/reference/http.md``."""

from __future__ import annotations

from typing import Any

import msgspec

from afx.api.model import (
    AgentId,
    AgentKind,
    AgentState,
    ConversationSource,
    Exit,
    Size,
    TerminalId,
    TerminalState,
    WorkspacePath,
)
from afx.loader import PluginInfo
from afx.tower.lifecycle import AgentRequest


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client asks for. A field that is not known is a mistake of the client's, and said so."""


class WorkspaceRequest(Request, frozen=True, kw_only=True):
    """A workspace that is to be known to the Tower."""

    path: WorkspacePath
    name: str | None = None


class WorkspacePathRequest(Request, frozen=True, kw_only=True):
    """A workspace that is already known."""

    path: WorkspacePath


class SendRequest(Request, frozen=True, kw_only=True):
    """A message to an agent."""

    text: str


class SignalRequest(Request, frozen=True, kw_only=True):
    """A signal for a terminal's foreground programs, by name without ``SIG``."""

    signal: str


class LoginRequest(Request, frozen=True, kw_only=True):
    """A one-time code, to be exchanged for the page's cookie."""

    code: str


class LoginCode(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code and for how many seconds it is good."""

    code: str
    expires_in: float


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """That the Tower serves."""

    status: str
    version: str
    ready: bool


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for a program and for a person."""

    code: str
    message: str
    hint: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is an error."""

    error: ErrorBody


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's current conversation."""

    id: str
    source: ConversationSource


class TerminalView(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal as it is now.

    Attributes:
        pid: Of the agent's program.
        position: Where its output ended when last heard of, ``EPOCH:OFFSET``.
    """

    id: TerminalId
    state: TerminalState
    strategy: str
    pid: int | None
    size: Size
    started_at: float
    last_output_at: float | None
    position: str | None
    exit: Exit | None
    predecessors: tuple[TerminalId, ...]


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as it is now."""

    id: AgentId
    kind: AgentKind
    name: str
    harness: str | None
    state: AgentState
    reason: str
    cwd: str
    branch: str | None
    spawned_by: AgentId | None
    task: str | None
    created_at: float
    waiting_messages: int
    conversation: ConversationView | None
    terminal: TerminalView | None


class WorkspaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace and its agents: architects first, then builders, then shells."""

    path: WorkspacePath
    name: str
    active: bool
    agents: list[AgentView]


class TowerView(msgspec.Struct, frozen=True, kw_only=True):
    """The Tower itself."""

    pid: int
    version: str
    url: str
    started_at: float
    home: str
    host: str


class OrphanView(msgspec.Struct, frozen=True, kw_only=True):
    """A live terminal of ours that belongs to no agent."""

    terminal_id: TerminalId
    agent_id: AgentId
    strategy: str
    started_at: float
    note: str


class BrokenPluginView(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that is not active, and why."""

    name: str
    state: str
    error: str


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole truth in one read."""

    version: str
    tower: TowerView
    workspaces: list[WorkspaceView]
    orphans: list[OrphanView]
    plugins: list[BrokenPluginView]


class AgentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An agent after what was asked for, with sentences for the person."""

    agent: AgentView
    notes: list[str]


class WorkspaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace after what was asked for."""

    path: WorkspacePath
    name: str
    active: bool


class StoppedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The agents that were stopped."""

    stopped: list[AgentId]


class SendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a message was delivered; else it waits."""

    delivered: bool


class PluginsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every plugin, with its state."""

    plugins: list[PluginInfo]


class StateEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changed since the event before; `all` where that is not known any more."""

    version: str
    agents: list[AgentId] = []
    workspaces: list[WorkspacePath] = []
    all: bool = False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of all shapes, under ``$defs``."""
    shapes = (
        AgentAnswer,
        AgentRequest,
        ErrorAnswer,
        Health,
        LoginCode,
        LoginRequest,
        PluginsAnswer,
        Size,
        SendAnswer,
        SendRequest,
        SignalRequest,
        StateEvent,
        StateView,
        StoppedAnswer,
        WorkspaceAnswer,
        WorkspacePathRequest,
        WorkspaceRequest,
    )
    _, components = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": components}

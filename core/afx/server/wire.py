"""The shapes that cross the Tower's door, both ways. Documented in ``docs/reference/http.md``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from afx.api.harness import Doing
from afx.api.model import (
    AgentId,
    AgentKind,
    AgentState,
    ConversationId,
    ConversationSource,
    Exit,
    Size,
    TerminalId,
    TerminalState,
    WorkspacePath,
)
from afx.quarantine import PluginInfo
from afx.tower.adoption import AdoptRequest
from afx.tower.lifecycle import AgentRequest
from afx.tower.recovery import RecoveryNews, RecoveryRow
from afx.tower.resume import ResumePlan


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


class ResumeRequest(Request, frozen=True, kw_only=True):
    """How an agent is to be brought back."""

    session_id: ConversationId | None = None
    fresh: bool = False
    dry_run: bool = False


class ConversationRequest(Request, frozen=True, kw_only=True):
    """Which conversation an agent is to be resumed with next; exactly one of the two."""

    use: ConversationId | None = None
    undo: bool = False


class ConvertRequest(Request, frozen=True, kw_only=True):
    """The reconnect strategy that an agent is to move to; `now`: whatever it is doing."""

    strategy: str
    now: bool = False


class RecoverRequest(Request, frozen=True, kw_only=True):
    """Which agents to look at."""

    workspace: WorkspacePath | None = None
    max_age_days: Annotated[float, msgspec.Meta(gt=0)] | None = None
    include_stale: bool = False


class RecoverApplyRequest(RecoverRequest, frozen=True, kw_only=True):
    """Which agents to bring back, and how many at a time."""

    jobs: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    agents: tuple[AgentId, ...] | None = None


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
    """An agent as it is now.

    Attributes:
        doing: What its screen says of it, while it runs and as far as its harness can tell.
    """

    id: AgentId
    kind: AgentKind
    name: str
    harness: str | None
    state: AgentState
    doing: Doing
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
    """The Tower itself.

    Attributes:
        installed_in: Where the package lies that it runs.
        page: The build of the page that it serves; empty where it serves none.
    """

    pid: int
    version: str
    url: str
    started_at: float
    home: str
    host: str
    installed_in: str
    page: str


class OrphanView(msgspec.Struct, frozen=True, kw_only=True):
    """A live terminal of ours that belongs to no agent."""

    terminal_id: TerminalId
    agent_id: AgentId
    strategy: str
    started_at: float
    note: str
    name: str
    cwd: str


class BrokenPluginView(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that is not active, and why."""

    name: str
    state: str
    error: str
    hint: str
    since: float | None


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


class ResumeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An agent after it was brought back, and how; or, of a dry run, how it would be."""

    agent: AgentView
    plan: ResumePlan
    notes: list[str]


class OrphansAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The live terminals that no record names."""

    orphans: list[OrphanView]


class ConvertAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An agent after it was moved, and how it was brought back; no plan where it did not run."""

    agent: AgentView
    plan: ResumePlan | None
    notes: list[str]


class PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent was last brought back."""

    plan: ResumePlan | None
    at: float | None


class TranscriptView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as it lies on disk."""

    path: str
    size: int
    modified_at: float
    first: str
    last: str


class ConversationDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One of an agent's conversations."""

    id: ConversationId
    harness: str
    source: ConversationSource
    at: float
    current: bool
    transcript: TranscriptView | None


class ConversationsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All of an agent's conversations, newest first."""

    conversations: list[ConversationDetail]


class RecoverAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every agent that does not run, in the order of a recovery."""

    rows: list[RecoveryRow]


class LossesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The work that would be gone with an agent: changed files, files not in git, commits nowhere else.

    Attributes:
        sentence: The same for a person; empty where nothing would be lost.
    """

    modified: tuple[str, ...]
    untracked: tuple[str, ...]
    commits: tuple[str, ...]
    sentence: str


class WorkspaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace after what was asked for."""

    path: WorkspacePath
    name: str
    active: bool


class StopFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that could not be stopped, and why."""

    agent: AgentId
    name: str
    message: str


class StoppedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The agents that were stopped, and those that could not be."""

    stopped: list[AgentId]
    failed: list[StopFailure]


class SendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a message was delivered; else it waits."""

    delivered: bool


class ObserversView(msgspec.Struct, frozen=True, kw_only=True):
    """How the telling of observers goes: events that wait, and those that were dropped."""

    waiting: int
    dropped: int


class PluginsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every plugin, with its state."""

    plugins: list[PluginInfo]
    observers: ObserversView


class StateEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changed since the event before; `all` where that is not known any more."""

    version: str
    agents: list[AgentId] = []
    workspaces: list[WorkspacePath] = []
    all: bool = False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of all shapes, under ``$defs``."""
    shapes = (
        AdoptRequest,
        AgentAnswer,
        AgentRequest,
        ConversationRequest,
        ConversationsAnswer,
        ConvertAnswer,
        ConvertRequest,
        ErrorAnswer,
        Health,
        LoginCode,
        LoginRequest,
        LossesAnswer,
        OrphansAnswer,
        PlanAnswer,
        PluginsAnswer,
        RecoverAnswer,
        RecoverApplyRequest,
        RecoverRequest,
        RecoveryNews,
        ResumeAnswer,
        ResumeRequest,
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

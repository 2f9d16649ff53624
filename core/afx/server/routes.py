"""What each HTTP request does. The work is the Tower's; here requests are read and answers written."""

from __future__ import annotations

import signal

from starlette.requests import Request
from starlette.responses import Response

from afx import __version__
from afx.api.errors import AfxError, BadInputError, ConflictError
from afx.api.model import Position, Size
from afx.api.strategy import Ended, Reset, Resized, Respawned, Resumed
from afx.tower.hub import Onlooker
from afx.tower.lifecycle import AgentRequest
from afx.tower.tower import Tower

from .answers import json_response, query_number, read
from .auth import CODE_LIFETIME, COOKIE_LIFETIME, Gate
from .view import agent_view, state_view
from .wire import (
    AgentAnswer,
    Health,
    LoginCode,
    LoginRequest,
    LossesAnswer,
    ObserversView,
    PluginsAnswer,
    ResumeAnswer,
    SendAnswer,
    SendRequest,
    SignalRequest,
    StopFailure,
    StoppedAnswer,
    WorkspaceAnswer,
    WorkspacePathRequest,
    WorkspaceRequest,
    schema,
)

LONGEST_OUTPUT = 64 * 1024 * 1024
_SIGNALS = ("INT", "QUIT", "TERM", "HUP", "KILL", "STOP", "CONT", "TSTP", "USR1", "USR2", "WINCH")


class Routes:
    """The request handlers of one Tower."""

    def __init__(self, tower: Tower, gate: Gate, url: str, page_build: str) -> None:
        self._tower = tower
        self._gate = gate
        self._url = url
        self._page_build = page_build

    async def health(self, _: Request) -> Response:
        """Say that the Tower serves. By the time anybody can ask, it is ready."""
        return json_response(Health(status="ok", version=__version__, ready=True))

    async def state(self, _: Request) -> Response:
        """Tell everything."""
        return json_response(state_view(self._tower, self._url, self._page_build))

    async def schema(self, _: Request) -> Response:
        """Describe every shape that crosses the door."""
        return json_response(schema())

    async def plugins(self, _: Request) -> Response:
        """List every plugin."""
        observers = self._tower.observers
        return json_response(
            PluginsAnswer(
                plugins=self._tower.plugins.rows(),
                observers=ObserversView(waiting=observers.waiting, dropped=observers.dropped),
            )
        )

    async def login_code(self, _: Request) -> Response:
        """Give out a one-time code for the page."""
        return json_response(LoginCode(code=self._gate.issue_code(), expires_in=CODE_LIFETIME))

    async def login(self, request: Request) -> Response:
        """Exchange a one-time code for the page's cookie."""
        value = self._gate.redeem_code((await read(request, LoginRequest)).code)
        if value is None:
            raise ConflictError(
                "This code is used up or too old.", hint="Type `afx open` for a new one.", code="bad-code"
            )
        response = Response(status_code=204)
        response.set_cookie(
            self._gate.cookie_name, value, max_age=COOKIE_LIFETIME, httponly=True, samesite="strict", path="/"
        )
        return response

    async def add_workspace(self, request: Request) -> Response:
        """Make a workspace known, or active again."""
        wanted = await read(request, WorkspaceRequest)
        workspace = await self._tower.lifecycle.add_workspace(wanted.path, wanted.name)
        answer = WorkspaceAnswer(path=workspace.path, name=workspace.name, active=workspace.active)
        return json_response(answer, 201)

    async def stop_workspace(self, request: Request) -> Response:
        """Stop a workspace's agents."""
        wanted = await read(request, WorkspacePathRequest)
        stopped, failed = await self._tower.lifecycle.stop_workspace(wanted.path)
        failures = [
            StopFailure(agent=agent.id, name=agent.label, message=error.message) for agent, error in failed
        ]
        return json_response(StoppedAnswer(stopped=stopped, failed=failures))

    async def forget_workspace(self, request: Request) -> Response:
        """Forget a workspace without agents."""
        wanted = await read(request, WorkspacePathRequest)
        await self._tower.lifecycle.forget_workspace(wanted.path)
        return Response(status_code=204)

    async def spawn_agent(self, request: Request) -> Response:
        """Make and start a new agent."""
        wanted = await read(request, AgentRequest)
        if wanted.resume:
            agent, made, notes = await self._tower.lifecycle.resume(wanted)
            return json_response(
                ResumeAnswer(agent=agent_view(self._tower, agent), plan=made, notes=notes), 201
            )
        agent, notes = await self._tower.lifecycle.spawn(wanted)
        return json_response(AgentAnswer(agent=agent_view(self._tower, agent), notes=notes), 201)

    async def stop_agent(self, request: Request) -> Response:
        """Stop an agent on purpose."""
        agent = await self._tower.lifecycle.stop(request.path_params["agent"])
        return json_response(AgentAnswer(agent=agent_view(self._tower, agent), notes=[]))

    async def losses(self, request: Request) -> Response:
        """Say what work would be lost if an agent were removed."""
        losses = await self._tower.lifecycle.losses(request.path_params["agent"])
        return json_response(
            LossesAnswer(
                modified=losses.modified,
                untracked=losses.untracked,
                commits=losses.commits,
                sentence=losses.sentence() if losses.anything else "",
            )
        )

    async def remove_agent(self, request: Request) -> Response:
        """Remove an agent, its terminal and its worktree."""
        force = query_number(request, "force", least=0, most=1) == 1
        agent, notes = await self._tower.lifecycle.remove(request.path_params["agent"], force=force)
        return json_response(AgentAnswer(agent=agent_view(self._tower, agent), notes=notes))

    async def send(self, request: Request) -> Response:
        """Send a message to an agent."""
        wanted = await read(request, SendRequest)
        delivered = await self._tower.inbox.send(request.path_params["agent"], wanted.text)
        return json_response(SendAnswer(delivered=delivered))

    async def resize(self, request: Request) -> Response:
        """Give a terminal another size."""
        hub = self._tower.terminals.hub(request.path_params["terminal"])
        await hub.resize(await read(request, Size))
        return Response(status_code=204)

    async def signal(self, request: Request) -> Response:
        """Send a signal to a terminal's foreground programs."""
        hub = self._tower.terminals.hub(request.path_params["terminal"])
        name = (await read(request, SignalRequest)).signal
        if name not in _SIGNALS:
            raise BadInputError(f"{name!r} is no signal.", hint=f"Use one of {', '.join(_SIGNALS)}.")
        await hub.connection.signal(signal.Signals[f"SIG{name}"])
        return Response(status_code=204)

    async def last_screen(self, request: Request) -> Response:
        """Return what was kept of what an agent's terminal showed last; nothing where nothing was."""
        agent = self._tower.agents.agent(request.path_params["agent"])
        kept = await self._tower.screens.of(agent.id)
        if kept is None:
            return Response(status_code=204)
        headers = {"Afx-Size": f"{kept.size.cols}x{kept.size.rows}", "Afx-At": f"{kept.at:.3f}"}
        return Response(kept.output, headers=headers, media_type="application/octet-stream")

    async def output(self, request: Request) -> Response:
        """Return a terminal's output up to its present end."""
        hub = self._tower.terminals.hub(request.path_params["terminal"])
        text = request.query_params.get("from")
        since = None if text is None else Position.parse(text)
        tail = query_number(request, "tail", least=0, most=LONGEST_OUTPUT)
        onlooker = await hub.join(since, tail=tail)
        try:
            start, data = await _read_to_end(onlooker, hub.facts.end)
        finally:
            await onlooker.aclose()
        end = Position(start.epoch, start.offset + len(data))
        headers = {"Afx-Start": str(start), "Afx-End": str(end)}
        if start != since:
            headers["Afx-Reset"] = "1"
        return Response(data, headers=headers, media_type="application/octet-stream")


async def _read_to_end(onlooker: Onlooker, known_end: Position) -> tuple[Position, bytes]:
    """Read what a terminal has put out so far.

    The holder says with its first word where the output ends; what comes after that is not waited for.
    """
    first = await onlooker.receive()
    if not isinstance(first, Reset | Resumed):
        raise AfxError("The terminal's output did not begin at its beginning.")
    start = first.start
    end = (
        max(known_end.offset, onlooker.end.offset) if known_end.epoch == start.epoch else onlooker.end.offset
    )
    data = bytearray()
    while start.offset + len(data) < end and len(data) < LONGEST_OUTPUT:
        match await onlooker.receive():
            case bytes(piece):
                data += piece
            case Reset(start=start):
                data.clear()
            case Ended() | Resized() | Respawned() | Resumed():
                pass
    return start, bytes(data)

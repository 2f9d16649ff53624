"""The application: which path leads to which handler, behind the guard."""

from __future__ import annotations

import errno
import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from afx.api.errors import AfxError, SystemRefusedError
from afx.tower.tower import Tower

from .answers import error_response
from .auth import Gate
from .events import Events
from .guard import Guard
from .moving_routes import MovingRoutes
from .page import Page
from .parting import Parting
from .revival_routes import RevivalRoutes
from .routes import Routes
from .websocket import TerminalSocket

log = logging.getLogger("afx.server")

_LACKING = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
_NO_THREAD = "can't start new thread"
"""What Python says, as a mere RuntimeError, where the system has no thread left."""


def build_app(tower: Tower, gate: Gate, url: str, parting: Parting) -> Starlette:
    """Return the application that serves a Tower.

    Args:
        tower: A Tower that has booted.
        gate: Decides who may come in.
        url: Where it is served.
        parting: Begun when the server is about to stop, so that streams end by themselves.
    """
    page = Page()
    do = Routes(tower, gate, url, page.build)
    events = Events(tower, parting)
    bring = RevivalRoutes(tower)
    moving = MovingRoutes(tower)
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/assets/{name}", page.asset),
            Route("/health", do.health),
            Route("/api/state", do.state),
            Route("/api/events", events.stream),
            Route("/api/schema", do.schema),
            Route("/api/plugins", do.plugins),
            Route("/api/login-codes", do.login_code, methods=["POST"]),
            Route("/api/login", do.login, methods=["POST"]),
            Route("/api/workspaces", do.add_workspace, methods=["POST"]),
            Route("/api/workspaces/stop", do.stop_workspace, methods=["POST"]),
            Route("/api/workspaces/forget", do.forget_workspace, methods=["POST"]),
            Route("/api/agents", do.spawn_agent, methods=["POST"]),
            Route("/api/agents/{agent}", do.remove_agent, methods=["DELETE"]),
            Route("/api/agents/{agent}/losses", do.losses),
            Route("/api/agents/{agent}/screen", do.last_screen),
            Route("/api/agents/{agent}/resume", bring.resume, methods=["POST"]),
            Route("/api/agents/{agent}/plan", bring.plan),
            Route("/api/agents/{agent}/conversations", bring.conversations, methods=["GET"]),
            Route("/api/agents/{agent}/conversations", bring.choose, methods=["POST"]),
            Route("/api/recover", bring.recover, methods=["POST"]),
            Route("/api/recover/apply", bring.recover_apply, methods=["POST"]),
            Route("/api/agents/{agent}/convert", moving.convert, methods=["POST"]),
            Route("/api/orphans", moving.orphans),
            Route("/api/orphans/adopt", moving.adopt, methods=["POST"]),
            Route("/api/agents/{agent}/stop", do.stop_agent, methods=["POST"]),
            Route("/api/agents/{agent}/send", do.send, methods=["POST"]),
            Route("/api/terminals/{terminal}/resize", do.resize, methods=["POST"]),
            Route("/api/terminals/{terminal}/signal", do.signal, methods=["POST"]),
            Route("/api/terminals/{terminal}/output", do.output),
            WebSocketRoute("/ws/events", events.socket),
            WebSocketRoute("/ws/terminal/{terminal}", TerminalSocket(tower, parting).serve),
        ],
        middleware=[Middleware(Guard, gate=gate)],
        exception_handlers={
            AfxError: _refused,
            ClientDisconnect: _left,
            HTTPException: _no_route,
            OSError: _lacking,
            RuntimeError: _lacking,
            Exception: _unexpected,
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, AfxError):
        raise error
    return error_response(error)


async def _left(_: Request, __: Exception) -> Response:
    """Answer a client that hung up in the middle of its request: nobody hears it, and nothing has failed."""
    return Response(status_code=400)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 405:
        sentence = f"{request.url.path} does not take {request.method}."
    else:
        sentence = f"There is nothing at {request.url.path}."
    return error_response(
        AfxError(sentence, hint="`GET /api/schema` lists the shapes.", code="no-route"), status
    )


async def _lacking(request: HTTPConnection, error: Exception) -> Response:
    """Answer where the system has none left of something, which is no failure of the Tower's own."""
    if isinstance(error, OSError) and error.errno in _LACKING:
        reason = error.strerror
    elif str(error) == _NO_THREAD:
        reason = "No more threads can be started"
    else:
        raise error
    if not isinstance(request, Request):
        raise error
    log.error("%s %s was refused by the system: %s", request.method, request.url.path, error)
    return error_response(
        SystemRefusedError(f"The system refuses: {reason}.", hint="`afx doctor` says what is short.")
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed.", request.method, request.url.path, exc_info=error)
    return error_response(
        AfxError(
            "Something went wrong in the Tower itself.", hint="`afx tower log` says what.", code="internal"
        )
    )

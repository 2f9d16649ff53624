"""The middleware before every route: it lets nothing past that the `Gate` does not admit."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from afx.api.errors import AfxError

from .answers import error_response
from .auth import Gate

_OPEN_PATHS = frozenset({"/", "/health", "/api/login"})
_OPEN_DIRECTORY = "/assets/"
# Styles may stand inline since xterm.js writes its own that way; scripts may not.
_CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    b"img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = (
    (b"content-security-policy", _CONTENT_SECURITY_POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

WRONG_HOST = AfxError(
    "This Tower does not answer to that host name.",
    code="wrong-host",
    hint="Use the URL that `afx tower status` prints.",
)
WRONG_ORIGIN = AfxError("Pages of another origin have no business here.", code="wrong-origin")
NO_KEY = AfxError(
    "This needs the Tower's key.",
    code="no-key",
    hint="Type `afx open` to open the page, or send `Authorization: Bearer KEY`.",
)


class Guard:
    """Refuses requests with a foreign host or origin (403), or without the key (401; 4401 for a page)."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal: tuple[int, AfxError] | None = None
        if not self._gate.knows_host(headers.get("host")):
            refusal = (403, WRONG_HOST)
        elif not self._gate.knows_origin(headers.get("origin")):
            refusal = (403, WRONG_ORIGIN)
        elif not _is_open(scope["path"]) and not self._gate.admits(
            headers.get("authorization"), headers.get("cookie")
        ):
            refusal = (401, NO_KEY)
        if scope["type"] == "http":
            app = self._app if refusal is None else error_response(refusal[1], refusal[0])
            await app(scope, receive, _with_security_headers(send))
        elif refusal is None:
            await self._app(scope, receive, send)
        else:
            await _refuse_websocket(scope, receive, send, *refusal)


def _is_open(path: str) -> bool:
    """Tell whether a path is for everybody: what a page needs before anybody signed in."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_DIRECTORY)


def _with_security_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message.get("headers", ())
            said = {name.lower() for name, _ in own}
            message["headers"] = [*own, *(header for header in _SECURITY_HEADERS if header[0] not in said)]
        await send(message)

    return wrapped


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send, status: int, error: AfxError) -> None:
    """Refuse an upgrade: with a close code that a page can read, or with plain HTTP for other programs."""
    await receive()
    if status == 401 and Headers(scope=scope).get("origin") is not None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4401, "reason": error.message})
        return
    response = error_response(error, status)
    await send({"type": "websocket.http.response.start", "status": status, "headers": response.raw_headers})
    await send({"type": "websocket.http.response.body", "body": response.body})

"""Requests read and answers written: JSON by msgspec, and errors as sentences with the status that fits."""

from __future__ import annotations

from typing import TypeVar

import anyio
import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from afx.api.errors import (
    AfxError,
    BadInputError,
    ConflictError,
    NotFoundError,
    PluginError,
    SpawnError,
    SystemRefusedError,
    UnreachableError,
)

from .wire import ErrorAnswer, ErrorBody

LONGEST_BODY = 1024 * 1024
BODY_WITHIN = 20.0
Shape = TypeVar("Shape")


class TooLargeError(AfxError):
    """A body is longer than `LONGEST_BODY` bytes."""

    code = "too-large"


class TooSlowError(AfxError):
    """A body has not come within `BODY_WITHIN` seconds."""

    code = "too-slow"


_STATUS: tuple[tuple[type[AfxError], int], ...] = (
    (BadInputError, 400),
    (PluginError, 400),
    (SpawnError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UnreachableError, 503),
    (SystemRefusedError, 503),
    (TooLargeError, 413),
    (TooSlowError, 408),
)


def json_response(value: object, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_response(error: AfxError, status: int | None = None) -> Response:
    """Return an error with the status that fits its class, or `status`."""
    if status is None:
        status = next((known for kind, known in _STATUS if isinstance(error, kind)), 500)
    body = ErrorAnswer(error=ErrorBody(code=error.code, message=error.message, hint=error.hint))
    return json_response(body, status)


async def read(request: Request, shape: type[Shape]) -> Shape:
    """Return a request's JSON body as `shape`.

    Raises:
        BadInputError: It is not JSON, or of another shape; the sentence names the place.
        TooLargeError: It is too long.
        TooSlowError: It does not come.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > LONGEST_BODY:
        raise _too_large()
    body = bytearray()
    with anyio.move_on_after(BODY_WITHIN) as patience:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                raise _too_large()
    if patience.cancelled_caught:
        raise TooSlowError(f"The request's body did not come within {BODY_WITHIN:.0f} s.")
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise BadInputError(
            f"The request's body does not fit: {error}.", hint="`GET /api/schema` says what fits."
        ) from None


def _too_large() -> TooLargeError:
    return TooLargeError(f"The request's body is longer than {LONGEST_BODY} bytes.")


def query_number(request: HTTPConnection, name: str, *, least: int, most: int) -> int | None:
    """Return a number from the query of a request or WebSocket, or None where it is left out.

    Raises:
        BadInputError: It is no whole number from `least` to `most`.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16 and least <= int(text) <= most):
        raise BadInputError(f"{name}={text!r} is no whole number from {least} to {most}.")
    return int(text)

"""A terminal's WebSocket: output as binary messages, input as binary messages, control as JSON texts."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from afx.api.errors import AfxError, BadInputError, ConnectionLostError, NotFoundError, UnreachableError
from afx.api.model import Position, Size
from afx.api.strategy import Ended, Reset, Resized, Respawned, Resumed, WatchItem
from afx.tower.hub import Onlooker, TerminalHub
from afx.tower.tower import Tower

from .answers import error_response, query_number
from .flow import Window
from .parting import Parting

WIRE_VERSION = 1
NO_SUCH_TERMINAL = 4404
GOING_AWAY = 1001
TRY_LATER = 1013
NOT_UNDERSTOOD = 1008
_LONGEST_TAIL = 64 * 1024 * 1024
_SMALLEST_WINDOW = 4096
_TURN = 256 * 1024
"""After so much output of one terminal the others get a turn, whether or not its source gives them one."""


class TerminalSocket:
    """The handler of ``/ws/terminal/{terminal}`` of one Tower.

    Args:
        parting: Begun when the Tower goes away: every socket is closed then, its terminal lives on.
    """

    def __init__(self, tower: Tower, parting: Parting) -> None:
        self._tower = tower
        self._parting = parting

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one onlooker until one side leaves."""
        with self._parting.present():
            await self._serve(websocket)

    async def _serve(self, websocket: WebSocket) -> None:
        terminal_id = websocket.path_params["terminal"]
        try:
            since, tail, size = _asked_for(websocket)
            window = Window(query_number(websocket, "window", least=_SMALLEST_WINDOW, most=_LONGEST_TAIL))
            hub = self._tower.terminals.hub(terminal_id)
            onlooker = await hub.join(since, tail=tail, size=size)
        except AfxError as error:
            await _refuse(websocket, error)
            return
        try:
            await websocket.accept()
            code = await self._carry(websocket, hub, onlooker, window)
        except WebSocketDisconnect:
            return
        finally:
            with anyio.CancelScope(shield=True):
                # Its size may not be handed on any more; there is nobody left to hear of it.
                with suppress(ConnectionLostError):
                    await onlooker.aclose()
        if code is not None:
            with suppress(WebSocketDisconnect):  # It may have left at the same moment.
                await websocket.close(code)

    async def _carry(
        self, websocket: WebSocket, hub: TerminalHub, onlooker: Onlooker, window: Window
    ) -> int | None:
        """Carry bytes both ways; return the close code, or None where the client left."""
        code: int | None = None

        async def until_stopping() -> None:
            nonlocal code
            await self._parting.wait()
            code = GOING_AWAY
            both.cancel_scope.cancel()

        async def show() -> None:
            nonlocal code
            try:
                await _show(websocket, hub, onlooker, window)
            except ConnectionLostError:
                code = self._why_lost(hub)
            except WebSocketDisconnect:
                pass
            both.cancel_scope.cancel()

        async def hear() -> None:
            try:
                await _hear(websocket, onlooker, window)
            except WebSocketDisconnect:
                both.cancel_scope.cancel()

        async with anyio.create_task_group() as both:
            both.start_soon(until_stopping)
            both.start_soon(show)
            both.start_soon(hear)
        return code

    def _why_lost(self, hub: TerminalHub) -> int:
        try:
            self._tower.agents.terminal(hub.terminal_id)
        except NotFoundError:
            return NO_SUCH_TERMINAL
        return TRY_LATER


def _asked_for(websocket: WebSocket) -> tuple[Position | None, int | None, Size | None]:
    text = websocket.query_params.get("seq")
    cols = query_number(websocket, "cols", least=1, most=2000)
    rows = query_number(websocket, "rows", least=1, most=2000)
    return (
        None if text is None else Position.parse(text),
        query_number(websocket, "tail", least=0, most=_LONGEST_TAIL),
        None if cols is None or rows is None else Size(cols, rows),
    )


async def _refuse(websocket: WebSocket, error: AfxError) -> None:
    """Refuse an onlooker: by a close code where a page asks, which sees no HTTP status; else by HTTP."""
    if websocket.headers.get("origin") is None:
        await websocket.send_denial_response(error_response(error))
        return
    await websocket.accept()
    code = NO_SUCH_TERMINAL if isinstance(error, NotFoundError) else TRY_LATER
    if isinstance(error, BadInputError):
        code = NOT_UNDERSTOOD
    await websocket.close(code, error.message[:100])


async def _show(websocket: WebSocket, hub: TerminalHub, onlooker: Onlooker, window: Window) -> None:
    greeted = False
    without_pause = 0
    while True:
        item = await onlooker.receive()
        if isinstance(item, bytes):
            await window.send(len(item))
            await websocket.send_bytes(item)
            without_pause += len(item)
            if without_pause > _TURN:
                # Neither side may ever have to wait during a flood; the others get their turn all the same.
                without_pause = 0
                await anyio.lowlevel.checkpoint()
            continue
        if isinstance(item, Reset | Resumed):
            window.begin(item.start.offset)
        if isinstance(item, Reset | Resumed) and not greeted:
            greeted = True
            message = _hello(item, hub.facts.size)
        else:
            message = _control(item)
        await websocket.send_text(msgspec.json.encode(message).decode())


def _hello(item: Reset | Resumed, size: Size) -> dict[str, Any]:
    return {
        "type": "hello",
        "version": WIRE_VERSION,
        "resumed": isinstance(item, Resumed),
        "epoch": item.start.epoch,
        "offset": item.start.offset,
        "prologue": base64.b64encode(item.prologue).decode() if isinstance(item, Reset) else "",
        "size": size,
    }


def _control(item: WatchItem) -> dict[str, Any]:
    match item:
        case Reset(start, prologue):
            return {
                "type": "resync",
                "epoch": start.epoch,
                "offset": start.offset,
                "prologue": base64.b64encode(prologue).decode(),
            }
        case Resized(size):
            return {"type": "resize", "cols": size.cols, "rows": size.rows}
        case Ended(end):
            return {"type": "exit", "code": end.code, "signal": end.signal, "at": end.at}
        case Respawned():
            return {"type": "respawn"}
        case _:
            return {"type": "unknown"}


async def _hear(websocket: WebSocket, onlooker: Onlooker, window: Window) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        data = message.get("bytes")
        try:
            if data is not None:
                if data:
                    await onlooker.type(data)
            else:
                await _obey(websocket, onlooker, window, message.get("text") or "")
        except UnreachableError as error:
            failure = {"type": "error", "code": error.code, "message": error.message}
            await websocket.send_text(msgspec.json.encode(failure).decode())


async def _obey(websocket: WebSocket, onlooker: Onlooker, window: Window, text: str) -> None:
    """Do what a control message asks; what is not understood is passed over, so that both sides can grow."""
    try:
        message = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return
    match message.get("type"):
        case "ping":
            await websocket.send_text('{"type":"pong"}')
        case "ack":
            if isinstance(offset := message.get("offset"), int):
                window.taken(offset)
        case "resize":
            try:
                await onlooker.resize(msgspec.convert({k: message.get(k) for k in ("cols", "rows")}, Size))
            except msgspec.ValidationError:
                return
        case _:
            return

"""The stream of events: what changed in the state, as it changes, as server-sent events and by WebSocket.

A page takes the WebSocket: a browser holds six server-sent streams to one host at most, over all its tabs,
and with the sixth no other request gets through.

Nothing is queued for a reader. Each has the version it was told last, and is told what came since; one that
was away too long is told to read everything again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from afx.tower.agents import Change
from afx.tower.tower import Tower

from .parting import Parting
from .websocket import GOING_AWAY
from .wire import StateEvent

_HEARTBEAT = 15.0
_GATHER = 0.05


class Events:
    """The handlers of ``/api/events`` and ``/ws/events`` of one Tower."""

    def __init__(self, tower: Tower, parting: Parting) -> None:
        self._tower = tower
        self._parting = parting

    async def stream(self, request: Request) -> Response:
        """Tell one reader of every change until one side leaves."""
        return StreamingResponse(
            self._stream(request.headers.get("last-event-id")), media_type="text/event-stream"
        )

    async def socket(self, websocket: WebSocket) -> None:
        """Tell one page of every change until one side leaves."""
        with self._parting.present():
            await self._tell(websocket)

    async def _tell(self, websocket: WebSocket) -> None:
        await websocket.accept()
        gone = False

        async def tell() -> None:
            nonlocal gone
            try:
                async with aclosing(self._changes(websocket.query_params.get("since"))) as changes:
                    async for event in changes:
                        if event is not None:
                            await websocket.send_text(msgspec.json.encode(event).decode())
            except WebSocketDisconnect:
                gone = True
            both.cancel_scope.cancel()

        async def hear() -> None:
            nonlocal gone
            try:
                while True:
                    if await websocket.receive_text() == '{"type":"ping"}':
                        await websocket.send_text('{"type":"pong"}')
            except (WebSocketDisconnect, KeyError):
                gone = True
                both.cancel_scope.cancel()

        async with anyio.create_task_group() as both:
            both.start_soon(tell)
            both.start_soon(hear)
        if not gone:
            await websocket.close(GOING_AWAY)

    async def _stream(self, since: str | None) -> AsyncIterator[bytes]:
        if since is None:
            yield b": hello\n\n"
        async with aclosing(self._changes(since)) as changes:
            async for event in changes:
                if event is None:
                    yield b": still here\n\n"
                else:
                    data = msgspec.json.encode(event)
                    yield b"event: state\nid: %s\ndata: %s\n\n" % (event.version.encode(), data)

    async def _changes(self, since: str | None) -> AsyncGenerator[StateEvent | None, None]:
        """Yield what changed since a version, or from now on; None where nothing did for a while."""
        agents = self._tower.agents
        boot, _, number = (since or "").partition(":")
        told = int(number) if boot == self._tower.boot and number.isdigit() else None
        changed = anyio.Event()

        def notice(_: Change) -> None:
            changed.set()

        stop = agents.listen(notice)
        try:
            if since is None:
                told = agents.version
            while not self._parting.has_begun:
                if told != agents.version:
                    yield self._event(told)
                    told = agents.version
                with anyio.move_on_after(_HEARTBEAT) as waiting:
                    await self._either(changed)
                if waiting.cancelled_caught:
                    yield None
                changed = anyio.Event()
                # Changes often come in crowds; a moment's patience tells of them in one event.
                with anyio.move_on_after(_GATHER):
                    await self._parting.wait()
        finally:
            stop()

    async def _either(self, changed: anyio.Event) -> None:
        async def until_stopping() -> None:
            await self._parting.wait()
            both.cancel_scope.cancel()

        async with anyio.create_task_group() as both:
            both.start_soon(until_stopping)
            await changed.wait()
            both.cancel_scope.cancel()

    def _event(self, told: int | None) -> StateEvent:
        version = self._tower.version
        changes = None if told is None else self._tower.agents.changes_since(told)
        if changes is None:
            return StateEvent(version=version, all=True)
        return StateEvent(
            version=version,
            agents=sorted({agent for change in changes for agent in change.agents}),
            workspaces=sorted({path for change in changes for path in change.workspaces}),
        )

"""The stream of events: what changed in the state, as it changes.

Nothing is queued for a reader. Each has the version it was told last, and is told what came since; one that
was away too long is told to read everything again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from afx.tower.agents import Change
from afx.tower.tower import Tower

from .wire import StateEvent

_HEARTBEAT = 15.0
_GATHER = 0.05


class Events:
    """The handler of ``/api/events`` of one Tower."""

    def __init__(self, tower: Tower, stopping: anyio.Event) -> None:
        self._tower = tower
        self._stopping = stopping

    async def stream(self, request: Request) -> Response:
        """Tell one reader of every change until one side leaves."""
        return StreamingResponse(
            self._stream(request.headers.get("last-event-id")), media_type="text/event-stream"
        )

    async def _stream(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        agents = self._tower.agents
        boot, _, number = (last_event_id or "").partition(":")
        told = int(number) if boot == self._tower.boot and number.isdigit() else None
        changed = anyio.Event()

        def notice(_: Change) -> None:
            changed.set()

        stop = agents.listen(notice)
        try:
            if last_event_id is None:
                told = agents.version
                yield b": hello\n\n"
            while not self._stopping.is_set():
                if told != agents.version:
                    yield self._event(told)
                    told = agents.version
                with anyio.move_on_after(_HEARTBEAT) as waiting:
                    await self._either(changed)
                if waiting.cancelled_caught:
                    yield b": still here\n\n"
                changed = anyio.Event()
                # Changes often come in crowds; a moment's patience tells of them in one event.
                await anyio.sleep(_GATHER)
        finally:
            stop()

    async def _either(self, changed: anyio.Event) -> None:
        async def until_stopping() -> None:
            await self._stopping.wait()
            both.cancel_scope.cancel()

        async with anyio.create_task_group() as both:
            both.start_soon(until_stopping)
            await changed.wait()
            both.cancel_scope.cancel()

    def _event(self, told: int | None) -> bytes:
        version = self._tower.version
        changes = None if told is None else self._tower.agents.changes_since(told)
        if changes is None:
            event = StateEvent(version=version, all=True)
        else:
            event = StateEvent(
                version=version,
                agents=sorted({agent for change in changes for agent in change.agents}),
                workspaces=sorted({path for change in changes for path in change.workspaces}),
            )
        return b"event: state\nid: %s\ndata: %s\n\n" % (version.encode(), msgspec.json.encode(event))

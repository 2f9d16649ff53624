"""How long the door waits for those who connect and say nothing, or say it a byte at a time.

Every user of the machine can connect to a loopback port. Without a limit, connections that say nothing would
use up the Tower's descriptors, and no terminal could be started or looked at any more. So a client that has
not asked for anything yet has a while to do so, and of those that wait only the latest stay: a client that
asks at once, as each of ours does, always gets in.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    import h11

HEAD_WITHIN = 10.0
"""For how many seconds the head of a request is waited for."""
MOST_WAITING = 256
"""How many connections may be waited for at the same time."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP, that hangs up on those who never ask."""

    waiting: ClassVar[dict[PatientProtocol, asyncio.TimerHandle]] = {}
    """The connections on which no request is in progress, the longest waiting first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        # Not there before the first request, whatever its type says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            self._wait_no_more()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to WebSocket, whose requests have a head as well."""
        self._wait_no_more()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        # The next request may have come with the one before, and be in progress by now.
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._wait_no_more()
        self.waiting[self] = self.loop.call_later(HEAD_WITHIN, self.hang_up)
        if len(self.waiting) > MOST_WAITING:
            next(iter(self.waiting)).hang_up()

    def _wait_no_more(self) -> None:
        timer = self.waiting.pop(self, None)
        if timer is not None:
            timer.cancel()

    def hang_up(self) -> None:
        """End the connection."""
        self._wait_no_more()
        self.transport.abort()

"""The Tower's hold on one terminal whose holder does all that the Tower asks."""

from __future__ import annotations

import itertools
import socket

from afx.plugin import Size, SpawnError
from afx_holding import frames

from . import messages
from .linked import ANSWER_WITHIN, LinkedConnection
from .places import Place

_SPAWN_WITHIN = 15.0


class HolderConnection(LinkedConnection):
    """A connection as the holder's one Tower."""

    other_end = "holder"

    def __init__(self, connection: socket.socket, place: Place, terminal_id: str, greeting: bytes) -> None:
        self.refusal: messages.Refusal | None = None
        """Why the program that was last asked for could not be started."""
        self._requests = itertools.count(1)
        self._answered: set[int] = set()
        """The resizes that were done."""
        self._respawned: bool | None = None
        """Whether the program that was last asked for runs; None while that is not known."""
        super().__init__(connection, place, terminal_id, greeting)

    @property
    def settled(self) -> bool:
        """Whether the holder has answered, or will not."""
        return super().settled or self.refusal is not None

    @property
    def stuck(self) -> bool:
        """Whether the holder does not take what was sent to it."""
        return self._link.blocked

    # What the holder says

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == frames.SPAWN_FAILED:
            self.refusal = messages.read_refusal(payload)
            self._respawned = False
            self._wake()
            return
        if kind == frames.RESPAWNED:
            self._process = messages.read_child(payload).identity()
            self._respawned = True
        super()._take(kind, payload)

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self._process = welcome.child.identity() if welcome.child is not None else None
        super()._take_welcome(welcome)

    def _take_size(self, answer: messages.SizeSet) -> None:
        if answer.request is not None:
            self._answered.add(answer.request)
        super()._take_size(answer)
        self._wake()

    # What the Tower wants

    async def write(self, data: bytes) -> None:
        """Type `data`, whole and unmixed with what others type at the same time."""
        async with self._typing:
            for begin in range(0, len(data), frames.PIECE):
                await self._link.deliver(frames.raw(frames.INPUT, data[begin : begin + frames.PIECE]))

    async def resize(self, size: Size) -> None:
        """Give the terminal another size, and return when it has it."""
        request = next(self._requests)
        self._link.send(frames.control(frames.RESIZE, cols=size.cols, rows=size.rows, request=request))
        await self.until(lambda: request in self._answered, ANSWER_WITHIN)
        self._answered.discard(request)

    async def signal(self, number: int) -> None:
        """Send a signal to the foreground process group."""
        await self._link.deliver(frames.control(frames.SIGNAL, number=int(number)))

    async def show(self, data: bytes) -> None:
        """Put `data` into the output, while no process runs."""
        await self._link.deliver(frames.raw(frames.SHOW, data))

    async def respawn(self, request: bytes) -> None:
        """Send a SPAWN frame, and return when the new program runs.

        Raises:
            SpawnError: It could not be started.
            ConnectionLostError: The holder does not answer.
        """
        self._respawned = self.refusal = None
        self._link.send(request)
        await self.until(lambda: self._respawned is not None, _SPAWN_WITHIN)
        if self.refusal is not None:
            raise SpawnError(self.refusal.message, hint=self.refusal.hint)

    def request_end(self, grace: float) -> None:
        """Ask the holder to end its program, and itself.

        Raises:
            ConnectionLostError: The connection has ended.
        """
        self._link.send(frames.control(frames.TERMINATE, grace=grace))

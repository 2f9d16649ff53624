"""The Tower's hold on one terminal: facts kept current, notices, and what the Tower asks of the holder."""

from __future__ import annotations

import itertools
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable

import anyio
import msgspec

from afx.plugin import (
    Activity,
    Connection,
    ConnectionLostError,
    Ended,
    Exit,
    Notice,
    Position,
    ProcessIdentity,
    Resized,
    Respawned,
    Size,
    SpawnError,
    TerminalFacts,
    Watch,
    read_to_end,
)
from afx_holding import frames

from . import messages
from .link import Link
from .places import Place
from .watch import open_watch

_ANSWER_WITHIN = 5.0
_SPAWN_WITHIN = 15.0


class HolderConnection(Connection):
    """A connection as the holder's one Tower. It exists before the holder has answered: see `settled`."""

    def __init__(self, connection: socket.socket, place: Place, terminal_id: str, greeting: bytes) -> None:
        self.terminal_id = terminal_id
        self.welcome: messages.Welcome | None = None
        """What the holder said at first; None while it has not answered."""
        self.refusal: messages.Refusal | None = None
        self.lost: str | None = None
        """Why there is no connection any more, in a sentence."""
        self.on_settled: list[Callable[[], None]] = []
        """Called once each, when the holder has answered, or will not."""
        self._place = place
        self._closed = False
        self._notices: deque[Notice] = deque()
        self._typing = anyio.Lock()
        self._requests = itertools.count(1)
        self._answered: set[int] = set()
        self._respawned: bool | None = None
        self._changed: anyio.Event | None = None
        self._process: ProcessIdentity | None = None
        self._size = Size()
        self._offset = 0
        self._last_output_at: float | None = None
        self._exit: Exit | None = None
        self._link = Link(connection, self)
        self._link.send(greeting)

    # What the holder is

    @property
    def settled(self) -> bool:
        """Whether the holder has answered, or will not."""
        return self.welcome is not None or self.refusal is not None or self.lost is not None or self._closed

    @property
    def usable(self) -> bool:
        """Whether the holder has answered and is still connected."""
        return self.welcome is not None and self.lost is None and not self._closed

    @property
    def pending(self) -> bool:
        """Whether the holder is connected and has yet to answer."""
        return not self.settled

    @property
    def stuck(self) -> bool:
        """Whether the holder does not take what was sent to it."""
        return self._link.blocked

    @property
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now."""
        return TerminalFacts(
            process=self._process,
            size=self._size,
            end=Position(self._greeted().epoch, self._offset),
            last_output_at=self._last_output_at,
            exit=self._exit,
        )

    def _greeted(self) -> messages.Welcome:
        if self.welcome is None:
            raise ConnectionLostError("The terminal's holder has not answered yet.")
        return self.welcome

    async def settle(self, deadline: float) -> None:
        """Wait until the holder has answered or will not, but at most `deadline` seconds."""
        with anyio.move_on_after(deadline):
            while not self.settled:
                await self._next_change()

    # What the holder says

    def on_frame(self, kind: int, payload: bytes) -> None:
        """Take a frame from the holder. One that cannot be read ends the connection."""
        try:
            self._take(kind, payload)
        except msgspec.MsgspecError as error:
            self._link.close()
            self.on_lost(f"The terminal's holder says what nobody understands: {error}.")

    def on_lost(self, reason: str) -> None:
        """Take note that the holder is not connected any more."""
        self.lost = reason
        self._wake()
        self._tell_settled()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == frames.ACTIVITY:
            seen = messages.read_activity(payload)
            self._last_output_at, self._offset = seen.at, seen.offset
            if self._notices and isinstance(self._notices[-1], Activity):
                self._notices.pop()
            self._notify(Activity(seen.at, seen.offset))
        elif kind == frames.WELCOME:
            self._take_welcome(messages.read_welcome(payload))
        elif kind == frames.EXIT:
            self._exit = messages.read_exit(payload)
            self._notify(Ended(self._exit))
        elif kind == frames.RESIZED:
            self._take_size(messages.read_size(payload))
        elif kind == frames.RESPAWNED:
            self._process = messages.read_child(payload).identity()
            self._exit = None
            self._respawned = True
            self._notify(Respawned(self._process))
        elif kind == frames.SPAWN_FAILED:
            self.refusal = messages.read_refusal(payload)
            self._respawned = False
            self._wake()
            self._tell_settled()

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self.welcome = welcome
        self._process = welcome.child.identity() if welcome.child is not None else None
        self._size = Size(welcome.cols, welcome.rows)
        self._offset = welcome.offset
        self._last_output_at = welcome.last_output_at
        self._exit = welcome.exit
        self._wake()
        self._tell_settled()

    def _take_size(self, answer: messages.SizeSet) -> None:
        if answer.request is not None:
            self._answered.add(answer.request)
        if answer.size != self._size:
            self._size = answer.size
            self._notify(Resized(answer.size))
        self._wake()

    def _tell_settled(self) -> None:
        while self.on_settled:
            self.on_settled.pop()()

    def _notify(self, notice: Notice) -> None:
        self._notices.append(notice)
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _next_change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what happens to the terminal."""
        while True:
            while self._notices:
                yield self._notices.popleft()
            if self._closed:
                return
            if self.lost is not None:
                raise ConnectionLostError(self.lost)
            await self._next_change()

    # What the Tower wants

    async def watch(self, since: Position | None = None, *, tail: int | None = None) -> Watch:
        """Begin to watch the output, over a connection of its own."""
        return await open_watch(self._place, self.terminal_id, since, tail, _ANSWER_WITHIN)

    async def glance(self, tail: int) -> bytes:
        """Return about the last `tail` bytes of output, unseen by the program."""
        return await read_to_end(
            await open_watch(self._place, self.terminal_id, None, tail, _ANSWER_WITHIN, unseen=True)
        )

    async def write(self, data: bytes) -> None:
        """Type `data`, whole and unmixed with what others type at the same time."""
        async with self._typing:
            for begin in range(0, len(data), frames.PIECE):
                await self._link.deliver(frames.raw(frames.INPUT, data[begin : begin + frames.PIECE]))

    async def resize(self, size: Size) -> None:
        """Give the terminal another size, and return when it has it."""
        request = next(self._requests)
        self._link.send(frames.control(frames.RESIZE, cols=size.cols, rows=size.rows, request=request))
        await self._until(lambda: request in self._answered, _ANSWER_WITHIN)
        self._answered.discard(request)

    async def signal(self, number: int) -> None:
        """Send a signal to the foreground process group."""
        await self._link.deliver(frames.control(frames.SIGNAL, number=int(number)))

    async def show(self, data: bytes) -> None:
        """Put `data` into the output, while no process runs."""
        await self._link.deliver(frames.raw(frames.SHOW, data))

    async def acknowledge(self, end: Exit) -> None:
        """Say that `end` has been noted."""
        await self._link.deliver(frames.control(frames.ACK, at=end.at))

    async def respawn(self, request: bytes) -> None:
        """Send a SPAWN frame, and return when the new program runs.

        Raises:
            SpawnError: It could not be started.
            ConnectionLostError: The holder does not answer.
        """
        self._respawned = self.refusal = None
        self._link.send(request)
        await self._until(lambda: self._respawned is not None, _SPAWN_WITHIN)
        if self.refusal is not None:
            raise SpawnError(self.refusal.message, hint=self.refusal.hint)

    def request_end(self, grace: float) -> None:
        """Ask the holder to end its program, and itself.

        Raises:
            ConnectionLostError: The connection has ended.
        """
        self._link.send(frames.control(frames.TERMINATE, grace=grace))

    async def until_lost(self, deadline: float) -> None:
        """Wait until the connection has ended, but at most `deadline` seconds."""
        with anyio.move_on_after(deadline):
            while self.lost is None and not self._closed:
                await self._next_change()

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        with anyio.move_on_after(deadline):
            while not done() and self.lost is None and not self._closed:
                await self._next_change()
        if not done():
            raise ConnectionLostError(self.lost or "The terminal's holder does not answer.")

    def close(self) -> None:
        """Let go of the terminal at once."""
        self._closed = True
        self._link.close()
        self._wake()
        self._tell_settled()

    async def aclose(self) -> None:
        """Let go of the terminal without ending it."""
        self.close()

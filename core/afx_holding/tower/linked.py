"""A connection to the process that keeps a terminal's output: facts kept current, notices of what happens.

Such a process is a holder, or a recorder that some program which holds the terminal writes to. What is asked
of the terminal itself, such as to type or to resize, is a subclass's.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

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
    TerminalFacts,
    Watch,
    read_to_end,
)
from afx_holding import frames

from . import messages
from .link import Link
from .places import Place
from .watch import open_watch

ANSWER_WITHIN = 5.0
"""How many seconds the other end has to answer what it is asked."""


class LinkedConnection(Connection):
    """A connection as the Tower. It exists before the other end has answered: see `settled`."""

    other_end: ClassVar[str]
    """What messages call the process at the other end, such as ``holder``."""

    def __init__(self, connection: socket.socket, place: Place, terminal_id: str, greeting: bytes) -> None:
        self.terminal_id = terminal_id
        self.welcome: messages.Welcome | None = None
        """What the other end said at first; None while it has not answered."""
        self.lost: str | None = None
        """Why there is no connection any more, in a sentence."""
        self.on_settled: list[Callable[[], None]] = []
        """Called once each, when the other end has answered, or will not."""
        self._place = place
        self._closed = False
        self._notices: deque[Notice] = deque()
        self._changed: anyio.Event | None = None
        self._typing = anyio.Lock()
        self._process: ProcessIdentity | None = None
        self._size = Size()
        self._offset = 0
        self._last_output_at: float | None = None
        self._exit: Exit | None = None
        self._link = Link(connection, self)
        self._link.send(greeting)

    # What the other end is

    @property
    def settled(self) -> bool:
        """Whether the other end has answered, or will not."""
        return self.welcome is not None or self._over

    @property
    def usable(self) -> bool:
        """Whether the other end has answered and is still connected."""
        return self.welcome is not None and not self._over

    @property
    def pending(self) -> bool:
        """Whether the other end is connected and has yet to answer."""
        return not self.settled

    @property
    def _over(self) -> bool:
        return self.lost is not None or self._closed

    @property
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now."""
        if self.welcome is None:
            raise ConnectionLostError(f"The terminal's {self.other_end} has not answered yet.")
        return TerminalFacts(
            process=self._process,
            size=self._size,
            end=Position(self.welcome.epoch, self._offset),
            last_output_at=self._last_output_at,
            exit=self._exit,
        )

    # What the other end says

    def on_frame(self, kind: int, payload: bytes) -> None:
        """Take a frame from the other end. One that cannot be read ends the connection."""
        try:
            self._take(kind, payload)
        except msgspec.MsgspecError as error:
            self._link.close()
            self.on_lost(f"The terminal's {self.other_end} says what nobody understands: {error}.")

    def on_lost(self, reason: str) -> None:
        """Take note that there is no connection any more."""
        self.lost = self.lost or reason
        self._wake()

    def _take(self, kind: int, payload: bytes) -> None:
        """Take a frame that every such process sends. A subclass takes those of its own before.

        Raises:
            msgspec.MsgspecError: It cannot be read.
        """
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
            self._exit = None
            self._notify(Respawned(self._process))

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self.welcome = welcome
        self._size = Size(welcome.cols, welcome.rows)
        self._offset = welcome.offset
        self._last_output_at = welcome.last_output_at
        self._exit = welcome.exit
        self._wake()

    def _take_size(self, answer: messages.SizeSet) -> None:
        if answer.size != self._size:
            self._size = answer.size
            self._notify(Resized(answer.size))

    def _notify(self, notice: Notice) -> None:
        self._notices.append(notice)
        self._wake()

    def _wake(self) -> None:
        """Let all who wait look again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        while self.settled and self.on_settled:
            self.on_settled.pop()()

    # Waiting

    async def settle(self, deadline: float) -> None:
        """Wait until the other end has answered or will not, but at most `deadline` seconds."""
        with anyio.move_on_after(deadline):
            while self.pending:
                await self._next_change()

    async def until(self, done: Callable[[], bool], deadline: float) -> None:
        """Wait until `done`, but at most `deadline` seconds.

        Raises:
            ConnectionLostError: It was not.
        """
        with anyio.move_on_after(deadline):
            while not done() and not self._over:
                await self._next_change()
        if not done():
            raise ConnectionLostError(self.lost or f"The terminal's {self.other_end} does not answer.")

    async def until_lost(self, deadline: float) -> None:
        """Wait until the connection has ended, but at most `deadline` seconds."""
        with anyio.move_on_after(deadline):
            while not self._over:
                await self._next_change()

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

    async def _next_change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    # What the Tower wants of the output

    async def watch(self, since: Position | None = None, *, tail: int | None = None) -> Watch:
        """Begin to watch the output, over a connection of its own."""
        return await open_watch(self._place, self.terminal_id, since, tail, ANSWER_WITHIN)

    async def glance(self, tail: int) -> bytes:
        """Return about the last `tail` bytes of output, unseen by the program."""
        return await read_to_end(
            await open_watch(self._place, self.terminal_id, None, tail, ANSWER_WITHIN, unseen=True)
        )

    async def acknowledge(self, end: Exit) -> None:
        """Say that `end` has been noted."""
        await self._link.deliver(frames.control(frames.ACK, at=end.at))

    # The end

    def close(self) -> None:
        """Let go of the terminal at once."""
        self._closed = True
        self._link.close()
        self._wake()

    async def aclose(self) -> None:
        """Let go of the terminal without ending it."""
        self.close()

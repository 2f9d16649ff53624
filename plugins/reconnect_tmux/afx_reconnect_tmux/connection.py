"""The Tower's hold on one terminal: its output comes from the recorder, everything else is asked of tmux."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

import anyio

from afx.plugin import ConnectionLostError, Exit, Size, identify
from afx_holding import frames
from afx_holding.tower import messages
from afx_holding.tower.linked import ANSWER_WITHIN, LinkedConnection
from afx_holding.tower.places import Place

from .control import ControlClient
from .endwatch import EndWatch
from .foreground import signal_foreground
from .panes import Pane
from .tmux import TmuxError

_RESIZED_WITHIN = 1.0
_KEYS_AT_ONCE = 512
_HELLO = frames.control(frames.HELLO, version=frames.VERSION, client="tower")


class TmuxConnection(LinkedConnection):
    """A connection to a pane's recorder, and the way to the pane."""

    other_end = "recorder"

    def __init__(self, connection: socket.socket, place: Place, pane: Pane, control: ControlClient) -> None:
        self.pane = pane
        self.piped = True
        """Whether the pane's output still comes to the recorder."""
        self.on_ended: Callable[[TmuxConnection], None] = lambda _: None
        """Called where the pane's program has ended, or its output does, so that tmux is asked how."""
        self._control = control
        self._end_watch: EndWatch | None = None
        super().__init__(connection, place, pane.terminal, _HELLO)
        self._process = identify(pane.pid)

    @property
    def records(self) -> bool:
        """Whether the recorder has all that the pane's program writes, if one runs."""
        return self.piped or self.pane.dead

    # What the recorder says

    def on_lost(self, reason: str) -> None:
        """Take note that there is no connection any more."""
        self._unwatch()
        super().on_lost(reason)

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == frames.GONE:
            self.on_lost("The recorder of its output has ended.")
        elif kind == frames.PIPE:
            self.piped = messages.read_pipe(payload).laid
            if not self.piped and self._exit is None:
                self.on_ended(self)
        else:
            super()._take(kind, payload)

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self.piped = welcome.piped
        super()._take_welcome(welcome)

    # The end of the program

    def await_end(self) -> None:
        """Have `on_ended` called when the program ends, or at once where it has."""
        self._unwatch()
        self._end_watch = EndWatch(self._process, self._has_ended)

    def _has_ended(self) -> None:
        if self.usable:
            self.on_ended(self)

    def _unwatch(self) -> None:
        if self._end_watch is not None:
            self._end_watch.close()
            self._end_watch = None

    async def tell_end(self, end: Exit) -> None:
        """Tell the recorder how the program ended, and return when all output before is told of.

        Raises:
            ConnectionLostError: The recorder does not answer.
        """
        self._link.send(frames.control(frames.EXIT, code=end.code, signal=end.signal, at=end.at))
        await self.until(lambda: self._exit is not None, ANSWER_WITHIN)

    async def tell_respawned(self, pane: Pane) -> None:
        """Take note, and tell the recorder, that another program runs in the pane; return when it knows.

        Raises:
            ConnectionLostError: The recorder does not answer.
        """
        self.pane = pane
        self._process = identify(pane.pid)
        start = None if self._process is None else self._process.start
        self._link.send(frames.control(frames.RESPAWNED, pid=pane.pid, start=start, tty=pane.tty))
        await self.until(lambda: self._exit is None, ANSWER_WITHIN)

    # What the Tower wants

    async def write(self, data: bytes) -> None:
        """Type `data`, whole and unmixed. A person who scrolls in tmux is taken back to the program."""
        lines = [f"copy-mode -q -t {self.pane.pane}"]
        for begin in range(0, len(data), _KEYS_AT_ONCE):
            keys = data[begin : begin + _KEYS_AT_ONCE].hex(" ")
            lines.append(f"send-keys -t {self.pane.pane} -H {keys}")
        async with self._typing:
            await self._ask(*lines)

    async def resize(self, size: Size) -> None:
        """Give the terminal another size, and return when it has it."""
        await self._ask(f"resize-window -t {self.pane.window} -x {size.cols} -y {size.rows}")
        self._link.send(frames.control(frames.RESIZE, cols=size.cols, rows=size.rows))
        with suppress(ConnectionLostError):  # A pane that shares its window with others gets less.
            await self.until(lambda: self._size == size, _RESIZED_WITHIN)

    async def signal(self, number: int) -> None:
        """Send a signal to the foreground process group."""
        if self._process is not None:
            signal_foreground(self._process, number)

    async def show(self, data: bytes) -> None:
        """Put `data` into the output, while no process runs. It is seen by way of afx, and not in tmux."""
        most = frames.MAX_PAYLOAD
        pieces = [data[begin : begin + most] for begin in range(0, len(data), most)]
        await self._link.deliver(b"".join(frames.raw(frames.SHOW, piece) for piece in pieces))

    async def end_recorder(self) -> None:
        """Have the recorder end, and return when it has let go of the connection, or does not answer."""
        with suppress(ConnectionLostError):
            self._link.send(frames.control(frames.TERMINATE))
            await self.until_lost(ANSWER_WITHIN)

    async def _ask(self, *lines: str) -> None:
        try:
            await self._control.ask(self.pane.session, *lines, deadline=ANSWER_WITHIN)
        except TmuxError as error:
            raise ConnectionLostError(error.message) from error

    def close(self) -> None:
        """Let go of the terminal at once."""
        self._unwatch()
        super().close()


async def settle_all(connections: Iterable[TmuxConnection], deadline: float) -> None:
    """Wait until each has been answered or will not be, but at most `deadline` seconds for all."""
    async with anyio.create_task_group() as tasks:
        for connection in connections:
            if connection.pending:
                tasks.start_soon(connection.settle, deadline)

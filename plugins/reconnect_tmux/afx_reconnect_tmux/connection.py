"""The Tower's hold on one terminal: its output comes from the recorder, everything else is asked of tmux."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path

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
    identify,
    is_alive,
    read_to_end,
)
from afx_holding import frames
from afx_holding.tower import messages
from afx_holding.tower.link import Link
from afx_holding.tower.places import Place
from afx_holding.tower.watch import open_watch

from .control import ControlClient
from .panes import Pane
from .tmux import TmuxError

_ANSWER_WITHIN = 5.0
_RESIZED_WITHIN = 1.0
_KEYS_AT_ONCE = 512
_HELLO = frames.control(frames.HELLO, version=frames.VERSION, client="tower")
_LOOK_EVERY = 0.5


class TmuxConnection(Connection):
    """A connection to a pane's recorder, and the way to the pane. It exists before the recorder answered."""

    def __init__(self, connection: socket.socket, place: Place, pane: Pane, control: ControlClient) -> None:
        self.terminal_id = pane.terminal
        self.pane = pane
        self.welcome: messages.Welcome | None = None
        self.lost: str | None = None
        """Why there is no connection any more, in a sentence."""
        self.on_ended: Callable[[TmuxConnection], None] = lambda _: None
        """Called where the pane's program has ended, or its output does, so that tmux is asked how."""
        self._place = place
        self._control = control
        self._closed = False
        self._notices: deque[Notice] = deque()
        self._changed: anyio.Event | None = None
        self._typing = anyio.Lock()
        self._process = identify(pane.pid)
        self._size = Size()
        self._offset = 0
        self._last_output_at: float | None = None
        self._exit: Exit | None = None
        self._watched: int | None = None
        self._look: asyncio.TimerHandle | None = None
        self.piped = True
        """Whether the pane's output still comes to the recorder."""
        self._link = Link(connection, self)
        self._link.send(_HELLO)

    # What it is

    @property
    def usable(self) -> bool:
        """Whether the recorder has answered and is still connected."""
        return self.welcome is not None and self.lost is None and not self._closed

    @property
    def pending(self) -> bool:
        """Whether the recorder is connected and has yet to answer."""
        return self.welcome is None and self.lost is None and not self._closed

    @property
    def records(self) -> bool:
        """Whether the recorder has all that the pane's program writes, if one runs."""
        return self.piped or self.pane.dead

    @property
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now."""
        if self.welcome is None:
            raise ConnectionLostError("The terminal's recorder has not answered yet.")
        return TerminalFacts(
            process=self._process,
            size=self._size,
            end=Position(self.welcome.epoch, self._offset),
            last_output_at=self._last_output_at,
            exit=self._exit,
        )

    async def settle(self, deadline: float) -> None:
        """Wait until the recorder has answered or will not, but at most `deadline` seconds."""
        with anyio.move_on_after(deadline):
            while self.pending:
                await self._next_change()

    # What the recorder says

    def on_frame(self, kind: int, payload: bytes) -> None:
        """Take a frame from the recorder. One that cannot be read ends the connection."""
        if kind == frames.GONE:
            self.on_lost("The recorder of its output has ended.")
            return
        try:
            self._take(kind, payload)
        except msgspec.MsgspecError as error:
            self._link.close()
            self.on_lost(f"The terminal's recorder says what nobody understands: {error}.")

    def on_lost(self, reason: str) -> None:
        """Take note that there is no connection any more."""
        self.lost = self.lost or reason
        self._unwatch()
        self._wake()

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
            size = messages.read_size(payload).size
            if size != self._size:
                self._size = size
                self._notify(Resized(size))
        elif kind == frames.RESPAWNED:
            self._exit = None
            self._notify(Respawned(self._process))
        elif kind == frames.PIPE:
            self._take_pipe(messages.read_pipe(payload))

    def _take_pipe(self, seen: messages.PipeSeen) -> None:
        self.piped = seen.laid
        if not self.piped and self._exit is None:
            self.on_ended(self)

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self.welcome = welcome
        self._size = Size(welcome.cols, welcome.rows)
        self.piped = welcome.piped
        self._offset = welcome.offset
        self._last_output_at = welcome.last_output_at
        self._exit = welcome.exit
        self._wake()

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

    async def until(self, done: Callable[[], bool], deadline: float) -> None:
        """Wait until `done`, but at most `deadline` seconds.

        Raises:
            ConnectionLostError: It was not.
        """
        with anyio.move_on_after(deadline):
            while not done() and self.lost is None and not self._closed:
                await self._next_change()
        if not done():
            raise ConnectionLostError(self.lost or "The terminal's recorder does not answer.")

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

    # The end of the program

    def await_end(self) -> None:
        """Have `on_ended` called when the program ends, or at once where it has."""
        self._unwatch()
        loop = asyncio.get_running_loop()
        if self._process is None:
            loop.call_soon(self.on_ended, self)
        elif hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._watched = os.pidfd_open(self._process.pid)
            if self._watched is None or not is_alive(self._process):
                loop.call_soon(self._has_ended)
            else:
                loop.add_reader(self._watched, self._has_ended)
        else:
            self._look = loop.call_later(_LOOK_EVERY, self._look_again, self._process)

    def _look_again(self, process: ProcessIdentity) -> None:
        if is_alive(process):
            self._look = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look_again, process)
        else:
            self._has_ended()

    def _has_ended(self) -> None:
        self._unwatch()
        if self.usable:
            self.on_ended(self)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
        if self._look is not None:
            self._look.cancel()
            self._look = None

    async def tell_end(self, end: Exit) -> None:
        """Tell the recorder how the program ended, and return when all output before is told of.

        Raises:
            ConnectionLostError: The recorder does not answer.
        """
        self._link.send(frames.control(frames.EXIT, code=end.code, signal=end.signal, at=end.at))
        await self.until(lambda: self._exit is not None, _ANSWER_WITHIN)

    async def tell_respawned(self, pane: Pane) -> None:
        """Take note, and tell the recorder, that another program runs in the pane; return when it knows.

        Raises:
            ConnectionLostError: The recorder does not answer.
        """
        self.pane = pane
        self._process = identify(pane.pid)
        start = None if self._process is None else self._process.start
        self._link.send(frames.control(frames.RESPAWNED, pid=pane.pid, start=start, tty=pane.tty))
        await self.until(lambda: self._exit is None, _ANSWER_WITHIN)

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
        process = self._process
        if process is None or not is_alive(process):
            return
        group = _foreground_group(process.pid)
        with suppress(OSError):
            # A number that the kernel just named, and whose session's leader is the program itself.
            if group > 0 and os.getsid(group) == process.pid:
                os.killpg(group, signal.Signals(number))

    async def show(self, data: bytes) -> None:
        """Put `data` into the output, while no process runs. It is seen by way of afx, and not in tmux."""
        most = frames.MAX_PAYLOAD
        pieces = [data[begin : begin + most] for begin in range(0, len(data), most)]
        await self._link.deliver(b"".join(frames.raw(frames.SHOW, piece) for piece in pieces))

    async def acknowledge(self, end: Exit) -> None:
        """Say that `end` has been noted."""
        await self._link.deliver(frames.control(frames.ACK, at=end.at))

    async def end_recorder(self) -> None:
        """Have the recorder end, and return when it has let go of the connection, or does not answer."""
        with suppress(ConnectionLostError):
            self._link.send(frames.control(frames.TERMINATE))
            await self.until(lambda: self.lost is not None, _ANSWER_WITHIN)

    async def _ask(self, *lines: str) -> None:
        try:
            await self._control.ask(self.pane.session, *lines, deadline=_ANSWER_WITHIN)
        except TmuxError as error:
            raise ConnectionLostError(error.message) from error

    def close(self) -> None:
        """Let go of the terminal at once."""
        self._closed = True
        self._unwatch()
        self._link.close()
        self._wake()

    async def aclose(self) -> None:
        """Let go of the terminal without ending it."""
        self.close()


async def settle_all(connections: Iterable[TmuxConnection], deadline: float) -> None:
    """Wait until each has been answered or will not be, but at most `deadline` seconds for all."""
    async with anyio.create_task_group() as tasks:
        for connection in connections:
            if connection.pending:
                tasks.start_soon(connection.settle, deadline)


def _foreground_group(pid: int) -> int:
    """Return the process group in the foreground of a process's terminal, 0 where that cannot be told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat[stat.rindex(b")") + 1 :].split()[5])
    except OSError:
        asked = subprocess.run(
            ["ps", "-o", "tpgid=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return int(asked.stdout.strip()) if asked.stdout.strip().isdigit() else 0

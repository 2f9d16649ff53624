"""One onlooker's stream of a terminal's output, over a connection of its own to the holder.

Bytes are taken from the socket only when the onlooker asks for them, so that one who does not read is seen as
such by the holder, and nothing piles up here.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque

import anyio
import msgspec

from afx.plugin import (
    ConnectionLostError,
    Ended,
    Position,
    Reset,
    Resized,
    Respawned,
    Resumed,
    Watch,
    WatchItem,
)
from afx_holding import frames

from . import messages
from .places import Place

_MOST_AT_ONCE = 256 * 1024


class HolderWatch(Watch):
    """A connection as onlooker. HELLO is sent; what the holder says is read by `receive`."""

    def __init__(self, connection: socket.socket, since: Position | None) -> None:
        self._connection = connection
        self._since = since
        self._decoder = frames.Decoder(passed_on=frames.DATA)
        self._items: deque[WatchItem] = deque()
        self._ended: str | None = None
        self._end: Position | None = None
        self._loop = asyncio.get_running_loop()
        self._hears = False
        """Whether the loop tells of what comes."""
        self._wanted: asyncio.Future[None] | None = None
        """Who waits for something to come."""

    @property
    def end(self) -> Position:
        """Where the output ended when the onlooker came."""
        if self._end is None:
            raise ConnectionLostError("The terminal's holder has not answered yet.")
        return self._end

    async def receive(self) -> WatchItem:
        """Return the next item; bytes that came together come together."""
        while not self._items:
            if self._ended is not None:
                raise ConnectionLostError(self._ended)
            await self._read()
        return self._items.popleft()

    async def until_begun(self) -> None:
        """Wait for the first item, which `receive` will then return."""
        while not self._items and self._ended is None:
            await self._read()
        if self._ended is not None and not self._items:
            raise ConnectionLostError(self._ended)

    async def _read(self) -> None:
        """Wait until something was read. Everybody else gets a turn meanwhile, in a flood, too."""
        if not self._hears:
            self._loop.add_reader(self._connection, self._on_readable)
            self._hears = True
        self._wanted = self._loop.create_future()
        try:
            await self._wanted
        finally:
            self._wanted = None

    def _on_readable(self) -> None:
        if self._wanted is None or self._wanted.done():
            # Nobody asks for more yet. It waits in the socket, where the holder sees that it does.
            self._stop_hearing()
            return
        try:
            data = self._connection.recv(_MOST_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._take(data)
        if self._items or self._ended is not None:
            self._wanted.set_result(None)

    def _stop_hearing(self) -> None:
        if self._hears:
            self._loop.remove_reader(self._connection)
            self._hears = False

    def _take(self, data: bytes) -> None:
        if not data:
            self._ended = self._ended or "The connection to the terminal's holder ended."
            return
        output: list[bytes] = []
        try:
            for kind, payload in self._decoder.feed(data):
                if kind == frames.DATA:
                    output.append(payload)
                    continue
                item = self._item(kind, payload)
                if item is not None:
                    self._gather(output)
                    self._items.append(item)
        except (frames.FrameError, msgspec.MsgspecError) as error:
            self._ended = f"The terminal's holder says what nobody understands: {error}."
        self._gather(output)

    def _gather(self, output: list[bytes]) -> None:
        if output:
            self._items.append(output[0] if len(output) == 1 else b"".join(output))
            output.clear()

    def _item(self, kind: int, payload: bytes) -> WatchItem | None:
        if kind == frames.WELCOME:
            welcome = messages.read_welcome(payload)
            self._end = welcome.end
            return Resumed(self._since) if welcome.resumed and self._since is not None else None
        if kind == frames.REPLAY:
            replay = messages.read_replay(payload)
            return Reset(Position(replay.epoch, replay.offset), replay.prologue)
        if kind == frames.EXIT:
            return Ended(messages.read_exit(payload))
        if kind == frames.RESIZED:
            return Resized(messages.read_size(payload).size)
        if kind == frames.RESPAWNED:
            return Respawned(messages.read_child(payload).identity())
        if kind == frames.GONE:
            self._ended = "The terminal was ended."
        return None

    async def aclose(self) -> None:
        """Stop watching."""
        self.close()

    def close(self) -> None:
        """Stop watching at once."""
        self._ended = self._ended or "This onlooker stopped watching."
        self._stop_hearing()
        self._connection.close()
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)


async def open_watch(
    place: Place,
    terminal_id: str,
    since: Position | None,
    tail: int | None,
    deadline: float,
    *,
    unseen: bool = False,
) -> HolderWatch:
    """Return a watch whose first item has come. The terminal's program does not notice one that is `unseen`.

    Raises:
        ConnectionLostError: The holder does not answer within `deadline` seconds.
    """
    try:
        connection = place.connect(terminal_id)
    except OSError as error:
        raise ConnectionLostError(f"The terminal's holder cannot be reached: {error.strerror}.") from error
    watch = HolderWatch(connection, since)
    try:
        position = None if since is None else str(since)
        hello = frames.control(
            frames.HELLO, version=frames.VERSION, client="terminal", since=position, tail=tail, unseen=unseen
        )
        connection.send(hello)  # Its first bytes: there is room for so few.
        with anyio.fail_after(deadline):
            await watch.until_begun()
    except (OSError, TimeoutError) as error:
        watch.close()
        raise ConnectionLostError("The terminal's holder does not answer.") from error
    except BaseException:
        watch.close()
        raise
    return watch

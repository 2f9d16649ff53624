"""A connection to one holder that carries frames, driven by the event loop without a task of its own.

A thousand of them that are idle cost nothing but their sockets. What the frames mean is for the receiver.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

import anyio

from afx.plugin import ConnectionLostError
from afx_holding import frames


class Receiver(Protocol):
    """Who is told what comes over a link. Neither method may block or raise."""

    def on_frame(self, kind: int, payload: bytes) -> None:
        """Take a frame."""

    def on_lost(self, reason: str) -> None:
        """Take note that nothing will come any more. Told at most once, and not after `Link.close`."""


class Link:
    """A framed non-blocking connection. It owns the socket."""

    def __init__(self, connection: socket.socket, receiver: Receiver) -> None:
        self._connection = connection
        self._receiver = receiver
        self._decoder = frames.Decoder()
        self._unsent = bytearray()
        self._drained: anyio.Event | None = None
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(connection, self._on_readable)

    @property
    def blocked(self) -> bool:
        """Whether the holder does not take what was sent to it."""
        return bool(self._unsent)

    def send(self, frame: bytes) -> None:
        """Send a frame as soon as the holder takes it.

        Raises:
            ConnectionLostError: The connection has ended.
        """
        if not self._open:
            raise ConnectionLostError("The connection to the terminal's holder has ended.")
        self._unsent += frame
        if len(self._unsent) == len(frame):
            self._flush()

    async def deliver(self, frame: bytes) -> None:
        """Send a frame and return when the holder's socket has all of it. Cancelled, it is still sent whole.

        Raises:
            ConnectionLostError: It could not be delivered.
        """
        self.send(frame)
        while self._unsent:
            if self._drained is None:
                self._drained = anyio.Event()
            await self._drained.wait()
        if not self._open:
            raise ConnectionLostError(
                "The connection to the terminal's holder ended before all was delivered."
            )

    def close(self) -> None:
        """End the connection. The receiver is told nothing any more."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._connection)
        self._loop.remove_writer(self._connection)
        self._connection.close()
        self._unsent.clear()
        self._wake()

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose("The connection to the terminal's holder ended.")
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._connection, self._flush)
        else:
            self._loop.remove_writer(self._connection)
            self._wake()

    def _wake(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def _on_readable(self) -> None:
        try:
            data = self._connection.recv(frames.PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose("The connection to the terminal's holder ended.")
            return
        try:
            for kind, payload in self._decoder.feed(data):
                if not self._open:
                    return
                with contextlib.suppress(frames.FrameError):
                    self._receiver.on_frame(kind, payload)
        except frames.FrameError as error:
            self._lose(f"The terminal's holder says what nobody understands: {error}.")

    def _lose(self, reason: str) -> None:
        if self._open:
            self.close()
            self._receiver.on_lost(reason)

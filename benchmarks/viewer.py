"""A WebSocket client that does as little as can be, so that the server is measured and not the client."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

_PIECE = 256 * 1024
TEXT = 1
"""The opcode of a text message (RFC 6455)."""
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10


class Viewer:
    """One onlooker of a terminal.

    Args:
        url: The URL of the terminal's WebSocket.
        key: The Tower's secret; another server's terminals need none.

    Attributes:
        protocol: The subprotocol that is asked for, where the server has several.
        messages: How many messages have begun so far.
        resyncs: How often it was told to begin anew.

    Raises:
        ConnectionError: The server refused.
    """

    protocol = ""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = f"Sec-WebSocket-Protocol: {self.protocol}\r\n" if self.protocol else ""
        self.socket.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {key}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"{protocol}Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive()
        head, _, self._data = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(head.decode(errors="replace"))
        self.messages = self.resyncs = 0
        self._opcode = 0
        self._left = 0

    @property
    def has_more(self) -> bool:
        """Whether something was received that was not read yet."""
        return bool(self._data)

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close()

    def read_output(self) -> bytes:
        """Return the next piece of output.

        Raises:
            ConnectionError: The server has closed the connection.
            TimeoutError: Nothing came for 30 s.
        """
        while True:
            piece = self.drop()
            if self._opcode == _BINARY:
                return piece
            self.resyncs += json.loads(piece)["type"] == "resync"

    def drop(self) -> bytes:
        """Return the next piece of output or control message as it came. Raises as `read_output`."""
        while True:
            if not self._left:
                self._begin_message()
            if self._opcode == _BINARY:
                if not self._data:
                    self._data = self._receive()
                piece, self._data = self._data[: self._left], self._data[self._left :]
                self._left -= len(piece)
                return piece
            whole = self._take(self._left)
            self._left = 0
            if self._opcode == TEXT:
                return whole
            if self._opcode == _PING:
                self.send(_PONG, whole)
            if self._opcode == _CLOSE:
                raise ConnectionResetError("The server has closed the connection.")

    def type(self, data: bytes) -> None:
        """Send input of at most 125 bytes."""
        self.send(_BINARY, data)

    def send(self, opcode: int, data: bytes) -> None:
        """Send a message of at most 125 bytes."""
        # A mask of zeros is a mask.
        self.socket.sendall(bytes((0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0)) + data)

    def _begin_message(self) -> None:
        first, length = self._take(2)
        if opcode := first & 0x0F:  # Else a message goes on.
            self._opcode = opcode
            self.messages += 1
        if length == 126:
            length = int.from_bytes(self._take(2), "big")
        elif length == 127:
            length = int.from_bytes(self._take(8), "big")
        self._left = length

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._data += self._receive()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _receive(self) -> bytes:
        data = self.socket.recv(_PIECE)
        if not data:
            raise ConnectionResetError("The server is gone.")
        return data

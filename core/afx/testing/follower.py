"""A client that looks at a terminal, keeps every byte, and comes back by itself with the place it was at."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from afx.testing.tower_process import TowerProcess


def open_terminal(tower: TowerProcess, terminal_id: str, **query: object) -> ClientConnection:
    """Open a terminal's WebSocket as a program does, with the key."""
    return connect(
        tower.websocket_url(terminal_id, **query),
        additional_headers={"Authorization": f"Bearer {tower.key}"},
        compression=None,
        max_size=None,
        proxy=None,
        open_timeout=5,
        close_timeout=1,
    )


def type_into(tower: TowerProcess, terminal_id: str, keys: bytes) -> None:
    """Type into a terminal as a person does."""
    with open_terminal(tower, terminal_id, tail=0) as websocket:
        websocket.recv(timeout=5)
        websocket.send(keys)
        # The answer to a ping comes after what was sent before it was taken.
        websocket.send('{"type": "ping"}')
        while '"pong"' not in str(websocket.recv(timeout=10)):
            pass


class Follower:
    """Follows one terminal in a thread until `close`."""

    def __init__(self, tower: TowerProcess, terminal_id: str) -> None:
        self.tower = tower
        self.terminal_id = terminal_id
        self.data = bytearray()
        self.controls: list[dict[str, Any]] = []
        self.resets = 0
        self.hellos = 0
        self.refusals: list[int] = []
        self._epoch: str | None = None
        self._offset = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._closing = True
        self._thread.join(10)
        if self._thread.is_alive():
            raise AssertionError("The follower does not stop.")

    def wait_for(self, pattern: bytes, timeout: float = 15) -> re.Match[bytes]:
        """Wait until the output matches, and return the match."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (found := re.search(pattern, self.data)):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{pattern!r} did not come; the end is {bytes(self.data[-300:])!r}")
                self._changed.wait(left)
        return found

    def wait_for_more(self, timeout: float = 15) -> None:
        """Wait until there is output that was not there at the call."""
        before = len(self.data)
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(self.data) == before:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"Nothing more came; the end is {bytes(self.data[-300:])!r}")
                self._changed.wait(left)

    def numbers(self) -> list[int]:
        """Return the counter's numbers in the order they came, without the last, which may be cut."""
        return [int(number) for number in re.findall(rb"count (\d+)\r\n", self.data)]

    def shown(self) -> int:
        """Return the counter's number that came last; -1 where none came yet."""
        end = self.data.rfind(b"\r\n")
        begin = self.data.rfind(b"count ", 0, max(0, end))
        found = re.match(rb"count (\d+)\r\n", self.data[begin:]) if begin >= 0 else None
        return int(found[1]) if found else -1

    def _follow(self) -> None:
        while not self._closing:
            seq = None if self._epoch is None else f"{self._epoch}:{self._offset}"
            try:
                with open_terminal(self.tower, self.terminal_id, seq=seq) as websocket:
                    self._read(websocket)
            except InvalidStatus as refused:
                self.refusals.append(refused.response.status_code)
                time.sleep(0.02)
            except (OSError, EOFError, WebSocketException):
                time.sleep(0.02)

    def _read(self, websocket: ClientConnection) -> None:
        while not self._closing:
            try:
                message = websocket.recv(timeout=0.1)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return
            with self._changed:
                if isinstance(message, bytes):
                    self.data += message
                    self._offset += len(message)
                else:
                    self._control(json.loads(message))
                self._changed.notify_all()

    def _control(self, message: dict[str, Any]) -> None:
        self.controls.append(message)
        if message["type"] == "hello":
            self.hellos += 1
        if message["type"] == "resync" or (message["type"] == "hello" and not message["resumed"]):
            self.resets += 1
            self.data.clear()
            base64.b64decode(message["prologue"], validate=True)
        if message["type"] in {"hello", "resync"}:
            self._epoch, self._offset = message["epoch"], message["offset"]

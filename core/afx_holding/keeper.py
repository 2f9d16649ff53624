"""What every process does that keeps a terminal's output: it lets clients in, and tells them what happens.

Where the output comes from, and what clients may ask for, is a subclass's: see `holder`, and the recorder of
the strategy `tmux`. Who gets which bytes is decided by `clients`.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Final

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.clients import Client, Stream
from afx_holding.kept import KeptTerminal
from afx_holding.peer import is_same_user
from afx_holding.program import LaunchError
from afx_holding.timers import Timers

_HELLO_WITHIN: Final = 5.0
_MOST_CLIENTS: Final = 200
_JIGGLE: Final = 0.05


class Keeper:
    """The output of one terminal, and who is connected."""

    def __init__(self, terminal: KeptTerminal, address: Address) -> None:
        self._terminal = terminal
        self._ring = terminal.ring
        self._address = address
        self._listener: socket.socket
        self._check_every = 0.0
        """Seconds between two looks at whether the socket's file is still there."""
        self._clients: list[Client] = []
        self._tower: Client | None = None
        self._told_activity = 0.0
        self._noted = False
        """Whether a Tower said that it noted the program's end."""
        self._over = False
        self._timers = Timers()

    # What a subclass says

    def _welcome(self, *, resumed: bool) -> bytes:
        """Return a WELCOME frame."""
        raise NotImplementedError

    def _on_request(self, client: Client, kind: int, payload: bytes) -> None:
        """Do what a client asks for that has said who it is.

        Raises:
            frames.FrameError: It cannot be read; the client is lost.
        """
        raise NotImplementedError

    def _schedule_end(self) -> None:
        """Decide when this process ends, as far as what changed has to do with it."""
        raise NotImplementedError

    # The loop

    def _serve_clients(self, readable: list[Any], writable: list[Any]) -> None:
        """See to the clients, and to what is due, in one turn of the loop."""
        if self._listener in readable:
            self._accept()
        for client in tuple(self._clients):
            if client.descriptor in writable:
                client.flush()
            if client.descriptor in readable:
                self._hear(client)
        self._timers.run()
        self._pump()

    def _pump(self) -> None:
        lost = False
        for client in self._clients:
            if client.stream is not None:
                client.pump(self._ring, time.monotonic())
            lost = lost or client.lost
        if lost:
            self._drop_lost()

    def _drop_lost(self) -> None:
        for client in [client for client in self._clients if client.lost]:
            self._clients.remove(client)
            client.connection.close()
            if client is self._tower:
                self._tower = None
        self._schedule_end()

    # Who comes

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= _MOST_CLIENTS or not is_same_user(connection):
            connection.close()
            return
        client = Client()
        client.connect(connection)
        self._clients.append(client)
        self._schedule_end()

        def expect_hello() -> None:
            client.lost = client.lost or client.role is None

        self._timers.set(expect_hello, _HELLO_WITHIN)

    def _hear(self, client: Client) -> None:
        self._read(client, client.receive())

    def _read(self, client: Client, data: bytes) -> None:
        """Do what a client says; one that cannot be understood is lost."""
        try:
            for kind, payload in client.decoder.feed(data):
                if client.role is None:
                    self._on_first(client, kind, payload)
                else:
                    self._on_request(client, kind, payload)
                if client.lost:
                    break
        except frames.FrameError:
            client.lost = True

    def _on_first(self, client: Client, kind: int, payload: bytes) -> None:
        if kind != frames.HELLO:
            raise frames.FrameError("HELLO comes first")
        fields = frames.fields_of(payload)
        frames.number(fields, "version", 1, 1 << 30)
        self._on_hello(client, fields)

    def _on_hello(self, client: Client, fields: frames.Fields) -> None:
        """Welcome a client as what it says it is.

        Raises:
            frames.FrameError: It is nothing that is known.
        """
        if fields.get("client") == "tower":
            self._replace_tower(client)
            client.send(self._welcome(resumed=False))
            if self._terminal.exit is not None and not self._noted:
                client.send(frames.control(frames.EXIT, **self._terminal.exit))
        elif fields.get("client") == "terminal":
            self._welcome_onlooker(client, fields)
        else:
            raise frames.FrameError("a client is a tower or a terminal")

    def _replace_tower(self, client: Client) -> None:
        if self._tower is not None:
            self._tower.lost = True
        client.role = "tower"
        self._tower = client
        self._timers.cancel(self._tell_activity)
        self._schedule_end()

    def _welcome_onlooker(self, client: Client, fields: frames.Fields) -> None:
        since, tail = fields.get("since"), fields.get("tail")
        if tail is not None:
            tail = frames.number(fields, "tail", 0, 1 << 40)
        stream = Stream(self._ring, since if isinstance(since, str) else None, tail, time.monotonic())
        client.role = "terminal"
        client.send(self._welcome(resumed=stream.resumed))
        client.stream = stream
        if self._terminal.exit is not None:
            stream.tell(self._ring.end, frames.control(frames.EXIT, **self._terminal.exit))
        elif stream.alternate and fields.get("unseen") is not True:
            self._have_repainted(stream)

    def _have_repainted(self, _stream: Stream) -> None:
        """Have a full-screen program show its screen to an onlooker who just came."""
        self._terminal.jiggle()
        self._timers.set(self._terminal.settle, _JIGGLE)

    # What they are told

    def _tell(self, client: Client, frame: bytes) -> None:
        """Send a control frame; to an onlooker, after all output that came before it."""
        if client.stream is not None:
            client.stream.tell(self._ring.end, frame)
        elif client.role is not None:
            client.send(frame)

    def _tell_all(self, frame: bytes) -> None:
        for client in self._clients:
            self._tell(client, frame)

    def _schedule_activity(self, now: float) -> None:
        """Have the Tower told that there is output, at most once a second."""
        if self._tower is not None and not self._timers.is_set(self._tell_activity):
            self._timers.set(self._tell_activity, max(0.0, self._told_activity + 1 - now))

    def _tell_activity(self) -> None:
        if self._tower is not None and not self._tower.unsent:
            self._told_activity = time.monotonic()
            self._tower.send(
                frames.control(frames.ACTIVITY, at=self._terminal.last_output_at, offset=self._ring.end)
            )

    def _take_ack(self, fields: frames.Fields) -> None:
        """Take note that the Tower knows of the program's end."""
        if self._terminal.exit is not None and fields.get("at") == self._terminal.exit["at"]:
            self._noted = True
            self._schedule_end()

    # The socket and the end

    def _check_socket(self) -> None:
        """Bind the socket again where somebody removed its file."""
        self._timers.set(self._check_socket, self._check_every)
        if self._address.is_ours():
            return
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._address.bind(listener)
        except (OSError, LaunchError):
            listener.close()
            return  # Its directory is gone or the place is taken: tried again later.
        self._listener.close()
        self._listener = listener

    def _finish(self) -> None:
        """Leave nothing behind, say so, and be over."""
        now = time.monotonic()
        self._address.remove()
        for client in self._clients:
            client.pump(self._ring, now)
            if client.role is not None:
                client.send(frames.control(frames.GONE))
        self._over = True

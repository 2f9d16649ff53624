"""The process on the pipe of one pane: it keeps the pane's output, and gives it to whoever looks.

tmux starts it (``pipe-pane``) and hands it every byte that the pane's program writes. It outlives the Tower,
so that the offsets of the output stay the same while Towers come and go, and ends when the Tower says that
the pane is gone, or with the server. If it is killed nothing happens to the pane: the Tower starts another
one, which begins with what the pane shows. tmux reads a pane as fast as its program writes and waits for
nobody, so neither does this.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Any, ClassVar, Final

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.clients import Client, Stream
from afx_holding.peer import is_same_user
from afx_holding.program import LaunchError, start_of
from afx_holding.ring import Ring
from afx_holding.timers import Timers

from .pipe import Pipe, receive
from .tty import ask_size, show_size

_HELLO_WITHIN: Final = 5.0
_SEED_WITHIN: Final = 3.0
_MOST_CLIENTS: Final = 200
_MOST_AT_ONCE: Final = 16
_JIGGLE: Final = 0.05
_LOOK_EVERY: Final = 0.25
_LOOK_AGAIN: Final = 0.02
_RESIZED_WITHIN: Final = 0.5
_CHECK_EVERY: Final = 10.0
_LOOK_AT_SERVER_EVERY: Final = 1.0
_FORSAKEN_AFTER: Final = 86_400.0
_UNCLAIMED_AFTER: Final = 60.0


class Recorder:
    """One pane's output and who is connected to read it.

    Args:
        address: Where it is found.
        ring: Keeps the output.
        tty: The pane's terminal device, asked for the pane's size.
        waits_for_seed: Whether the Tower will first say what the pane showed when the pipe was laid.
    """

    def __init__(self, address: Address, ring: Ring, tty: str, *, waits_for_seed: bool) -> None:
        self._address = address
        self._ring = ring
        self._pipe = Pipe()
        self._server = os.getppid()
        self._tty = tty
        self._waits_for_seed = waits_for_seed
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._clients: list[Client] = []
        self._tower: Client | None = None
        self._claimed = False
        """Whether a Tower was ever here. A start may fail before the recorder is there."""
        self._timers = Timers()
        self._began = time.time()
        self._last_output_at: float | None = None
        self._told_activity = 0.0
        self._size = (80, 24)
        self._look_until = 0.0
        self._exit: dict[str, Any] | None = None
        self._noted = False
        self._over = False

    def serve(self) -> None:
        """Record until the Tower says that nobody needs this any more, or nobody can."""
        self._address.bind(self._listener)
        self._look_at_size()
        self._timers.set(self._check_socket, _CHECK_EVERY)
        if self._waits_for_seed:
            self._timers.set(self._do_without_seed, _SEED_WITHIN)
        while not self._over:
            self._turn()
        self._address.remove()

    # The loop

    def _turn(self) -> None:
        readers: list[Any] = [self._listener, *(client.descriptor for client in self._clients)]
        pipe = self._pipe.descriptor if self._pipe.laid and not self._waits_for_seed else None
        if pipe is not None:
            readers.append(pipe)
        writers = [client.descriptor for client in self._clients if client.unsent]
        due = self._timers.next_due()
        timeout = None if due is None else max(0.0, due - time.monotonic())
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if pipe in readable:
            self._record()
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
        now = time.monotonic()
        for client in self._clients:
            if client.stream is not None:
                client.pump(self._ring, now)
        for client in [client for client in self._clients if client.lost]:
            self._clients.remove(client)
            client.connection.close()
            if client is self._tower:
                self._tower = None
                self._await_tower()

    # The pane

    def _record(self) -> None:
        """Take one piece from the pipe."""
        piece = self._pipe.read()
        if piece:
            self._add_output(piece)
        elif piece is not None:
            self._pipe.end()
            self._note_pipe()

    def _record_all(self) -> None:
        """Take what the pipe holds now; not without limit, as others may write on."""
        for _piece in range(_MOST_AT_ONCE):
            if self._over or not self._pipe.is_ready:
                break
            self._record()

    def _note_pipe(self) -> None:
        """Have the Tower ask tmux why nothing comes any more, or know that something does again."""
        if self._tower is not None:
            self._tower.send(frames.control(frames.PIPE, laid=self._pipe.laid))
        self._await_tower()
        self._look_at_server()

    def _await_tower(self) -> None:
        """Where nothing comes, and no Tower looks, be over in the end."""
        if self._pipe.laid or self._tower is not None:
            self._timers.cancel(self._finish)
        elif not self._timers.is_set(self._finish):
            self._timers.set(self._finish, _FORSAKEN_AFTER if self._claimed else _UNCLAIMED_AFTER)

    def _look_at_server(self) -> None:
        """Where nothing comes any more, be over when the server that started this is."""
        if self._pipe.laid:
            return
        if os.getppid() != self._server or self._server == 1:
            self._finish()
        else:
            self._timers.set(self._look_at_server, _LOOK_AT_SERVER_EVERY)

    def _add_output(self, output: bytes) -> None:
        self._ring.append(output)
        self._last_output_at = time.time()
        if not self._timers.is_set(self._look_at_size):
            self._timers.set(self._look_at_size, _LOOK_EVERY)
        if self._tower is not None and not self._timers.is_set(self._tell_activity):
            self._timers.set(self._tell_activity, max(0.0, self._told_activity + 1 - time.monotonic()))

    def _tell_activity(self) -> None:
        if self._tower is not None and not self._tower.unsent:
            self._told_activity = time.monotonic()
            self._tower.send(frames.control(frames.ACTIVITY, at=self._last_output_at, offset=self._ring.end))

    def _do_without_seed(self) -> None:
        self._waits_for_seed = False

    def _look_at_size(self) -> None:
        """Learn of a size that a person's tmux gave the pane. A program that was resized writes."""
        size = ask_size(self._tty)
        if size is not None and size != self._size and not self._timers.is_set(self._settle):
            self._size = size
            self._tell_all(frames.control(frames.RESIZED, cols=size[0], rows=size[1]))
        elif time.monotonic() < self._look_until:
            self._timers.set(self._look_at_size, _LOOK_AGAIN)

    def _jiggle(self) -> None:
        """Make a full-screen program repaint, together with `_settle` a moment later."""
        cols, rows = self._size
        show_size(self._tty, cols, rows - 1 if rows > 1 else rows + 1)
        self._timers.set(self._settle, _JIGGLE)

    def _settle(self) -> None:
        show_size(self._tty, *self._size)

    # Clients

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

        def expect_hello() -> None:
            client.lost = client.lost or client.role is None

        self._timers.set(expect_hello, _HELLO_WITHIN)

    def _hear(self, client: Client) -> None:
        handed: list[int] = []
        if client.role is None:
            data, handed = receive(client)
        else:
            data = client.receive()
        try:
            for kind, payload in client.decoder.feed(data):
                self._on_frame(client, kind, payload, handed)
                if client.lost:
                    break
        except frames.FrameError:
            client.lost = True
        for descriptor in handed:
            os.close(descriptor)

    def _on_frame(self, client: Client, kind: int, payload: bytes, handed: list[int]) -> None:
        if client.role is None:
            if kind != frames.HELLO:
                raise frames.FrameError("HELLO comes first")
            self._on_hello(client, frames.fields_of(payload), handed)
        elif client is not self._tower:
            return
        elif kind == frames.SHOW:
            # What was written before this was said to be shown comes first; a seed comes before everything.
            if not self._waits_for_seed:
                self._record_all()
            self._timers.cancel(self._do_without_seed)
            self._waits_for_seed = False
            self._add_output(payload)
        elif kind in self._handlers:
            self._handlers[kind](self, frames.fields_of(payload))

    def _on_hello(self, client: Client, fields: frames.Fields, handed: list[int]) -> None:
        frames.number(fields, "version", 1, 1 << 30)
        if fields.get("client") == "tower":
            self._welcome_tower(client)
        elif fields.get("client") == "terminal":
            self._welcome_onlooker(client, fields)
        elif fields.get("client") == "pipe" and handed and not self._pipe.laid:
            client.role = "pipe"
            self._pipe.take(handed.pop())
            self._note_pipe()
            client.send(self._welcome(resumed=False))
        else:
            raise frames.FrameError("a client is a tower, a terminal, or a pipe where none is laid")

    def _welcome_tower(self, client: Client) -> None:
        if self._tower is not None:
            self._tower.lost = True
        client.role = "tower"
        self._tower = client
        self._claimed = True
        self._await_tower()
        self._timers.cancel(self._tell_activity)
        self._record_all()
        client.send(self._welcome(resumed=False))
        if self._exit is not None and not self._noted:
            client.send(frames.control(frames.EXIT, **self._exit))

    def _welcome_onlooker(self, client: Client, fields: frames.Fields) -> None:
        since, tail = fields.get("since"), fields.get("tail")
        if tail is not None:
            tail = frames.number(fields, "tail", 0, 1 << 40)
        stream = Stream(self._ring, since if isinstance(since, str) else None, tail, time.monotonic())
        client.role = "terminal"
        client.send(self._welcome(resumed=stream.resumed))
        client.stream = stream
        if self._exit is not None:
            stream.tell(self._ring.end, frames.control(frames.EXIT, **self._exit))
        elif stream.alternate and stream.position > 0 and fields.get("unseen") is not True:
            # Only a replay from the very beginning shows all of a full-screen program's screen for certain.
            self._jiggle()

    def _welcome(self, *, resumed: bool) -> bytes:
        if not self._timers.is_set(self._settle):
            self._size = ask_size(self._tty) or self._size
        return frames.control(
            frames.WELCOME,
            version=frames.VERSION,
            pid=os.getpid(),
            pid_start=start_of(os.getpid()),
            terminal_id=os.fsdecode(self._address.terminal_id),
            agent_id="",
            epoch=self._ring.epoch,
            start=self._ring.start,
            offset=self._ring.end,
            cols=self._size[0],
            rows=self._size[1],
            started_at=self._began,
            last_output_at=self._last_output_at,
            exit=self._exit,
            resumed=resumed,
            piped=self._pipe.laid,
        )

    def _tell(self, client: Client, frame: bytes) -> None:
        """Send a control frame; to an onlooker, after all output that came before it."""
        if client.stream is not None:
            client.stream.tell(self._ring.end, frame)
        elif client.role is not None:
            client.send(frame)

    def _tell_all(self, frame: bytes) -> None:
        for client in self._clients:
            self._tell(client, frame)

    # What the Tower says

    def _on_resize(self, fields: frames.Fields) -> None:
        """The Tower had tmux resize the pane; what it has now is told to all."""
        del fields
        self._timers.cancel(self._settle)
        # tmux gives a pane its size a moment after it said so.
        self._look_until = time.monotonic() + _RESIZED_WITHIN
        self._look_at_size()

    def _on_exit(self, fields: frames.Fields) -> None:
        """The program ended. All that it wrote before is told before."""
        self._record_all()
        self._exit = {name: fields.get(name) for name in ("code", "signal", "at")}
        self._noted = False
        self._timers.cancel(self._settle)
        self._tell_all(frames.control(frames.EXIT, **self._exit))

    def _on_respawned(self, fields: frames.Fields) -> None:
        self._exit = None
        self._tty = frames.text(fields, "tty")
        child = {name: fields.get(name) for name in ("pid", "start")}
        self._tell_all(frames.control(frames.RESPAWNED, **child))

    def _on_ack(self, fields: frames.Fields) -> None:
        if self._exit is not None and fields.get("at") == self._exit["at"]:
            self._noted = True

    def _on_terminate(self, fields: frames.Fields) -> None:
        del fields
        self._record_all()
        if not self._over:
            self._finish()

    def _finish(self) -> None:
        """Be over, and say so."""
        now = time.monotonic()
        self._address.remove()
        for client in self._clients:
            client.pump(self._ring, now)
            if client.role is not None:
                client.send(frames.control(frames.GONE))
        self._over = True

    def _check_socket(self) -> None:
        """Bind the socket again where somebody removed its file."""
        self._timers.set(self._check_socket, _CHECK_EVERY)
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

    _handlers: ClassVar = {
        frames.RESIZE: _on_resize,
        frames.EXIT: _on_exit,
        frames.RESPAWNED: _on_respawned,
        frames.ACK: _on_ack,
        frames.TERMINATE: _on_terminate,
    }
